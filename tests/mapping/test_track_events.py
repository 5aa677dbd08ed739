"""A track, page or screen by the Track Events API: what golden cases cannot say."""

import copy
from typing import Any

import orjson
import pytest

from consumer.mapping.result import Mapped
from consumer.mapping.router import Router
from consumer.outcomes import EventType
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event
from tests.mapping.test_router import EVENTS, deep

FACTS = (EventType.TRACK, EventType.PAGE, EventType.SCREEN)
NOW_S = 1_772_409_600.0
ARRIVED_MS = 1_772_000_000_000


def map_by(route: Route, type_: EventType, arrived_ms: int | None = None, **changes: Any) -> Request:
    router = Router(dict.fromkeys(FACTS, route), "visitor", clock=lambda: NOW_S)
    mapped: Mapped = router.map(Event(type_, EVENTS[type_] | changes, b"raw", arrived_ms))
    assert isinstance(mapped, Request)
    return mapped


@pytest.mark.parametrize("type_", FACTS)
def test_the_body_holds_these_fields_and_no_other(type_: EventType) -> None:
    """Whatever else the event carries stays behind: ids of devices, secrets, Segment's own fields."""
    odd: dict[str, Any] = {
        "writeKey": "w",
        "anonymousId": "a",
        "messageId": "m",
        "channel": "server",
        "context": {"groupId": "g"},
    }
    request = map_by(Route.TRACK, type_, None, **odd)
    assert list(orjson.loads(request.body)) == [
        *("type", "event", "visitorId", "timestamp", "properties", "context", "accountId")
    ]


@pytest.mark.parametrize("type_", FACTS)
def test_it_stands_in_its_visitors_lane_and_is_no_state(type_: EventType) -> None:
    """A fact is sent once and unmerged; its account is no account to be kept in order."""
    request = map_by(Route.TRACK, type_, userId=678.0, properties={"groupId": "g"})
    assert (request.route, request.lanes, request.state) == (Route.TRACK, ["visitor:678"], None)


@pytest.mark.parametrize("type_", FACTS)
def test_the_event_itself_is_not_changed(type_: EventType) -> None:
    """A dead letter still needs what came."""
    fields = EVENTS[type_] | {"context": {"groupId": "g", "page": {"url": "u"}}}
    event = Event(type_, fields, None)
    before = copy.deepcopy(fields)
    Router({type_: Route.TRACK}, "skip").map(event)
    assert event.fields == before


@pytest.mark.parametrize("type_", FACTS)
def test_a_repeat_is_the_same_by_either_route(type_: EventType) -> None:
    """The memory is of all routes: a deployment that changes its route delivers nothing twice."""
    first, second = (map_by(route, type_, messageId="m") for route in (Route.TRACK, Route.SEGMENTIO))
    assert first.identity == second.identity != 0


@pytest.mark.parametrize("unreadable", [None, "soon", 17, True, {"$date": 1}])
def test_without_a_time_to_read_the_records_arrival_counts(unreadable: Any) -> None:
    """Pendo takes no track event without a time; the present is for events that came in no record."""
    for arrived_ms, at_ms in ((ARRIVED_MS, ARRIVED_MS), (None, int(NOW_S * 1000))):
        request = map_by(Route.TRACK, EventType.TRACK, arrived_ms, timestamp=unreadable)
        assert orjson.loads(request.body)["timestamp"] == at_ms


def test_the_time_is_an_integer_to_the_millisecond() -> None:
    """As text it would be refused, as a float it might be."""
    request = map_by(Route.TRACK, EventType.TRACK, timestamp="2026-03-01T12:30:45.678Z")
    assert b'"timestamp":1772368245678,' in request.body


@pytest.mark.parametrize("levels", [200, 300, 900])
def test_properties_go_out_at_every_depth_that_can_be_read(levels: int) -> None:
    """As on the other route."""
    properties = {"a": deep(levels)}
    assert orjson.loads(map_by(Route.TRACK, EventType.TRACK, properties=properties).body)["properties"] == properties
