"""Benchmarks: what an event costs, and where. Figures, not tests: the machine's mood is part of every one of them."""
