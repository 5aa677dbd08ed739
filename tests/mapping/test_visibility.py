"""Warnings: each rule at its edge, names that were seen before, and bounds on what is remembered."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consumer.mapping.ids import pendo_id
from consumer.mapping.visibility import (
    MAX_AGE_MS,
    MAX_KNOWN_NAMES,
    MAX_KNOWN_SHAPES,
    MAX_LISTED,
    MAX_LISTED_CHARS,
    RULES,
    Visibility,
    Warnings,
    is_displayed,
    message,
    metadata_name,
    size_bytes_of,
)
from consumer.outcomes import EventType, WarningKind
from consumer.segment.events import Event

NOW_MS = 1_772_409_600_000
DAY_MS = 24 * 3600 * 1000


class Clock:
    """Seconds since the epoch, as a test sets them."""

    def __init__(self) -> None:
        self.now_s = NOW_MS / 1000

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def kinds(warnings: Warnings) -> list[WarningKind]:
    return [warning.kind for warning in warnings]


def of_track_event(visibility: Visibility, properties: dict[str, Any]) -> Warnings:
    return visibility.of_track_event({"properties": properties}, properties, 0, "account")


def of_metadata(visibility: Visibility, traits: dict[str, Any]) -> Warnings:
    return visibility.of_metadata(tuple(traits), traits)


def of_age(visibility: Visibility, text: Any, **times: str) -> list[WarningKind]:
    event = Event(EventType.TRACK, {"timestamp": text, **times}, None)
    return kinds(visibility.of_event_age(event))


def test_every_kind_has_its_line_of_the_documentation() -> None:
    """A warning that does not say where it comes from convinces nobody."""
    assert set(RULES) == set(WarningKind)
    [warning] = of_metadata(Visibility(Clock()), {"a": {}})
    assert message(warning) == f"traits: a. Pendo: {RULES[WarningKind.IGNORED_VALUE]}"


@pytest.mark.parametrize("name", ["a", "_", "_1", "A9_z", "x" * 32, "__a", "a__", "_a__", "__a_"])
def test_a_name_that_pendo_displays(name: str) -> None:
    """Letters, digits and _, up to 32."""
    assert is_displayed(name)


@pytest.mark.parametrize("name", ["", "x" * 33, "1a", "a b", "a.b", "a-b", "é", "a\n", "__a__", "____", "__", "$a"])
def test_a_name_that_pendo_takes_and_never_displays(name: str) -> None:
    """Each rule alone."""
    assert not is_displayed(name)


def test_names_are_looked_at_whatever_was_seen_before() -> None:
    """What is remembered makes it quick, and changes nothing."""
    visibility = Visibility(Clock())
    for _ in range(3):
        assert kinds(of_track_event(visibility, {"a": 1, "b": 1})) == []
        [warning] = of_track_event(visibility, {"a": 1, "b c": 1, "d": 1, "e-f": 1})
        assert (warning.kind, warning.about) == (WarningKind.LONG_NAME, "properties: b c, e-f")
        assert kinds(of_track_event(visibility, {})) == []


def test_what_is_remembered_of_names_is_bounded() -> None:
    """A source may make them up as it goes; the answers stay the same."""
    visibility = Visibility(Clock())
    for number in range(MAX_KNOWN_NAMES + 100):
        assert of_track_event(visibility, {f"n{number}": 1}) == ()
        assert len(of_track_event(visibility, {f"n {number}": 1})) == 1
    assert len(visibility._displayed) <= MAX_KNOWN_NAMES
    for number in range(MAX_KNOWN_SHAPES + 10):
        assert of_metadata(visibility, {f"n{number}": 1}) == ()
    assert len(visibility._shapes) <= MAX_KNOWN_SHAPES
    assert kinds(of_metadata(visibility, {f"n{number}": 1 for number in range(1000)} | {"N1": 1})) == ["name_collision"]
    assert max(len(names) for names in visibility._shapes) < 100


def test_a_warning_lists_a_few_names_and_cuts_long_ones() -> None:
    """It is kept as long as its request is open."""
    [warning] = of_track_event(Visibility(Clock()), {f"{number} " + "x" * 5000: 1 for number in range(500)})
    assert warning.about.endswith(f" and {500 - MAX_LISTED} more")
    assert len(warning.about) < MAX_LISTED * (MAX_LISTED_CHARS + 2) + 50


@pytest.mark.parametrize(("ms", "old"), [(0, False), (MAX_AGE_MS, False), (MAX_AGE_MS + 1, True)])
def test_older_than_seven_days_is_old(ms: int, *, old: bool) -> None:
    """To the millisecond."""
    assert bool(Visibility(Clock()).of_age(NOW_MS - ms)) is old


OLD, NEW = "2026-02-22T23:59:59.999Z", "2026-02-23T00:00:00.000Z"


@pytest.mark.parametrize(
    ("text", "old"),
    [
        (OLD, True),
        (NEW, False),
        ("2026-02-23T13:59:59+14:00", True),
        ("2026-02-22T12:00:00-12:00", False),
        ("2019-06-21T17:35:47Z", True),
        ("2026-03-01T00:00:00Z", False),
        ("9999-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00Z", True),
        (NOW_MS - MAX_AGE_MS - 1, True),
        (NOW_MS - MAX_AGE_MS, False),
        ("soon", False),
        (None, False),
    ],
)
def test_how_old_an_event_is_shows_from_its_time(text: Any, *, old: bool) -> None:
    """By the quick look and by the exact one; without a time to read nothing is known."""
    assert of_age(Visibility(Clock()), text) == ([WarningKind.OLD] if old else [])


def test_without_a_time_of_segments_the_other_times_count() -> None:
    """As in what is sent."""
    assert of_age(Visibility(Clock()), None, receivedAt=OLD) == [WarningKind.OLD]
    assert of_age(Visibility(Clock()), "soon", originalTimestamp=NEW, receivedAt=OLD) == []


def test_what_is_new_today_is_old_in_a_week() -> None:
    """The quick look goes with the clock."""
    clock = Clock()
    visibility = Visibility(clock)
    ages = []
    for hour in range(24 * 9):
        clock.now_s = (NOW_MS + hour * DAY_MS / 24) / 1000
        ages.append(bool(of_age(visibility, "2026-03-02T00:00:00Z")))
    assert ages == [hour > 24 * 7 for hour in range(24 * 9)]


@given(st.integers(-20 * DAY_MS, 20 * DAY_MS), st.integers(-14 * 60, 14 * 60), st.integers(0, DAY_MS))
def test_the_quick_look_never_differs_from_the_exact_one(age_ms: int, offset_min: int, of_day_ms: int) -> None:
    """Whatever the zone that a time is written in, and the hour of the day."""
    assume(abs(age_ms - MAX_AGE_MS) > 1)
    clock = Clock()
    clock.now_s = (NOW_MS + of_day_ms) / 1000
    at_ms = NOW_MS + of_day_ms - age_ms
    zone = timezone(timedelta(minutes=offset_min))
    text = (datetime.fromtimestamp(0, zone) + timedelta(milliseconds=at_ms)).isoformat()
    assert bool(of_age(Visibility(clock), text)) is (age_ms > MAX_AGE_MS)


@pytest.mark.parametrize(
    ("value", "ignored"),
    [
        *((plain, False) for plain in (None, True, 1, 1.5, "x", ["a", 1, None], [["a"]])),
        *((compound, True) for compound in ({"a": 1}, [{"b": 1}], ["a", {"b": 1}])),
        ([], False),
        ({}, True),
        ([{}], True),
    ],
)
def test_objects_are_ignored_also_inside_lists(value: Any, *, ignored: bool) -> None:
    """Everything else is kept."""
    warnings = of_metadata(Visibility(Clock()), {"plan": "pro", "odd": value})
    assert [(w.kind, w.about) for w in warnings] == ([(WarningKind.IGNORED_VALUE, "traits: odd")] if ignored else [])


@pytest.mark.parametrize(
    ("names", "about"),
    [
        (["plan", "Plan"], "plan = Plan"),
        (["Plan", "seats", "PLAN", "plan"], "Plan = PLAN = plan"),
        (["a", "A", "b", "B"], "a = A, b = B"),
        (["1", "_1"], "1 = _1"),
        (["Ärger", "ärger"], "Ärger = ärger"),
    ],
)
def test_names_that_fall_together_are_told_each_time(names: list[str], about: str) -> None:
    """Also when they have been seen before."""
    visibility = Visibility(Clock())
    for _ in range(2):
        [warning] = of_metadata(visibility, dict.fromkeys(names, 1))
        assert (warning.kind, warning.about) == (WarningKind.NAME_COLLISION, f"traits: {about}")


def test_a_name_of_metadata_is_kept_in_lower_case_and_begins_with_no_digit() -> None:
    """As Pendo does it."""
    assert [metadata_name(name) for name in ("Plan", "300", "", "_X", "a1")] == ["plan", "_300", "", "_x", "a1"]


def sized(raw: bytes | None, properties: dict[str, Any] | None) -> int:
    return size_bytes_of(Event(EventType.TRACK, {}, raw), properties)


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = {"": value}
    assert isinstance(value, dict)
    return value


def test_the_size_is_that_of_the_json() -> None:
    """But it is not looked at where the whole event is smaller, or nothing is there."""
    assert sized(None, {"a": "é"}) == len(orjson.dumps({"a": "é"}))
    assert sized(b"x" * 513, {"a": 1}) == 7
    assert [sized(b"x" * 512, {"a": 1}), sized(None, {}), sized(None, None)] == [0, 0, 0]


@pytest.mark.parametrize("levels", [253, 254, 255, 256, 1000])
def test_what_is_nested_too_deeply_to_be_written_is_too_large(levels: int) -> None:
    """Its brackets alone are more than 512 bytes, whatever stands in them."""
    for raw in (None, b"x" * 2000):
        assert sized(raw, nested(levels)) > 512


VALUES = st.integers() | st.text() | st.lists(st.dictionaries(st.text(), st.none()))


@given(st.dictionaries(st.text(max_size=40) | st.just("groupId"), VALUES))
def test_nothing_raises(values: dict[str, Any]) -> None:
    """Whatever names and values there are."""
    visibility = Visibility(Clock())
    fields = {"properties": values, "context": values}
    everything: Iterable[Warnings] = (
        of_metadata(visibility, values),
        visibility.of_track_event(fields, values, 600, pendo_id(values.get("groupId"))),
    )
    for warnings in everything:
        assert all(message(warning) for warning in warnings)
