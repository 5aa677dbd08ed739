"""The worker: polls, admits, commits, and answers rebalances. It builds nothing; the service hands it its parts."""
