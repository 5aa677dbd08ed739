"""Dead letters as cases: which are meant, which are alike, what of them goes to `map`."""

import json
from dataclasses import replace
from typing import Any

import pytest

from consumer.kafka.dead_letter import field_of
from consumer.kafka.filed import Filed, read_letter
from consumer.letters import FOREIGN, Wanted, cases_of, event_of, exported, row_of, shown
from consumer.outcomes import Reason
from tests.delivery.conftest import FakeRecord
from tests.kafka.test_filed import parked

EVENT = {"type": "identify", "userId": "ann", "messageId": "m-1", "traits": []}


def filed(**changed: Any) -> Filed:
    """One of ours."""
    value = json.dumps(changed.pop("event", EVENT)).encode()
    base = replace(read_letter(parked(index=None, reason=Reason.INVALID_TRAITS)), value=value, status="", stage="map")
    return replace(base, **({"message": "traits is a list, not an object"} | changed))


def holds(wanted: Wanted, letter: Filed) -> bool:
    return wanted.holds(letter, event_of(letter, ()))


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (Wanted(), True),
        (Wanted(reasons=frozenset({"invalid_traits", "refused"})), True),
        (Wanted(reasons=frozenset({"refused"})), False),
        (Wanted(statuses=frozenset({"400"})), False),
        (Wanted(types=frozenset({"identify"})), True),
        (Wanted(types=frozenset({"track"})), False),
        (Wanted(since_ms=9_000), True),
        (Wanted(since_ms=9_001), False),
        (Wanted(until_ms=9_000), False),
        (Wanted(until_ms=9_001), True),
        (Wanted(id="ann"), True),
        (Wanted(id="m-1"), True),
        (Wanted(id="bea"), False),
        (Wanted(id=""), False),
        (Wanted(reasons=frozenset({"invalid_traits"}), id="bea"), False),
    ],
)
def test_a_letter_is_meant_when_every_filter_holds(wanted: Wanted, meant: bool) -> None:  # noqa: FBT001
    """An empty one holds for all."""
    assert holds(wanted, filed()) is meant


def test_what_another_system_wrote_is_found_by_its_own_reason() -> None:
    """It has no type, no status, no id."""
    foreign = read_letter(FakeRecord(value=b"whatever"))
    assert holds(Wanted(reasons=frozenset({FOREIGN})), foreign)
    assert row_of(foreign, None)["reason"] == FOREIGN
    assert row_of(foreign, None)["type"] == "none"


def test_letters_that_are_alike_are_one_case_with_its_newest_as_example() -> None:
    """The most frequent first; status, type and field tell cases apart."""
    letters = [
        filed(parked_ms=5, letter="dead-0@1"),
        filed(parked_ms=9, letter="dead-0@2"),
        filed(parked_ms=7, letter="dead-0@3"),
        filed(parked_ms=6, message="userId is blank", letter="dead-0@4"),
        filed(parked_ms=6, event=EVENT | {"type": "group"}, letter="dead-0@5"),
    ]
    cases = cases_of((each, event_of(each, ())) for each in letters)
    first = cases[0]
    assert (first["count"], first["first"], first["last"], first["example"]) == (3, 5, 9, "dead-0@2")
    assert {(case["type"], case["field"]) for case in cases} == {
        ("identify", "traits"),
        ("identify", "userId"),
        ("group", "traits"),
    }


def test_a_field_is_named_only_by_what_failed_in_the_mapping() -> None:
    """What Pendo refused names none."""
    assert field_of("map", "traits is no object") == "traits"
    assert field_of("deliver", "Pendo answered 400") == ""
    assert field_of("map", "nested too deeply") == ""


def test_of_an_array_the_one_event_is_exported_in_its_envelope() -> None:
    """So that `map`, with the same configuration, says of it what the service would."""
    letter = filed(event=[{"a": {"b": EVENT | {"userId": "x"}}}, {"a": {"b": EVENT}}], index=1)
    event = event_of(letter, ("a", "b"))
    assert event is not None
    assert json.loads(exported(letter, event, ("a", "b")) or b"") == {"a": {"b": EVENT}}


def test_a_single_event_is_exported_as_its_record_has_it_on_one_line() -> None:
    """Whatever it looks like there."""
    letter = replace(filed(), value=json.dumps(EVENT, indent=2).encode())
    assert exported(letter, event_of(letter, ())) == json.dumps(EVENT, separators=(",", ":")).encode()
    assert exported(replace(letter, value=b"no json"), None) == b"no json"


@pytest.mark.parametrize("value", [None, b"no\njson"])
def test_what_is_no_line_is_not_exported(value: bytes | None) -> None:
    """`show` has it."""
    assert exported(replace(filed(), value=value), None) is None


def test_an_index_beyond_what_is_there_is_no_event() -> None:
    """Somebody else's header."""
    assert event_of(filed(index=7), ()) is None


def test_a_letter_is_shown_whole_with_what_would_become_of_it_now() -> None:
    """Headers, event, and the value only where it is no event."""
    found = shown(filed(), event_of(filed(), ()), (), lambda value: ["explained", len(value)])
    assert found["event"] == EVENT
    assert found["value"] is None
    assert found["now"][0] == "explained"
    assert ["source", "web"] in found["headers"]
    odd = replace(filed(), value=b"\xff")
    assert shown(odd, None, (), lambda _: None)["value"] == "\ufffd"
