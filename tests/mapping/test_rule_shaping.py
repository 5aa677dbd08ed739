"""What becomes of traits and properties: flatten, drop, rename, coerce, keep, constants."""

from typing import Any

import pytest

from consumer.mapping.rules import coerce
from tests.support.rules import CALLS, ruled


def properties(rules: dict[str, Any], before: Any) -> Any:
    changed = ruled({"fields": {"track": rules}}, {"type": "track", "event": "e", "properties": before})
    assert changed is not None
    return changed["properties"]


@pytest.mark.parametrize("type_", CALLS)
def test_each_type_has_rules_of_its_own(type_: str) -> None:
    """Traits of identify and group, properties of the others."""
    key = "traits" if type_ in {"identify", "group"} else "properties"
    event = {"type": str(type_), "traits": {"a": 1}, "properties": {"a": 1}}
    changed = ruled({"fields": {str(type_): {"rename": {"a": "b"}}}}, event)
    assert changed == event | {key: {"b": 1}}
    others = {str(other): {"rename": {"a": "b"}} for other in CALLS if other != type_}
    assert ruled({"fields": others}, event) == event


def test_flatten_names_what_lies_in_objects() -> None:
    """Lists stay, empty objects go, a name that stands there already keeps its value."""
    before = {"a": {"b": {"c": 1}, "d": [{"e": 1}]}, "x": {}, "a_d": 0}
    assert properties({"flatten": True}, before) == {"a_b_c": 1, "a_d": 0}
    assert properties({"flatten": True}, {"a": {"d": [1]}}) == {"a_d": [1]}
    assert properties({"flatten": True}, {"a_d": 0, "a": {"d": 1}}) == {"a_d": 0}
    assert properties({"flatten": True}, {"a": {"b": {"c": 1}}, "a_b": {"x": 2}}) == {"a_b_c": 1, "a_b_x": 2}


def test_flatten_stops_at_eight_levels() -> None:
    """However deeply an event is nested."""
    nested: dict[str, Any] = {"x": 1}
    for _ in range(2000):
        nested = {"x": nested}
    [(name, value)] = properties({"flatten": True}, nested).items()
    assert name == "_".join("x" * 9)
    assert isinstance(value, dict)


def test_rename_lets_the_last_of_two_win() -> None:
    """As Pendo does when names fall together."""
    assert properties({"rename": {"a": "b"}}, {"a": 1, "c": 2}) == {"b": 1, "c": 2}
    assert properties({"rename": {"a": "b"}}, {"b": 1, "a": 2}) == {"b": 2}
    assert properties({"rename": {"a": "b", "b": "a"}}, {"a": 1, "b": 2}) == {"b": 1, "a": 2}


def test_drop_and_keep_take_globs() -> None:
    """And case counts, as it does for names."""
    before = {"plan": 1, "company_id": 2, "company_name": 3, "Plan": 4}
    assert properties({"drop": ["company_*", "plan"]}, before) == {"Plan": 4}
    assert properties({"keep": ["company_*", "plan"]}, before) == {"plan": 1, "company_id": 2, "company_name": 3}


def test_keep_never_takes_the_account_away() -> None:
    """Pendo reads it from the properties; of an account's traits groupId is one like all others."""
    assert properties({"keep": "plan"}, {"groupId": "g", "a": 1}) == {"groupId": "g"}
    changed = ruled({"fields": {"group": {"keep": "plan"}}}, {"type": "group", "traits": {"groupId": "g", "a": 1}})
    assert changed is not None
    assert changed["traits"] == {}


def test_constants_are_set_whatever_the_event_says() -> None:
    """Also where it has no properties at all."""
    for before in ({"a": 1}, {}, None):
        assert properties({"constants": {"a": "x", "b": [1]}}, before) == {"a": "x", "b": [1]}


def test_the_kinds_go_in_their_order() -> None:
    """Flatten, drop, rename, coerce, keep, constants: each sees the names that the one before left."""
    rules = {
        "constants": {"k": 1},
        "keep": ["n", "k"],
        "coerce": {"n": "number"},
        "rename": {"a_b": "n"},
        "drop": ["a_c"],
        "flatten": True,
    }
    assert properties(rules, {"a": {"b": "5", "c": 1}, "k": 0, "z": 1}) == {"n": 5, "k": 1}


@pytest.mark.parametrize("odd", [[], "x", 5, False])
@pytest.mark.parametrize("type_", CALLS)
def test_what_is_no_object_is_left_to_be_judged(type_: str, odd: Any) -> None:
    """A rule never makes a wrong event right."""
    event = {"type": str(type_), "traits": odd, "properties": odd, "context": {"traits": {"a": 1}}}
    assert ruled({"fields": {str(type_): {"flatten": True, "constants": {"a": 1}}}}, event) == event


def test_an_identify_without_traits_has_those_of_its_context_changed() -> None:
    """They are what goes out."""
    event = {"type": "identify", "context": {"traits": {"a": 1}, "ip": "i"}}
    rules = {"fields": {"identify": {"rename": {"a": "b"}}}}
    assert ruled(rules, event) == {"type": "identify", "context": {"traits": {"b": 1}, "ip": "i"}}
    assert ruled(rules, event | {"traits": {"a": 2}}) == event | {"traits": {"b": 2}}


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("text", 12, "12"),
        ("text", 1.5, "1.5"),
        ("text", True, "true"),
        ("text", None, None),
        ("text", [1], [1]),
        ("number", "12", 12),
        ("number", " -1.50 ", -1.5),
        ("number", "1e3", 1000.0),
        ("number", "1e999", "1e999"),
        ("number", "9" * 30, 1e30),
        ("number", "9" * 19, "9" * 19),
        ("number", "1_000", "1_000"),
        ("number", "١٢", "١٢"),
        ("number", "", ""),
        ("number", True, True),
        ("integer", "12", 12),
        ("integer", 12.0, 12),
        ("integer", "12.0", 12),
        ("integer", 12.5, 12.5),
        ("integer", 1e300, 1e300),
        ("integer", "x", "x"),
        ("boolean", "Yes", True),
        ("boolean", "off", False),
        ("boolean", 1, True),
        ("boolean", 0.0, False),
        ("boolean", 2, 2),
        ("boolean", "maybe", "maybe"),
        ("boolean", [], []),
        ("date", 1_700_000_000, "2023-11-14T22:13:20.000Z"),
        ("date", 1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        ("date", "1700000000", "2023-11-14T22:13:20.000Z"),
        ("date", "2023-11-14", "2023-11-14"),
        ("date", 1e300, 1e300),
        ("date", -1e11, "1966-10-31T14:13:20.000Z"),
        ("date", True, True),
        ("date", None, None),
    ],
)
def test_a_value_gets_its_type_or_stays(kind: coerce.Kind, value: Any, result: Any) -> None:
    """Nothing is lost for being of another type."""
    changed = properties({"coerce": {"a": kind, "absent": kind}}, {"a": value})
    assert changed == {"a": result}
    assert type(changed["a"]) is type(result)
