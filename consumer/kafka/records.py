"""The record as it came from Kafka, and its position as people write it."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

NO_POSITION: Final = "a position is TOPIC-PARTITION@OFFSET, as logs and `lag` print it"


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


def parse_position(text: str) -> tuple[Partition, int]:
    """Read TOPIC-PARTITION@OFFSET.

    Raises:
        ValueError: It is none.
    """
    where, at, offset = text.rpartition("@")
    topic, dash, partition = where.rpartition("-")
    if not (at and dash and topic and _is_number(partition) and _is_number(offset)):
        raise ValueError(NO_POSITION)
    return Partition(topic, int(partition)), int(offset)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
