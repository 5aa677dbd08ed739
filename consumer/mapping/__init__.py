"""Segment words become Pendo words, one file an event type. The only place where the two sides meet."""
