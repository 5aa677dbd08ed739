"""A letter as it lies in its topic: what its headers say, read back without trusting any of them.

Records come in, values go out. What another system wrote there is known as such: it has none of our headers.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from consumer.kafka.dead_letter import CONNECT, MAX_DIGITS, OURS
from consumer.kafka.reading import records_in
from consumer.kafka.records import Partition, Record, position


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """One letter.

    Attributes:
        letter: Its own position.
        position: That of the record whose event it is; empty when the letter does not say.
        reason: Why it is there; empty when it is none of ours.
        stage: Where it failed.
        status: The last answer's, empty when nothing was sent.
        message: What was wrong.
        attempts: Requests sent.
        replays: How often it was sent again.
        message_id: The event's.
        index: The event's place in its record's array or batch; None when the value is one event.
        parked_ms: When it was parked, milliseconds since the epoch.
        original_ms: When its record came to Kafka first; None when it is not known.
        value: The record's; None when it was left out.
        headers: All of them, as text.
    """

    letter: str
    position: str
    reason: str
    stage: str
    status: str
    message: str
    attempts: int
    replays: int
    message_id: str
    index: int | None
    parked_ms: int
    original_ms: int | None
    value: bytes | None
    headers: tuple[tuple[str, str], ...]

    @property
    def is_ours(self) -> bool:
        """Whether this service wrote it."""
        return bool(self.reason)


def read_letter(record: Record) -> Filed:
    """Read a record of the dead-letter topic; nothing in it can make this fail."""
    texts = tuple((name, value.decode("utf-8", "replace")) for name, value in record.headers)
    found = dict(texts)
    where = [found.get(f"{CONNECT}{part}", "") for part in ("topic", "partition", "offset")]
    return Filed(
        letter=position(record),
        position=f"{where[0]}-{where[1]}@{where[2]}" if all(where) else "",
        reason=found.get(f"{OURS}reason", ""),
        stage=found.get(f"{CONNECT}stage", ""),
        status=found.get(f"{OURS}status", ""),
        message=found.get(f"{CONNECT}exception.message", ""),
        attempts=_number(found.get(f"{OURS}attempts")) or 0,
        replays=_number(found.get(f"{OURS}replays")) or 0,
        message_id=found.get(f"{OURS}message-id", ""),
        index=_number(found.get(f"{OURS}event-index")),
        parked_ms=record.timestamp,
        original_ms=_number(found.get(f"{OURS}original-timestamp")),
        value=None if found.get(f"{OURS}value") == "omitted" else record.value,
        headers=texts,
    )


def _number(text: str | None) -> int | None:
    """What is no number of a sane length is not ours."""
    longest = 2 * MAX_DIGITS
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= longest else None


async def letters_in(
    options: Mapping[str, Any], topic: str, *, only: tuple[Partition, int] | None = None
) -> AsyncIterator[Filed]:
    """All letters that lie in a topic now, or the one at a position.

    Raises:
        BrokerError: The topic cannot be read.
    """
    async for record in records_in(options, topic, only=only):
        yield read_letter(record)
