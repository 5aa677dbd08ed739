"""Segment events from a Kafka topic, delivered to Pendo: in order, concurrently, with nothing lost."""

__version__ = "0.1.0"
