"""Whatever lies on the topic becomes an event or a reason, never an exception."""

import copy
import json
import re
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.mapping.result import Ended
from consumer.mapping.router import Router
from consumer.mapping.visitor import Anonymous
from consumer.outcomes import EventType, Outcome, Reason, WarningKind
from consumer.pendo.calls import body_of, of_lane
from consumer.pendo.requests import Request, Route
from consumer.sandbox import simulator_delete, simulator_metadata
from consumer.sandbox.simulator_checks import check_track_event
from consumer.sandbox.simulator_store import Store
from consumer.sandbox.simulator_switches import Switches
from consumer.segment.decode import BOM, decode
from consumer.segment.events import Event, Undecodable

CALLS = ("identify", "group", "track", "page", "screen")
ROUTES = {EventType(call): Route.SEGMENTIO for call in CALLS}
NOW_S = 1_772_409_600.0
NEW_FROM_MS = int(NOW_S * 1000) - 7 * 24 * 3600 * 1000
BY_TRACK = ROUTES | dict.fromkeys((EventType.TRACK, EventType.PAGE, EventType.SCREEN), Route.TRACK)
BY_CALLS = dict.fromkeys((EventType.IDENTIFY, EventType.GROUP), Route.METADATA) | {EventType.DELETE: Route.BULKDELETE}
ROUTERS = {mode: Router(ROUTES, mode, clock=lambda: NOW_S) for mode in ("skip", "visitor")}
TRACK_ROUTERS = {mode: Router(BY_TRACK, mode, clock=lambda: NOW_S) for mode in ("skip", "visitor")}
CALL_ROUTERS = {mode: Router(BY_CALLS, mode, with_values=True, clock=lambda: NOW_S) for mode in ("skip", "visitor")}
ENDS = {
    Outcome.FILTERED: {Reason.INTEGRATIONS},
    Outcome.SKIPPED: {Reason.ANONYMOUS, Reason.NO_ROUTE, Reason.UNKNOWN_TYPE},
    Outcome.DEAD_LETTERED: {
        Reason.UNDECODABLE,
        Reason.INVALID_ID,
        Reason.INVALID_EVENT,
        Reason.INVALID_TRAITS,
        Reason.INVALID_PROPERTIES,
    },
}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", " ", "::", "VISITOR-UNIQUE-ID", "u-1", "track"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
CONTEXTS = JSON | st.fixed_dictionaries({}, optional={"groupId": JSON, "traits": JSON})
INTEGRATIONS = JSON | st.dictionaries(st.sampled_from(["All", "all", "Pendo", "pendo"]), SCALARS)
TIMES = st.integers(10**11, 2 * 10**12) | st.sampled_from(
    ["2019-06-21T17:35:47.404Z", "2026-02-22T23:59:59.999Z", "2026-02-23T00:00:00Z", "2026-02-26T01:00:00+14:00"]
)
PROPERTIES = st.dictionaries(
    st.sampled_from(["groupId", "plan", "a b", "__a__", "x" * 33]),
    JSON | st.sampled_from(["x" * 400, "é" * 300]),
    max_size=4,
)
IDS = SCALARS | st.sampled_from(["u-1", "u-2"])
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from([*CALLS, "alias", "delete", "audience"])},
    optional={
        **dict.fromkeys(("userId", "anonymousId", "groupId"), IDS | JSON),
        **dict.fromkeys(("traits", "messageId", "writeKey", "batch", "odd"), JSON),
        **dict.fromkeys(("timestamp", "receivedAt"), JSON | TIMES),
        "properties": JSON | PROPERTIES,
        **dict.fromkeys(("event", "name", "category"), st.text(max_size=5) | JSON),
        "context": CONTEXTS,
        "integrations": INTEGRATIONS,
    },
)
MODES: st.SearchStrategy[Anonymous] = st.sampled_from(["skip", "visitor"])
CHANGEABLE = {"type", "event", "name", "category", "properties", "traits", "userId", "writeKey"}


