"""Dead letters as cases: what a person needs to know of a letter, of many alike, and of the event in one.

Letters as they lie in their topic come in, plain values go out. Nothing here reads Kafka.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from consumer.kafka.dead_letter import field_of
from consumer.kafka.filed import Filed
from consumer.outcomes import EventType
from consumer.segment.decode import decode
from consumer.segment.events import Event, Undecodable

FOREIGN: Final = "foreign"
"""The reason of a letter that another system wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are meant: all that hold for each of these; an empty one holds for all.

    Attributes:
        reasons: Of these.
        statuses: Of these.
        types: Of events of these types.
        since_ms: Parked at this time or later, milliseconds since the epoch.
        until_ms: Parked before it.
        id: Of this messageId, user or account.
        letters: At these positions in the dead-letter topic.
    """

    reasons: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    id: str | None = None
    letters: frozenset[str] = frozenset()

    def holds(self, filed: Filed, event: Event | None) -> bool:
        """Whether a letter is meant."""
        in_time = (self.since_ms is None or filed.parked_ms >= self.since_ms) and (
            self.until_ms is None or filed.parked_ms < self.until_ms
        )
        return (
            in_time
            and (not self.letters or filed.letter in self.letters)
            and (not self.reasons or (filed.reason or FOREIGN) in self.reasons)
            and (not self.statuses or filed.status in self.statuses)
            and (not self.types or type_of(event) in self.types)
            and (self.id is None or self.id in ids_of(filed, event))
        )


def element_of(filed: Filed, envelope_path: tuple[str, ...]) -> Event | Undecodable | None:
    """What a letter is about; None when nothing is there."""
    elements = decode(filed.value, envelope_path)
    place = filed.index or 0
    return elements[place] if place < len(elements) else None


def event_of(filed: Filed, envelope_path: tuple[str, ...]) -> Event | None:
    """The event that a letter is about; None when there is none to be read."""
    element = element_of(filed, envelope_path)
    return element if isinstance(element, Event) else None


def type_of(event: Event | None) -> str:
    """As in metrics: `none` for what is no event."""
    return (EventType.NONE if event is None else event.type).value


def ids_of(filed: Filed, event: Event | None) -> set[str]:
    """Every id by which somebody may look for a letter."""
    fields = {} if event is None else event.fields
    named = (fields.get(key) for key in ("userId", "anonymousId", "groupId", "messageId"))
    return {filed.message_id, *(str(value) for value in named if value is not None)} - {""}


def row_of(filed: Filed, event: Event | None, *, replayed: bool = False) -> dict[str, Any]:
    """A letter as a line of `dlq list`: no person in it. `replayed` says that it was sent again, with any end."""
    return {
        "letter": filed.letter,
        "position": filed.position,
        "reason": filed.reason or FOREIGN,
        "status": filed.status,
        "type": type_of(event),
        "messageId": filed.message_id,
        "attempts": filed.attempts,
        "replays": filed.replays,
        "replayed": replayed,
        "parked_ms": filed.parked_ms,
        "message": filed.message,
    }


def cases_of(found: Iterable[tuple[Filed, Event | None]]) -> list[dict[str, Any]]:
    """Letters that are alike in reason, status, type and field, the most frequent first."""
    cases: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for filed, event in found:
        key = (filed.reason or FOREIGN, filed.status, type_of(event), field_of(filed.stage, filed.message))
        case = cases.setdefault(key, _new_case(key, filed))
        case["count"] += 1
        case["first"] = min(case["first"], filed.parked_ms)
        if filed.parked_ms >= case["last"]:
            case["last"], case["example"], case["message"] = filed.parked_ms, filed.letter, filed.message
    return sorted(cases.values(), key=lambda case: -case["count"])


def _new_case(key: tuple[str, str, str, str], filed: Filed) -> dict[str, Any]:
    names = dict(zip(("reason", "status", "type", "field"), key, strict=True))
    times = {"count": 0, "first": filed.parked_ms, "last": filed.parked_ms}
    return names | times | {"example": filed.letter, "message": filed.message}


def shown(
    filed: Filed, event: Event | None, envelope_path: tuple[str, ...], explain: Callable[[bytes], Any]
) -> dict[str, Any]:
    """All of a letter: its headers, its event, and what would become of it now."""
    value = exported(filed, event, envelope_path)
    return row_of(filed, event) | {
        "index": filed.index,
        "original_ms": filed.original_ms,
        "headers": [list(header) for header in filed.headers],
        "event": None if event is None else event.fields,
        "value": None if event is not None or filed.value is None else filed.value.decode("utf-8", "replace"),
        "now": explain(value) if value is not None else None,
    }


def exported(filed: Filed, event: Event | None, envelope_path: tuple[str, ...] = ()) -> bytes | None:
    """The value that `map` takes: the record's own, or of an array the one event, in its envelope.

    None when there is nothing to be exported: the value was left out, or is no single line of text.
    """
    if event is not None and filed.index is not None:
        wrapped: Mapping[str, Any] = event.fields
        for key in reversed(envelope_path):
            wrapped = {key: wrapped}
        return orjson.dumps(wrapped)
    if filed.value is None:
        return None
    try:
        return orjson.dumps(orjson.loads(filed.value))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None if b"\n" in filed.value else filed.value
