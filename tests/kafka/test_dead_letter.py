"""The dead letter's headers: a promise to scripts, name by name."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from consumer.kafka.dead_letter import MAX_MESSAGE_CHARS, DeadLetter, Extent, Stage, replays
from consumer.outcomes import EventType, Reason


@dataclass
class Raw:
    """A record."""

    topic: str = "events"
    partition: int = 3
    offset: int = 42
    timestamp: int = 1_700_000_000_123
    key: bytes | None = b"k"
    value: bytes | None = b"{}"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def letter(**more: Any) -> DeadLetter:
    """A letter with everything in it."""
    full: dict[str, Any] = {
        "record": Raw(),
        "type": EventType.TRACK,
        "reason": Reason.REFUSED,
        "stage": Stage.DELIVER,
        "error": "RejectedError",
        "message": "Pendo answered 400",
        "index": 0,
        "message_id": "m-1",
        "lane": "visitor:1",
        "status": "400",
        "attempts": 2,
        "first_attempt_ms": 1_700_000_001_000,
    }
    return DeadLetter(**{**full, **more})


FULL = {
    "__connect.errors.topic": "events",
    "__connect.errors.partition": "3",
    "__connect.errors.offset": "42",
    "__connect.errors.stage": "deliver",
    "__connect.errors.exception.class.name": "RejectedError",
    "__connect.errors.exception.message": "Pendo answered 400",
    "pendo.dlq.reason": "refused",
    "pendo.dlq.status": "400",
    "pendo.dlq.attempts": "2",
    "pendo.dlq.first-attempt": "1700000001000",
    "pendo.dlq.original-timestamp": "1700000000123",
    "pendo.dlq.event-index": "0",
    "pendo.dlq.message-id": "m-1",
    "pendo.dlq.replays": "0",
    "pendo.dlq.version": "1",
}


def test_a_letter_has_every_header_of_the_interface() -> None:
    """Values are UTF-8 text, times integer milliseconds."""
    headers = letter().headers()
    assert len(headers) == len(FULL)
    assert {name: value.decode() for name, value in headers} == FULL


def test_what_is_not_known_is_absent() -> None:
    """Nothing was sent, the value is one event, no messageId can be read."""
    bare = letter(index=None, message_id=None, status=None, first_attempt_ms=None, attempts=0)
    absent = {"status", "first-attempt", "event-index", "message-id"}
    found = {name: value.decode() for name, value in bare.headers()}
    assert found == {k: v for k, v in FULL.items() if k.removeprefix("pendo.dlq.") not in absent} | {
        "pendo.dlq.attempts": "0"
    }


def test_the_records_own_headers_stay_as_they_came_and_in_front() -> None:
    """Repeated names, and bytes that are no text, included."""
    own = [("trace", b"\xff\x00"), ("trace", b"2"), ("Pendo.dlq.reason", b"theirs")]
    assert letter(record=Raw(headers=own)).headers()[:3] == own


def test_a_letter_that_fails_again_has_its_headers_replaced_not_stacked() -> None:
    """But what it no longer has goes, and how often it was replayed stays."""
    first = letter().headers()
    sent_again = [("x", b"y"), *((name, b"2" if name.endswith("replays") else value) for name, value in first)]
    second = letter(
        record=Raw(topic="letters", offset=7, headers=sent_again), index=None, status=None, first_attempt_ms=None
    )
    found = second.headers()
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    assert names[0] == "x"
    values = dict(found)
    assert values["__connect.errors.topic"] == b"letters"
    assert values["__connect.errors.offset"] == b"7"
    assert values["pendo.dlq.replays"] == b"2"
    assert "pendo.dlq.event-index" not in values
    assert "pendo.dlq.status" not in values


@pytest.mark.parametrize("extent", [Extent.WITHOUT_VALUE, Extent.POSITION_ONLY])
def test_a_letter_without_its_value_says_so(extent: Extent) -> None:
    """Whoever reads it fetches the value from its position."""
    own = [("big", b"x" * 100), ("pendo.dlq.value", b"stale")]
    found = letter(record=Raw(headers=own)).headers(extent)
    assert [value for name, value in found if name == "pendo.dlq.value"] == [b"omitted"]
    assert (("big", b"x" * 100) in found) is (extent is Extent.WITHOUT_VALUE)


def test_a_whole_letter_does_not_say_that_its_value_is_omitted() -> None:
    """Not even when it was, the first time."""
    found = letter(record=Raw(headers=[("pendo.dlq.value", b"omitted")])).headers()
    assert "pendo.dlq.value" not in dict(found)


def test_texts_that_come_from_elsewhere_are_bounded() -> None:
    """A messageId may be anything; headers must not make a letter too large."""
    found = dict(letter(message="é" * 10_000, message_id="ü" * 10_000).headers())
    assert found["__connect.errors.exception.message"].decode() == "é" * MAX_MESSAGE_CHARS
    assert found["pendo.dlq.message-id"].decode() == "ü" * MAX_MESSAGE_CHARS


@pytest.mark.parametrize(
    ("value", "count"), [(b"3", 3), (b"", 0), (b"-1", 0), (b"x", 0), (b"\xff", 0), (b"9" * 5000, 0), ("²".encode(), 0)]
)
def test_a_foreign_count_of_replays_never_stops_a_letter(value: bytes, count: int) -> None:
    """Anybody can write a header; what is no count is none."""
    record = Raw(headers=[("pendo.dlq.replays", value)])
    assert replays(record) == count
    assert dict(replace(letter(), record=record).headers())["pendo.dlq.replays"] == str(count).encode()
