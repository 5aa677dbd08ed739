"""The cases: dead letters that are alike, as this process published them, in bounded memory.

A letter comes in when its topic has acknowledged it; what a person needs to know of many alike goes out. It keeps no
event and nobody's id: an example names a position.
"""

from time import time
from typing import Any, Final

from consumer.kafka.dead_letter import DeadLetter, field_of
from consumer.kafka.records import position

MAX_CASES: Final = 50
"""More kinds of trouble nobody reads; the one that was not seen for longest goes."""


class Case:
    """One kind of trouble.

    Attributes:
        count: Letters so far.
        first_ms: When the first was published, milliseconds since the epoch.
        last_ms: When the newest was.
        position: Of the newest's record.
        letter: Where the newest lies in the dead-letter topic.
        message: What is wrong with it, without quoting the event.
    """

    __slots__ = ("count", "first_ms", "last_ms", "letter", "message", "position")

    def __init__(self, now_ms: int) -> None:
        self.count = 0
        self.first_ms = self.last_ms = now_ms
        self.position = self.letter = self.message = ""


class Cases:
    """What was dead-lettered, by reason, status, type and field."""

    def __init__(self) -> None:
        # The one that was seen last comes last.
        self._cases: dict[tuple[str, str, str, str], Case] = {}

    def note(self, letter: DeadLetter, lies_at: str, now_ms: int | None = None) -> None:
        """A letter was acknowledged.

        Args:
            letter: Which.
            lies_at: Its own position, in the dead-letter topic.
            now_ms: When, milliseconds since the epoch; without it now.
        """
        now_ms = int(time() * 1000) if now_ms is None else now_ms
        key = (letter.reason.value, letter.status or "", letter.type.value, field_of(letter.stage, letter.message))
        case = self._cases.pop(key, None) or Case(now_ms)
        self._cases[key] = case
        if len(self._cases) > MAX_CASES:
            del self._cases[next(iter(self._cases))]
        case.count += 1
        case.last_ms = now_ms
        case.position = position(letter.record)
        case.letter = lies_at
        case.message = letter.message

    def to_json(self) -> list[dict[str, Any]]:
        """For the API: the newest first."""
        return [
            dict(zip(("reason", "status", "type", "field"), key, strict=True))
            | {
                "count": case.count,
                "first_ms": case.first_ms,
                "last_ms": case.last_ms,
                "position": case.position,
                "letter": case.letter,
                "message": case.message,
            }
            for key, case in reversed(self._cases.items())
        ]
