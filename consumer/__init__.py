"""Segment events from a Kafka topic, delivered to Pendo: in order, concurrently, with nothing lost."""

from typing import Final

__version__: Final = "0.1.0"
