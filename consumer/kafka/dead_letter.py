"""The dead letter: a record's parked copy, with headers that say why. A pure value.

The record's key, value and headers stay as they came; ours are replaced, never stacked, when a letter fails again.
Header names follow Kafka Connect where it has one, so that its tools read them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from consumer.kafka.records import Record
from consumer.outcomes import EventType, Reason

CONNECT: Final = "__connect.errors."
OURS: Final = "pendo.dlq."
FORMAT_VERSION: Final = 1
MAX_MESSAGE_CHARS: Final = 500
"""Header values are read by people; a longer text says no more."""

MAX_DIGITS: Final = 9
"""No letter is replayed so often; a longer number, which anybody may write, is not ours."""


class Stage(StrEnum):
    """Where the event failed."""

    DECODE = "decode"
    MAP = "map"
    DELIVER = "deliver"


class Extent(IntEnum):
    """How much of the record a letter carries: less each time the broker finds it too large."""

    WHOLE = 0
    WITHOUT_VALUE = 1
    POSITION_ONLY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One event that could not be delivered.

    Attributes:
        record: The record that holds it.
        type: The event's type; `NONE` for what is no event.
        reason: Why.
        stage: Where.
        error: Name of the error's class.
        message: What is wrong, without quoting the event.
        index: The event's place in an array or batch; None when the record's value is one event.
        message_id: The event's messageId.
        lane: Its lane's key, which keeps one visitor's letters in one partition.
        status: HTTP status of the last answer, `timeout` or `connection`; None when nothing was sent.
        attempts: Requests sent.
        first_attempt_ms: When the first was, milliseconds since the epoch; None when nothing was sent.
    """

    record: Record
    type: EventType
    reason: Reason
    stage: Stage
    error: str
    message: str
    index: int | None = None
    message_id: str | None = None
    lane: str | None = None
    status: str | None = None
    attempts: int = 0
    first_attempt_ms: int | None = None

    def headers(self, extent: Extent = Extent.WHOLE) -> list[tuple[str, bytes]]:
        """The letter's headers: the record's own, then ours."""
        kept = [] if extent is Extent.POSITION_ONLY else _foreign(self.record.headers)
        return kept + [(name, text.encode()) for name, text in self._texts(extent) if text is not None]

    def _texts(self, extent: Extent) -> Iterable[tuple[str, str | None]]:
        record = self.record
        yield CONNECT + "topic", record.topic
        yield CONNECT + "partition", str(record.partition)
        yield CONNECT + "offset", str(record.offset)
        yield CONNECT + "stage", self.stage
        yield CONNECT + "exception.class.name", self.error
        yield CONNECT + "exception.message", self.message[:MAX_MESSAGE_CHARS]
        yield OURS + "reason", self.reason
        yield OURS + "status", self.status
        yield OURS + "attempts", str(self.attempts)
        yield OURS + "first-attempt", _number(self.first_attempt_ms)
        yield OURS + "original-timestamp", str(record.timestamp)
        yield OURS + "event-index", _number(self.index)
        yield OURS + "message-id", _writable(self.message_id)
        yield OURS + "replays", str(replays(record))
        yield OURS + "version", str(FORMAT_VERSION)
        yield OURS + "value", None if extent is Extent.WHOLE else "omitted"


def field_of(stage: str, message: str) -> str:
    """Which field of the event is wrong, as far as the message names one: it begins with it."""
    first, _, rest = message.partition(" ")
    return first if stage == Stage.MAP and rest.startswith("is ") else ""


def replays(record: Record) -> int:
    """How often a letter was sent again, as its headers tell; 0 for a record that never was one."""
    for name, value in record.headers:
        if name == OURS + "replays" and value and value.isdigit() and len(value) <= MAX_DIGITS:
            return int(value)
    return 0


def _foreign(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in headers if not name.startswith((CONNECT, OURS))]


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)


def _writable(text: str | None) -> str | None:
    """Segment's messageIds have at most 100 characters; a longer one is cut, since it may be anything."""
    return None if text is None else text[:MAX_MESSAGE_CHARS]
