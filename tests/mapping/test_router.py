"""From an event to its request or its end."""

import copy
from typing import Any

import orjson
import pytest

from consumer.errors import ConfigError, RejectedError
from consumer.mapping.encode import encode
from consumer.mapping.result import Ended, Mapped
from consumer.mapping.router import Router
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event

CALLS = (EventType.IDENTIFY, EventType.GROUP, EventType.TRACK, EventType.PAGE, EventType.SCREEN)
ROUTES = dict.fromkeys(CALLS, Route.SEGMENTIO)

EVENTS: dict[EventType, dict[str, Any]] = {
    EventType.IDENTIFY: {"type": "identify", "userId": "u", "traits": {"a": 1}},
    EventType.GROUP: {"type": "group", "userId": "u", "groupId": "g", "traits": {"a": 1}},
    EventType.TRACK: {"type": "track", "userId": "u", "event": "Ran", "properties": {"a": 1}},
    EventType.PAGE: {"type": "page", "userId": "u", "name": "Home", "properties": {"a": 1}},
    EventType.SCREEN: {"type": "screen", "userId": "u", "name": "Home", "properties": {"a": 1}},
}


def map_fields(type_: EventType, **changes: Any) -> Mapped:
    return Router(ROUTES, "visitor").map(Event(type_, EVENTS[type_] | changes, None))


def group_hash(traits: Any) -> int:
    mapped = map_fields(EventType.GROUP, traits=traits)
    assert isinstance(mapped, Request)
    return mapped.state_hash


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("type_", CALLS)
def test_the_event_itself_is_never_changed(type_: EventType) -> None:
    """A dead letter, a merge and the other routes still need what came."""
    changes = {"userId": None, "anonymousId": "a", "writeKey": "w", "context": {"groupId": "g", "traits": {"b": 1}}}
    fields = EVENTS[type_] | changes | ({"traits": {}} if type_ is EventType.IDENTIFY else {})
    before = copy.deepcopy(fields)
    mapped = Router(ROUTES, "visitor").map(Event(type_, fields, b"raw"))
    assert isinstance(mapped, Request)
    assert mapped.body != b"raw"
    assert fields == before


@pytest.mark.parametrize("type_", CALLS)
def test_a_write_key_stays_behind_on_every_type(type_: EventType) -> None:
    """It is the secret of a source."""
    mapped = map_fields(type_, writeKey="secret")
    assert isinstance(mapped, Request)
    assert b"secret" not in mapped.body


@pytest.mark.parametrize("type_", CALLS)
def test_lane_and_route_are_those_of_the_visitor(type_: EventType) -> None:
    """678 and "678" are one visitor, and so one lane."""
    for user_id in (678, 678.0, "678"):
        mapped = map_fields(type_, userId=user_id)
        assert isinstance(mapped, Request)
        assert (mapped.route, mapped.lane) == (Route.SEGMENTIO, "visitor:678")
        assert mapped.account == ("g" if type_ is EventType.GROUP else None)


def test_equal_traits_of_an_account_have_equal_hashes() -> None:
    """Groups with equal traits may be in flight side by side, whatever the order of their keys."""
    assert group_hash({"a": 1, "b": {"c": 1, "d": 2}}) == group_hash({"b": {"d": 2, "c": 1}, "a": 1})
    assert group_hash(None) == group_hash({})
    assert group_hash({"a": deep(300), "b": 1}) == group_hash({"b": 1, "a": deep(300)})


def test_other_traits_of_an_account_have_other_hashes() -> None:
    """Two versions of an account's traits never overtake each other."""
    hashes = {group_hash(traits) for traits in ({}, {"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": deep(300)})}
    assert len(hashes) == 6


@pytest.mark.parametrize("type_", CALLS)
def test_what_cannot_be_written_again_is_a_dead_letter(type_: EventType) -> None:
    """Nesting beyond every encoder is a reason, never an exception."""
    mapped = map_fields(type_, odd=deep(200_000))
    assert isinstance(mapped, Ended)
    assert (mapped.outcome, mapped.reason) == (Outcome.DEAD_LETTERED, Reason.UNDECODABLE)


def test_group_traits_that_cannot_be_written_are_a_dead_letter() -> None:
    """Without a hash of its traits a group has no place in its account's order."""
    event = Event(EventType.GROUP, EVENTS[EventType.GROUP] | {"traits": {"a": deep(200_000)}}, b"raw")
    mapped = Router(ROUTES, "skip").map(event)
    assert isinstance(mapped, Ended)
    assert mapped.reason is Reason.UNDECODABLE


@pytest.mark.parametrize("type_", EventType)
def test_a_type_without_a_route_is_skipped(type_: EventType) -> None:
    """No type falls through: off is `no_route`, a type we do not know `unknown_type`."""
    mapped = Router({}, "skip").map(Event(type_, {"type": "x", "userId": True}, None))
    assert isinstance(mapped, Ended)
    unknown = type_ in {EventType.OTHER, EventType.NONE}
    assert mapped.outcome is Outcome.SKIPPED
    assert mapped.reason is (Reason.UNKNOWN_TYPE if unknown else Reason.NO_ROUTE)


@pytest.mark.parametrize(
    ("type_", "route"),
    [
        (EventType.ALIAS, Route.SEGMENTIO),
        (EventType.DELETE, Route.SEGMENTIO),
        (EventType.IDENTIFY, Route.BULKDELETE),
        (EventType.IDENTIFY, Route.TRACK),
        (EventType.GROUP, Route.TRACK),
        (EventType.DELETE, Route.TRACK),
        (EventType.TRACK, Route.METADATA),
    ],
)
def test_a_route_that_cannot_carry_a_type_is_an_error_of_the_configuration(type_: EventType, route: Route) -> None:
    """Said at the start, not at the first event."""
    with pytest.raises(ConfigError, match=rf"routes\.{type_}: .*`{route}`"):
        Router({type_: route}, "skip")


@pytest.mark.parametrize("type_", CALLS)
@pytest.mark.parametrize("secret", ["s3cret", {"s3cret": "s3cret"}, ["s3cret"], 1e30, True])
def test_no_message_quotes_the_event(type_: EventType, secret: Any) -> None:
    """Messages travel in headers and logs."""
    for key in ("userId", "groupId", "traits", "properties", "event", "name", "category"):
        mapped = map_fields(type_, **{key: secret})
        if isinstance(mapped, Ended):
            assert mapped.message.startswith(key)
            assert "s3cret" not in mapped.message


def test_encoding_is_of_equal_value_at_every_depth() -> None:
    """254 levels are written by orjson, the rest by the standard library, in UTF-8 as orjson does."""
    for levels in (1, 253, 254, 255, 600):
        value = {"ü🎉": deep(levels), "a": [1, 1.5, None, True]}
        assert orjson.loads(encode(value)) == value
        assert "ü🎉".encode() in encode(value)


def test_encoding_says_when_it_is_too_deep() -> None:
    """The error carries the dead letter's reason."""
    with pytest.raises(RejectedError, match="nested too deeply") as caught:
        encode(deep(200_000))
    assert caught.value.reason is Reason.UNDECODABLE
