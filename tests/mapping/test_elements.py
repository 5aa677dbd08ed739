"""identify and group by the Metadata API, delete by bulk deletion: what golden cases cannot say."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import ConfigError
from consumer.mapping.metadata import without_values
from consumer.mapping.result import Ended, Mapped
from consumer.mapping.router import Router
from consumer.mapping.ruled import RuledRouter
from consumer.mapping.visibility import metadata_name, shown_value
from consumer.outcomes import EventType, Outcome, Reason, WarningKind
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event
from tests.mapping.test_router import EVENTS, deep
from tests.support.rules import rules_from

STATES = (EventType.IDENTIFY, EventType.GROUP)
ROUTES = dict.fromkeys(STATES, Route.METADATA) | {EventType.DELETE: Route.BULKDELETE}


def map_by(type_: EventType, *, with_values: bool = False, **changes: Any) -> Mapped:
    fields = EVENTS.get(type_, {"type": "delete", "userId": "u"}) | changes
    return Router(ROUTES, "skip", with_values=with_values).map(Event(type_, fields, b"raw"))


def sent(type_: EventType, *, with_values: bool = False, **changes: Any) -> Request:
    mapped = map_by(type_, with_values=with_values, **changes)
    assert isinstance(mapped, Request)
    return mapped


@pytest.mark.parametrize(("type_", "lane"), list(zip(STATES, ("visitor:u", "account:g"), strict=True)))
def test_it_stands_in_the_lane_of_whom_it_is_about_alone(type_: EventType, lane: str) -> None:
    """A group waits for no other of its visitor, and is in no run: writes of one account go together."""
    request = sent(type_)
    assert (request.route, request.lanes) == (Route.METADATA, [lane])
    assert (request.account, request.state_hash) == (None, 0)
    assert request.state is not None
    assert (request.state.key, request.state.fields, request.state.values) == (lane, ("a",), ())


def test_its_state_has_the_names_that_go_out() -> None:
    """By these it is compared with what was delivered, so that Plan and plan are one field."""
    request = sent(EventType.IDENTIFY, traits={"Plan": 1, "gone": None, "odd": {"a": 1}}, with_values=True)
    assert request.state is not None
    assert request.state.fields == ("plan",)
    assert len(request.state.values) == 1


def test_a_stale_field_is_taken_out_of_the_element() -> None:
    """The rest goes as it is."""
    request = sent(EventType.GROUP, traits={"a": 1, "B": 2})
    assert request.state is not None
    stripped = request.state.strip(request.body, {"b"})
    assert orjson.loads(stripped) == {"accountId": "g", "values": {"a": 1}}


def test_an_element_that_cannot_be_written_again_stays_whole() -> None:
    """It was written once, by the standard library; a stale field costs less than the event."""
    body = b'{"visitorId":"u","values":{"a":' + b"[" * 1_000 + b"]" * 1_000 + b"}}"
    assert without_values(body, {"b"}) == body


@pytest.mark.parametrize("type_", STATES)
def test_what_is_nested_too_deeply_is_a_dead_letter(type_: EventType) -> None:
    """As on every route; lists in lists are Pendo's to judge, but for their depth."""
    mapped = map_by(type_, traits={"a": deep(100_000)})
    assert isinstance(mapped, Ended)
    assert (mapped.outcome, mapped.reason) == (Outcome.DEAD_LETTERED, Reason.UNDECODABLE)


@pytest.mark.parametrize("type_", [*STATES, EventType.DELETE])
def test_the_event_that_came_stays_as_it_was(type_: EventType) -> None:
    """A dead letter still needs it."""
    fields = {"type": type_.value, "userId": "u", "groupId": "g", "traits": {"A": [1, {"b": 1}], "c": None}}
    before = copy.deepcopy(fields)
    assert isinstance(Router(ROUTES, "skip").map(Event(type_, fields, None)), Request)
    assert fields == before


def test_repeats_are_known_and_different_events_are_not_repeats() -> None:
    """One messageId on two types, of two accounts, or of two users of one account, is two events."""
    first = sent(EventType.IDENTIFY, messageId="m")
    assert first.identity == sent(EventType.IDENTIFY, messageId="m").identity != 0
    group = sent(EventType.GROUP, messageId="m", userId=678)
    assert group.identity == sent(EventType.GROUP, messageId="m", userId="678").identity != 0
    others = [
        first,
        sent(EventType.GROUP, messageId="m", userId=678, groupId="h"),
        sent(EventType.DELETE, messageId="m"),
    ]
    others += [sent(EventType.GROUP, messageId="m"), sent(EventType.GROUP, messageId="m", userId=None)]
    others.append(sent(EventType.GROUP, messageId="m", userId=None, anonymousId="a"))
    assert len({group.identity, *(other.identity for other in others)}) == 1 + len(others)
    assert sent(EventType.IDENTIFY).identity == 0


