"""`only` and `deny`: which events a condition means."""

from typing import Any

import pytest

from consumer.mapping.rules.matching import match_text, match_value
from tests.support.rules import CALLS, ruled

TRACK = {"type": "track", "userId": "u", "event": "Order Placed", "properties": {"total": 5}, "context": {}}


def denied(condition: dict[str, Any], event: dict[str, Any]) -> bool:
    return ruled({"deny": [condition]}, event) is None


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("Order", "Order", True),
        ("Order", "order", False),
        ("Order", "Order Placed", False),
        ("Order *", "Order Placed", True),
        ("*laced", "Order Placed", True),
        ("* *", "Order", False),
        ("Plan ?", "Plan A", True),
        ("Plan ?", "Plan", False),
        ("Plan ?", "Plan AB", False),
        ("[debug] *", "[debug] x", True),
        ("[debug] *", "d x", False),
        ("a.c*", "abc", False),
        ("*", "", True),
        ("*", "two\nlines", True),
    ],
)
def test_a_glob_has_a_star_and_a_question_mark_and_nothing_else(pattern: str, text: str, matches: bool) -> None:  # noqa: FBT001
    """Names of events begin with brackets and hold dots."""
    assert match_text([pattern])(text) is matches
    assert match_text(["x", pattern])(text) is matches


def test_a_glob_of_many_stars_is_quick() -> None:
    """Names come from outside: none may take seconds."""
    assert not match_text(["*a" * 20 + "b"])("a" * 5000)


@pytest.mark.parametrize("wanted", [True, 1, "1", None, 1.5, "true", False, 0])
def test_values_of_other_types_are_other_values(wanted: Any) -> None:
    """`true`, 1 and "1" are three; 1 and 1.0 are one, as in JSON."""
    others = [True, 1, "1", None, 1.5, "true", False, 0, [], {}, [wanted], {"a": wanted}]
    matches = match_value([wanted])
    assert [other for other in others if matches(other)] == [wanted]
    assert [type(other) for other in others if matches(other)] == [type(wanted)]
    assert match_value([1])(1.0)


@pytest.mark.parametrize("part", ["context", "properties", "traits"])
def test_a_value_is_found_by_a_path_and_by_a_name_with_dots(part: str) -> None:
    """Names with dots are names too."""
    event = {"type": "identify", "userId": "u"}
    condition = {part: {"a.b": "x"}}
    assert denied(condition, event | {part: {"a": {"b": "x"}}})
    assert denied(condition, event | {part: {"a.b": "x"}})
    assert not denied(condition, event | {part: {"a": "x"}})
    odds: list[Any] = [None, [], "x", 5, {"a": [{"b": "x"}]}, {"a": None}]
    for odd in odds:
        assert not denied(condition, event | {part: odd})


def test_all_that_is_written_must_hold() -> None:
    """Of a list one is enough."""
    condition = {"types": ["track", "page"], "events": ["Order *", "Paid"], "properties": {"total": [5, 6]}}
    assert denied(condition, TRACK)
    assert not denied(condition | {"types": "page"}, TRACK)
    assert not denied(condition | {"events": "Paid"}, TRACK)
    assert not denied(condition | {"properties": {"total": 6}}, TRACK)


def test_null_means_absent_too() -> None:
    """An event without an environment is from an old source."""
    condition = {"context": {"environment": None}}
    assert denied(condition, TRACK)
    assert denied(condition, TRACK | {"context": None})
    assert denied(condition, TRACK | {"context": {"environment": None}})
    assert not denied(condition, TRACK | {"context": {"environment": "production"}})


def test_events_are_names_of_tracks_pages_and_screens_as_they_came() -> None:
    """A page's is its own, not the one that Segment makes of it."""
    condition = {"events": "Home"}
    assert denied(condition, {"type": "track", "event": "Home"})
    assert denied(condition, {"type": "page", "name": "Home"})
    assert denied(condition, {"type": "screen", "name": "Home"})
    assert not denied(condition, {"type": "page", "name": "Viewed Home Page"})
    assert not denied(condition, {"type": "identify", "name": "Home", "event": "Home"})
    odds: list[Any] = [None, 5, ["Home"], {}]
    for odd in odds:
        assert not denied(condition, {"type": "track", "event": odd})


def test_traits_are_those_of_the_visitor_or_of_the_group() -> None:
    """Segment copies a user's traits into the context; a group's own are the account's."""
    condition = {"traits": {"email": "*@x.com"}}
    traits = {"email": "a@x.com"}
    assert denied(condition, {"type": "identify", "traits": traits})
    assert denied(condition, {"type": "identify", "context": {"traits": traits}})
    assert not denied(condition, {"type": "identify", "traits": {"a": 1}, "context": {"traits": traits}})
    assert denied(condition, {"type": "group", "traits": traits})
    assert not denied(condition, {"type": "group", "context": {"traits": traits}})
    assert denied(condition, {"type": "track", "context": {"traits": traits}})
    assert not denied(condition, {"type": "track", "traits": traits})


def test_only_restricts_the_types_that_its_conditions_are_about() -> None:
    """A list of event names is no reason to lose every visitor."""
    only = {"only": [{"events": ["Paid"]}, {"events": "Order *", "types": "track"}]}
    passes = {type_: ruled(only, {"type": type_.value, "event": "Order 1", "name": "Order 1"}) for type_ in CALLS}
    assert [type_.value for type_, fields in passes.items() if fields is not None] == ["identify", "group", "track"]
    assert ruled(only, {"type": "page", "name": "Paid"}) is not None


def test_only_without_types_and_events_is_about_all() -> None:
    """An environment is one for all of its events."""
    only = {"only": [{"context": {"environment": "production"}}]}
    for type_ in (*CALLS, "alias", "delete"):
        event = {"type": str(type_), "context": {"environment": "dev"}}
        assert ruled(only, event) is None
        assert ruled(only, event | {"context": {"environment": "production"}}) is not None


def test_deny_goes_over_only() -> None:
    """What both mean is filtered."""
    assert ruled({"only": [{"types": "track"}], "deny": [{"events": "Order *"}]}, TRACK) is None
