"""Names of tracks, pages and screens, and the account."""

from typing import Any

import pytest

from consumer.mapping.result import Ended
from consumer.mapping.rules.naming import Template
from consumer.outcomes import Reason
from consumer.pendo.requests import Request
from tests.support.rules import event_of, ruled, ruled_router

PAGE = {"type": "page", "userId": "u", "name": "Pricing", "category": "Docs", "properties": {"path": "/p", "n": 1}}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{name}", "Pricing"),
        ("{category}: {name}", "Docs: Pricing"),
        ("Page {properties.path}", "Page /p"),
        ("{{{name}}} {{x}}", "{Pricing} {x}"),
        ("Page", "Page"),
        ("{properties.n}", None),
        ("{properties.absent} {name}", None),
        ("{properties.path.deeper}", None),
    ],
)
def test_a_template_is_filled_or_does_not_fit(template: str, name: str | None) -> None:
    """Every place needs text."""
    assert Template(template).fill(PAGE) == name


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{0}", "{name!r}", "{name:>9}", "{name.x}", "{properties.}", "{other}"]
)
def test_what_is_no_template_is_said_at_the_start(text: str) -> None:
    """Nothing but names of places is taken from Python's formats."""
    with pytest.raises(ValueError, match=r"."):
        Template(text)


@pytest.mark.parametrize("type_", ["page", "screen"])
def test_a_page_takes_the_first_template_that_fits(type_: str) -> None:
    """It is a track event from here on, without top-level name and category."""
    rules = {"names": {type_: ["{properties.absent}", "{category} {name}", "{name}"]}}
    event = PAGE | {"type": type_}
    properties = event["properties"]
    assert ruled(rules, event) == {"type": "track", "userId": "u", "event": "Docs Pricing", "properties": properties}
    bare = ruled(rules, event | {"category": " "})
    assert bare is not None
    assert bare["event"] == "Pricing"
    unnamed = event | {"name": None, "category": None}
    assert ruled(rules, unnamed) == unnamed


@pytest.mark.parametrize("odd", [{"name": 5}, {"category": ["x"]}])
def test_a_wrong_name_stays_wrong(odd: dict[str, Any]) -> None:
    """A template is no way around `invalid_event`."""
    mapped = ruled_router({"names": {"page": "Page"}}).map(event_of(PAGE | odd))
    assert isinstance(mapped, Ended)
    assert mapped.reason is Reason.INVALID_EVENT


def test_a_track_gets_another_name() -> None:
    """Those that are not listed keep theirs, and what is none stays none."""
    rules = {"names": {"track": {"A": "B", "B": "C"}}}
    for came, goes in (("A", "B"), ("B", "C"), ("a", "a"), (5, 5), (None, None), (["A"], ["A"])):
        assert ruled(rules, {"type": "track", "event": came}) == {"type": "track", "event": goes}


def test_a_named_page_goes_by_the_route_of_pages() -> None:
    """With everything that a track event gets, its account for one."""
    mapped = ruled_router({"names": {"page": "Page"}}).map(event_of(PAGE | {"context": {"groupId": "g"}}))
    assert isinstance(mapped, Request)
    assert b'"event":"Page"' in mapped.body
    assert b'"groupId":"g"}' in mapped.body


@pytest.mark.parametrize("type_", ["track", "page", "screen"])
def test_the_account_is_the_first_path_that_holds_an_id(type_: str) -> None:
    """It goes before the event's own, which stays where no path holds one."""
    rules = {"account": ["traits.company.id", "properties.org"]}
    event = {"type": type_, "properties": {"org": 7, "groupId": "own"}, "context": {"traits": {"company": {"id": "c"}}}}
    for context, account in ((event["context"], "c"), ({"traits": {"company": {"id": " "}}}, 7), (None, 7)):
        changed = ruled(rules, event | {"context": context})
        assert changed is not None
        assert changed["properties"] == {"org": 7, "groupId": account}
    own = {"type": type_, "properties": {"groupId": "own"}}
    assert ruled(rules, own) == own
    assert ruled(rules, {"type": type_, "context": event["context"]}) == {
        "type": type_,
        "context": event["context"],
        "properties": {"groupId": "c"},
    }


@pytest.mark.parametrize("odd", [["x"], "x", 5, False])
def test_an_account_makes_no_wrong_properties_right(odd: Any) -> None:
    """They are judged later."""
    event = {"type": "track", "properties": odd, "context": {"traits": {"id": "c"}}}
    assert ruled({"account": "traits.id"}, event) == event


@pytest.mark.parametrize("odd", [True, None, {}, [], "::", 1e300])
def test_what_pendo_takes_for_no_id_is_no_account(odd: Any) -> None:
    """The next path counts, and at last the event itself."""
    event = {"type": "group", "groupId": "own", "traits": {"company_id": odd}}
    assert ruled({"account": "traits.company_id"}, event) == event


def test_a_trait_gives_the_account_of_a_group() -> None:
    """Its own traits, not the user's in the context."""
    event = {"type": "group", "groupId": "own", "traits": {"id": 5}, "context": {"traits": {"id": "u"}}}
    assert ruled({"account": "traits.id"}, event) == event | {"groupId": 5}


def test_an_override_names_and_shapes_some_events_only() -> None:
    """What it does not say goes as for the type; the first that holds counts."""
    rules = {
        "names": {"track": {"Order 1": "One", "Other": "Else"}},
        "fields": {"track": {"rename": {"a": "b"}, "keep": ["b", "total"]}},
        "overrides": [
            {"events": "Order 1", "fields": {"keep": []}},
            {"events": "Order *", "event": "Purchase", "fields": {"rename": {"a": "c"}, "keep": "c"}},
            {"events": ["Order *", "Home"], "event": "Never for orders"},
        ],
    }
    event = {"type": "track", "properties": {"a": 1, "x": 2}}
    assert ruled(rules, event | {"event": "Order 1"}) == event | {"event": "One", "properties": {"b": 1, "x": 2}}
    assert ruled(rules, event | {"event": "Order 2"}) == event | {"event": "Purchase", "properties": {"c": 1}}
    assert ruled(rules, event | {"event": "Other"}) == event | {"event": "Else", "properties": {"b": 1}}
    home = ruled(rules, {"type": "page", "name": "Home", "properties": {"a": 1}})
    assert home == {"type": "track", "event": "Never for orders", "properties": {"a": 1}}


def test_an_override_cannot_name_what_is_no_event() -> None:
    """It may hold by other things than the name."""
    rules = {"overrides": [{"types": ["track", "page"], "event": "X"}]}
    for event in ({"type": "track", "event": " "}, {"type": "track"}, {"type": "page", "name": 5}):
        assert ruled(rules, event) == event
