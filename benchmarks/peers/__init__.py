"""Our service beside what a user would pick instead: one topic, one endpoint, one run, judged at the endpoint."""