def test_a_delete_is_no_state() -> None:
    """It is sent as it is, whatever was written of the visitor."""
    request = sent(EventType.DELETE)
    assert (request.route, request.lanes, request.body, request.state) == (
        Route.BULKDELETE,
        ["visitor:u"],
        b'"u"',
        None,
    )


@pytest.mark.parametrize(
    ("type_", "route"),
    [
        (EventType.TRACK, Route.METADATA),
        (EventType.PAGE, Route.METADATA),
        (EventType.DELETE, Route.METADATA),
        (EventType.IDENTIFY, Route.BULKDELETE),
        (EventType.GROUP, Route.BULKDELETE),
        (EventType.ALIAS, Route.METADATA),
    ],
)
def test_a_type_takes_only_its_own_routes(type_: EventType, route: Route) -> None:
    """Said at the start, not at the first event."""
    with pytest.raises(ConfigError, match=f"routes.{type_}: {type_} events cannot go by the route `{route}`"):
        Router({type_: route}, "skip")


def test_a_rule_names_the_account() -> None:
    """A value of the traits in place of groupId."""
    router = RuledRouter(ROUTES, "skip", rules_from({"account": ["traits.company.id"]}))
    event = EVENTS[EventType.GROUP] | {"traits": {"company": {"id": "c-1"}, "seats": 3}}
    mapped = router.map(Event(EventType.GROUP, event, None))
    assert isinstance(mapped, Request)
    assert mapped.lane == "account:c-1"
    assert orjson.loads(mapped.body) == {"accountId": "c-1", "values": {"seats": 3}}


def test_rules_go_for_deletions_too() -> None:
    """A deletion of an environment that is denied never reaches Pendo."""
    router = RuledRouter(ROUTES, "skip", rules_from({"deny": [{"types": ["delete"]}]}))
    mapped = router.map(Event(EventType.DELETE, {"type": "delete", "userId": "u"}, None))
    assert isinstance(mapped, Ended)
    assert (mapped.outcome, mapped.reason) == (Outcome.FILTERED, Reason.RULE)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=8))
def test_whatever_the_traits_are_only_what_pendo_shows_goes_out(traits: dict[str, Any]) -> None:
    """Names as Pendo keeps them, no null, no object; the last of two alike; nothing at all is `no_traits`."""
    mapped = map_by(EventType.IDENTIFY, traits=traits)
    expected: dict[str, Any] = {}
    for name, value in traits.items():
        if value is not None and not isinstance(value, dict) and (shown := shown_value(value)) is not None:
            expected[metadata_name(name)] = shown
    if not expected:
        assert isinstance(mapped, Ended)
        assert mapped.reason is Reason.NO_TRAITS
        return
    assert isinstance(mapped, Request)
    assert orjson.loads(mapped.body) == {"visitorId": "u", "values": expected}
    values = orjson.loads(mapped.body)["values"].values()
    assert not any(holds_object(value) for value in values)
    ignored = any(holds_object(value) for value in traits.values())
    assert ignored == (WarningKind.IGNORED_VALUE in [warning.kind for warning in mapped.warnings])


def holds_object(value: Any) -> bool:
    """In whatever depth of lists."""
    return isinstance(value, dict) or (isinstance(value, list) and any(map(holds_object, value)))


def test_objects_in_lists_of_lists_are_left_out_too() -> None:
    """Pendo ignores them wherever they stand; a list is as long as what is left of it."""
    request = sent(EventType.IDENTIFY, traits={"a": [[1, {"b": 1}, [{"c": 1}, 2]], {"d": 1}], "e": [], "f": [None]})
    assert orjson.loads(request.body)["values"] == {"a": [[1, [2]]], "e": [], "f": [None]}
    assert [warning.about for warning in request.warnings] == ["traits: a"]


def test_lists_as_deep_as_can_be_read_are_looked_through() -> None:
    """Without a stack that could run out."""
    nested: Any = [{"gone": 1}, 1]
    for _ in range(900):
        nested = [nested]
    body = sent(EventType.IDENTIFY, traits={"a": nested}).body
    assert b"[1]" in body
    assert b"gone" not in body


def test_names_that_fall_together_are_warned_of_when_both_go_out() -> None:
    """A null is not sent, so nothing is overwritten by it or overwrites it."""
    both = sent(EventType.GROUP, traits={"Plan": 1, "plan": 2})
    assert [warning.kind for warning in both.warnings] == [WarningKind.NAME_COLLISION]
    for traits in ({"Plan": 1, "plan": None}, {"Plan": {"a": 1}, "plan": 1}, {"plan": None, "Plan": 1}):
        request = sent(EventType.GROUP, traits=traits)
        assert orjson.loads(request.body)["values"] == {"plan": 1}
        assert WarningKind.NAME_COLLISION not in [warning.kind for warning in request.warnings]
