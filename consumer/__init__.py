"""Segment events from a Kafka topic, delivered to Pendo: in order, concurrently, with nothing lost."""
