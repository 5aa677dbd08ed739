"""Pendo's side: requests, where they go, how they are sent and what an answer means. It does not know Segment."""