def outcome_of(event: Event, mode: Anonymous) -> Request | None:
    """The request, when there is one; else its end is checked to be one of the promised."""
    mapped = ROUTERS[mode].map(event)
    if isinstance(mapped, Ended):
        assert mapped.reason in ENDS[mapped.outcome]
        assert bool(mapped.message) == (mapped.outcome is Outcome.DEAD_LETTERED)
        return None
    assert mapped.lane.startswith("visitor:")
    return mapped


def swallow(value: bytes, *path: str) -> None:
    """Decode, and map whatever came of it."""
    for element in decode(value, path):
        if isinstance(element, Undecodable):
            assert element.message
        else:
            request = outcome_of(element, "visitor")
            assert request is None or isinstance(orjson.loads(request.body), dict)
            by_track = TRACK_ROUTERS["visitor"].map(element)
            assert isinstance(by_track, Ended) or isinstance(orjson.loads(by_track.body), dict)
            by_call = CALL_ROUTERS["visitor"].map(element)
            assert isinstance(by_call, Ended) or orjson.loads(body_of(by_call.route, by_call.lane, by_call.body))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", BOM, b"\x00", b"[", b'{"type":"track",']))
def test_any_bytes_give_an_event_or_a_reason(rest: bytes, start: bytes) -> None:
    """Most are no JSON; some begin as if they were."""
    swallow(start + rest)
    swallow(start + rest, "a", "b")


@settings(max_examples=200, deadline=None)
@given(JSON, st.booleans())
def test_any_json_gives_an_event_or_a_reason(document: Any, batch: bool) -> None:  # noqa: FBT001
    """Arrays, batches and envelopes of anything."""
    value = json.dumps({"batch": document} if batch else document).encode()
    swallow(value)
    swallow(value, "batch")


@settings(max_examples=500, deadline=None)
@given(EVENTS, MODES)
def test_any_json_in_every_field_gives_a_request_or_a_reason(fields: dict[str, Any], mode: Anonymous) -> None:
    """Nothing but the documented fields differs from what came, and the event itself stays as it is."""
    raw = json.dumps(fields).encode()
    [event] = decode(raw)
    assert isinstance(event, Event)
    before = copy.deepcopy(event.fields)
    request = outcome_of(event, mode)
    assert event.fields == before
    if request is None:
        return
    body = orjson.loads(request.body)
    changed = {key for key in before.keys() | body.keys() if before.get(key, ...) != body.get(key, ...)}
    assert changed <= CHANGEABLE
    assert "writeKey" not in body
    if not changed:
        assert request.body is raw


@settings(max_examples=500, deadline=None)
@given(EVENTS, MODES)
def test_any_json_by_the_track_events_api_gives_what_pendo_takes_or_a_reason(
    fields: dict[str, Any], mode: Anonymous
) -> None:
    """The simulator takes every body; an event that ends does so as on the other route; warnings fit what goes out."""
    [event] = decode(json.dumps(fields).encode())
    assert isinstance(event, Event)
    mapped, other = TRACK_ROUTERS[mode].map(event), ROUTERS[mode].map(event)
    if isinstance(mapped, Ended) or isinstance(other, Ended):
        assert isinstance(mapped, Ended)
        assert isinstance(other, Ended)
        assert (mapped.outcome, mapped.reason, mapped.message) == (other.outcome, other.reason, other.message)
        return
    assert (mapped.lane, mapped.identity) == (other.lane, other.identity)
    warned = {warning.kind for warning in mapped.warnings}
    assert warned - {WarningKind.LARGE} == {warning.kind for warning in other.warnings} - {WarningKind.LARGE}
    if mapped.route is Route.TRACK:
        body = orjson.loads(mapped.body)
        check_track_event(body, Switches(refuse_invalid_account=True))
        assert warned == warnings_of(body)


@settings(max_examples=500, deadline=None)
@given(EVENTS, MODES)
def test_any_json_by_calls_of_many_ids_gives_what_pendo_takes_or_a_reason(
    fields: dict[str, Any], mode: Anonymous
) -> None:
    """The simulator takes every call whole, and what it shows then is what was sent, under the very same names."""
    [event] = decode(json.dumps(fields).encode())
    assert isinstance(event, Event)
    before = copy.deepcopy(event.fields)
    mapped = CALL_ROUTERS[mode].map(event)
    assert event.fields == before
    if isinstance(mapped, Ended):
        ends_as_by_the_segment_endpoint(event, mapped, mode)
        return
    kind, id_ = of_lane(mapped.lane)
    call = orjson.loads(body_of(mapped.route, mapped.lane, mapped.body))
    store = Store(Switches(), max_events=None, keep_message_ids=False)
    if mapped.route is Route.BULKDELETE:
        simulator_delete.take(store, kind, call)
        assert (mapped.state, store.accepted_types) == (None, {"delete visitor": 1})
        return
    answer = simulator_metadata.take(store, kind, "agent", call, Switches(), lambda _: None, create=True)
    assert answer == {"total": 1, "updated": 1, "failed": 0}
    [element] = call
    assert store.entities(kind)[id_].agent == element["values"] != {}
    state = mapped.state
    assert state is not None
    assert (state.key, state.fields) == (mapped.lane, tuple(element["values"]))
    assert len(state.values) == len(state.fields)
    first, rest = state.fields[0], dict(list(element["values"].items())[1:])
    assert orjson.loads(state.strip(mapped.body, {first}))["values"] == rest


def ends_as_by_the_segment_endpoint(event: Event, end: Ended, mode: Anonymous) -> None:
    """But for a group, which needs a visitor there, for no traits, and for types that go only one of the ways."""
    if (end.outcome, end.reason) == (Outcome.SKIPPED, Reason.NO_TRAITS):
        assert event.type in {EventType.IDENTIFY, EventType.GROUP}
        return
    assert end.reason in ENDS[end.outcome]
    other = ROUTERS[mode].map(event)
    if event.type is EventType.IDENTIFY:
        assert isinstance(other, Ended)
        assert (end.outcome, end.reason, end.message) == (other.outcome, other.reason, other.message)
    elif event.type is EventType.GROUP:
        assert isinstance(other, Ended)
        assert end.reason is not Reason.ANONYMOUS


def warnings_of(body: dict[str, Any]) -> set[WarningKind]:
    """What Pendo will not show of a track event, by its body alone."""
    names = body["properties"].keys()
    shown = [n for n in names if re.fullmatch(r"[A-Za-z_]\w{0,31}", n, re.ASCII) and not n[:2] == n[-2:] == "__"]
    found = {
        WarningKind.LARGE: len(orjson.dumps(body["properties"])) > 512,
        WarningKind.LONG_NAME: len(shown) < len(names),
        WarningKind.NO_ACCOUNT: "accountId" not in body,
        WarningKind.OLD: body["timestamp"] < NEW_FROM_MS,
    }
    return {kind for kind, holds in found.items() if holds}


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["traits", "properties", "context", "odd"]),
    st.integers(200, 1100),
    st.sampled_from(CALLS),
    st.booleans(),
)
def test_nested_events_give_a_request_or_a_reason(key: str, levels: int, type_: str, changed: bool) -> None:  # noqa: FBT001
    """What can be read may not be written again; then that is the reason."""
    nested = '{"a":' * levels + "1" + "}" * levels
    secret = '"writeKey":"w",' if changed else ""
    value = f'{{"type":"{type_}",{secret}"userId":"u","groupId":"g","event":"e","{key}":{nested}}}'
    swallow(value.encode())


def test_a_value_of_a_megabyte_gives_an_event_or_a_reason() -> None:
    """Far beyond Segment's limits, within Kafka's."""
    filler = b"x" * 2**20
    event = b'{"type":"track","userId":"u","event":"e","properties":{"a":"' + filler + b'"}}'
    [decoded] = decode(event)
    assert isinstance(decoded, Event)
    request = outcome_of(decoded, "skip")
    assert request is not None
    assert request.body is event
    for value in (filler, filler + b"\xff", b"\x00" * 2**20, b"1" * 2**20, b"[" + b"1," * 2**19 + b"1]", BOM * 2**18):
        swallow(value)
