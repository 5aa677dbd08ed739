"""The record as it came from Kafka, and its position as people write it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """The part of aiokafka's `ConsumerRecord` that this program uses.

    Attributes:
        timestamp: Milliseconds since the epoch; negative when the broker has none.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Names and values, in order."""


class Partition(NamedTuple):
    """A topic's partition; equal to, and hashed like, aiokafka's `TopicPartition`."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """As in logs and positions."""
        return f"{self.topic}-{self.partition}"


def position(record: Record) -> str:
    """A record's position, `TOPIC-PARTITION@OFFSET`."""
    return f"{record.topic}-{record.partition}@{record.offset}"
