"""What Pendo should hold, beside what it does hold."""

import json
from typing import Any

import pytest

from consumer.config.settings import RoutesSettings
from consumer.held import Fields, Held, compare, note
from consumer.mapping.router import Router
from consumer.pendo.endpoints import route_table
from consumer.verification import Sample
from consumer.writing import writes_in
from tests.delivery.conftest import FakeRecord

DAY_MS = 24 * 3600 * 1000
NOW_MS = 1_750_000_000_000


def fields_of(*events: dict[str, Any], route: str = "segmentio") -> Fields:
    """What was written last, by events that came one after another."""
    routes = RoutesSettings.model_validate({"identify": route, "group": route})
    router = Router(route_table(routes), "skip")
    fields: Fields = {}
    for offset, event in enumerate(events):
        record = FakeRecord("events", 0, offset, NOW_MS + offset, b"k", json.dumps(event).encode())
        for write in writes_in(record, (), router):
            note(fields, write)
    return fields


def identify(traits: dict[str, Any], at_ms: int = NOW_MS) -> dict[str, Any]:
    return {"type": "identify", "userId": "ann", "timestamp": at_ms, "traits": traits}


@pytest.mark.parametrize("route", ["segmentio", "metadata"])
def test_of_each_field_the_newest_value_stands(route: str) -> None:
    """By the events' own times, and under the name that Pendo keeps it by."""
    fields = fields_of(
        identify({"Plan": "new", "color": "red"}, NOW_MS - 1),
        identify({"plan": "old", "size": 3}, NOW_MS - DAY_MS),
        {"type": "track", "userId": "ann", "event": "identify", "properties": {"plan": "no"}},
        route=route,
    )
    assert {name: written.value for name, written in fields.items()} == {"plan": "new", "color": "red", "size": 3}
    assert {name: written.position for name, written in fields.items()} == {
        "plan": "events-0@0",
        "color": "events-0@0",
        "size": "events-0@1",
    }


def test_what_pendo_ignores_is_not_expected() -> None:
    """Objects and nulls; of a list what is left."""
    fields = fields_of(identify({"a": {"b": 1}, "c": None, "d": [1, {"e": 2}]}))
    assert {name: written.value for name, written in fields.items()} == {"d": [1]}


@pytest.mark.parametrize(
    ("sent", "found", "held"),
    [
        ("pro", "pro", Held.HOLDS),
        ("pro", "free", Held.DIFFERS),
        (3, 3.0, Held.HOLDS),
        (1, True, Held.DIFFERS),
        (True, True, Held.HOLDS),
        ([1, "a"], [1, "a"], Held.HOLDS),
        ("2026-01-02T03:04:05Z", 1767323045000, Held.HOLDS),
        ("2026-01-02", 1767312000000, Held.HOLDS),
        ("2026-01-02T03:04:05Z", 1767323045001, Held.DIFFERS),
        ("soon", 1767312000000, Held.DIFFERS),
    ],
)
def test_a_value_is_held_when_it_is_the_same(sent: Any, found: Any, held: Held) -> None:
    """As JSON has it; a date may be kept as milliseconds."""
    assert compare(fields_of(identify({"plan": sent})), {"agent": {"plan": found}}) == {"plan": held}


def test_a_field_may_stand_in_any_group_but_pendos_own() -> None:
    """By which route it came decides where; `auto` is what Pendo found out by itself."""
    fields = fields_of(identify({"plan": "pro"}))
    assert compare(fields, {"segment.io": {"plan": "pro"}, "agent": {"plan": "old"}}) == {"plan": Held.HOLDS}
    assert compare(fields, {"auto": {"plan": "pro"}}) == {"plan": Held.MISSING}
    assert compare(fields, None) == {"plan": Held.MISSING}


def test_a_sample_is_whole_or_an_estimate() -> None:
    """Who is in at the end was in from the first event on, whatever the order; another seed samples others."""
    few = Sample(10, seed=0)
    for number in range(5):
        assert few.of(f"visitor:{number}") is not None
    assert few.ids == 5
    many = Sample(100, seed=0)
    events: dict[str, int] = {}
    for turn in range(3):
        for number in range(5_000):
            key = f"visitor:{number * 7919 % 5_000}"
            if (fields := many.of(key)) is not None:
                events[key] = events.get(key, 0) + 1
                fields[str(turn)] = next(iter(fields_of(identify({"plan": turn})).values()))
    assert len(many.fields) == 100
    assert {len(fields) for fields in many.fields.values()} == {3}
    assert 3_000 < many.ids < 8_000
    other = Sample(100, seed=1)
    for number in range(5_000):
        other.of(f"visitor:{number}")
    assert other.fields.keys() != many.fields.keys()
