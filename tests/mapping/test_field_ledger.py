"""The field ledger: what arrives, of which type, and as what it goes out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.mapping.ledger import Entry, Ledger
from consumer.mapping.router import Router
from consumer.outcomes import EventType
from consumer.pendo.requests import Route
from tests.support.rules import CALLS, event_of, ruled_router


def ledger_of(rules: Any, *events: dict[str, Any], max_fields: int = 100) -> Ledger:
    ledger = Ledger(ruled_router(rules), max_fields)
    for fields in events:
        ledger.add(event_of({"userId": "u", "groupId": "g", "event": "Ran", "messageId": "m"} | fields))
    return ledger


def identify(**traits: Any) -> dict[str, Any]:
    return {"type": "identify", "traits": traits}


def goes_as(rules: Any, traits: dict[str, Any]) -> dict[str, list[str]]:
    return {entry.name: list(entry.names) for entry in ledger_of(rules, identify(**traits)).entries()}


def test_fields_are_told_by_type_and_name_with_how_often_they_were_what() -> None:
    """Of identify and group the traits, of track, page and screen the properties; no value is kept."""
    ledger = ledger_of(
        None,
        identify(plan="pro", seats=3),
        identify(plan=None),
        {"type": "group", "traits": {"plan": True}},
        {"type": "track", "properties": {"items": [1], "rate": 0.5}},
        {"type": "page", "properties": None},
        {"type": "alias", "traits": {"x": 1}},
    )
    assert [(entry.type.value, entry.name, entry.events, dict(entry.kinds)) for entry in ledger.entries()] == [
        ("group", "plan", 1, {"boolean": 1}),
        ("identify", "plan", 2, {"text": 1, "null": 1}),
        ("identify", "seats", 1, {"number": 1}),
        ("track", "items", 1, {"list": 1}),
        ("track", "rate", 1, {"number": 1}),
    ]
    assert ledger.events == 6


@pytest.mark.parametrize(
    ("rules", "traits", "expected"),
    [
        (None, {"Plan": 1, "2fa": 1}, {"2fa": ["_2fa"], "Plan": ["plan"]}),
        (None, {"home": {"city": 1}}, {"home.city": []}),
        ({"fields": {"identify": {"flatten": True}}}, {"home": {"city": 1}}, {"home.city": ["home_city"]}),
        ({"fields": {"identify": {"rename": {"a": "b"}}}}, {"a": 1, "c": 1}, {"a": ["b"], "c": ["c"]}),
        (
            {"fields": {"identify": {"drop": ["a"], "coerce": {"c": "integer"}}}},
            {"a": 1, "c": "1"},
            {"a": [], "c": ["c"]},
        ),
        ({"fields": {"identify": {"keep": ["c"]}}}, {"a": 1, "c": "1"}, {"a": [], "c": ["c"]}),
        ({"fields": {"identify": {"constants": {"a": 1}}}}, {"a": "x"}, {"a": []}),
        ({"personal_data": {"hash": {"traits": ["email"]}}}, {"email": "a@x"}, {"email": ["email"]}),
        ({"personal_data": {"drop": {"traits": ["email"]}}}, {"email": "a@x"}, {"email": []}),
        ({"deny": [{"traits": {"a": 1}}]}, {"a": 1}, {"a": []}),
    ],
)
def test_a_field_goes_as_what_the_rules_make_of_it(
    rules: Any, traits: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    """Followed by marks through the compiled rules themselves, so that nothing has to be guessed from values."""
    assert goes_as(rules, traits) == expected


def test_an_override_is_followed_by_what_came() -> None:
    """The marks decide nothing."""
    rules = {"overrides": [{"traits": {"vip": True}, "types": "identify", "fields": {"rename": {"plan": "tariff"}}}]}
    ledger = ledger_of(rules, identify(vip=True, plan="a"), identify(vip=False, plan="a"))
    [plan, _] = ledger.entries()
    assert dict(plan.names) == {"tariff": 1, "plan": 1}
    assert plan.left_out == 0


def test_there_is_room_for_so_many_fields_and_no_more() -> None:
    """A source that makes up names as it goes costs no memory; what had no room is counted."""
    ledger = ledger_of(None, *(identify(**{f"f{number}": 1}) for number in range(10)), max_fields=4)
    assert [entry.name for entry in ledger.entries()] == ["f0", "f1", "f2", "f3"]
    assert ledger.unlisted == 6


def test_what_the_metadata_api_is_not_sent_counts_as_left_out() -> None:
    """Null, and a list of objects alone; to the Segment endpoint both go."""
    traits = {"plan": "pro", "gone": None, "odd": [{"a": 1}], "some": [1, {"a": 1}]}
    router = Router(dict.fromkeys(CALLS[:2], Route.METADATA), "skip")
    for type_ in ("identify", "group"):
        ledger = Ledger(router)
        ledger.add(event_of({"type": type_, "userId": "u", "groupId": "g", "traits": traits}))
        assert [(entry.name, list(entry.names), entry.left_out) for entry in ledger.entries()] == [
            ("gone", [], 1),
            ("odd", [], 1),
            ("plan", ["plan"], 0),
            ("some", ["some"], 0),
        ]
    assert goes_as(None, {"gone": None}) == {"gone": ["gone"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(type_=st.sampled_from(list(EventType)), traits=JSON, properties=JSON)
def test_whatever_comes_is_looked_at_without_trouble(type_: EventType, traits: Any, properties: Any) -> None:
    """Each field's counts add up."""
    rules = {"fields": {name: {"flatten": True} for name in ("identify", "group", "track", "page", "screen")}}
    ledger = Ledger(ruled_router(rules))
    event = event_of({"type": "track", "userId": "u", "groupId": "g", "event": "Ran", "name": "Home"})
    event.type = type_
    event.fields |= {"traits": traits, "properties": properties, "type": type_.value}
    ledger.add(event)
    for entry in ledger.entries():
        assert isinstance(entry, Entry)
        assert entry.kinds.total() == entry.events == 1
        assert entry.names.total() + entry.left_out >= 1
