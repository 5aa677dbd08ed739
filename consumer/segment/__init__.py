"""Segment's side: from a record's bytes to events. It does not know Pendo."""
