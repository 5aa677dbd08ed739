"""The router with rules: where they stand among the answers, and what `map --explain` tells of them."""

import copy
from typing import Any

import orjson
import pytest

from consumer.config.settings import Settings
from consumer.mapping.assembly import router_of
from consumer.mapping.explain import explain
from consumer.mapping.result import Ended
from consumer.mapping.router import Router
from consumer.mapping.ruled import RuledRouter
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.segment.decode import decode
from consumer.segment.events import Event
from tests.support.rules import CALLS, ROUTES, event_of, ruled_router, rules_from

DENY_ALL = {"deny": [{"types": ["identify", "group", "track", "page", "screen", "alias", "delete"]}]}
EVERYTHING: dict[str, Any] = {
    "personal_data": {"drop": {"traits": "secret", "properties": "secret", "context": "ip"}},
    "account": ["traits.company", "properties.company"],
    "names": {"track": {"Ran": "Walked"}, "page": "{name}", "screen": "{name}"},
    "fields": {
        type_: {"flatten": True, "rename": {"a_b": "c"}, "coerce": {"c": "text"}, "constants": {"d": 1}}
        for type_ in ("identify", "group", "track", "page", "screen")
    },
}


def answer(router: Router, **fields: Any) -> tuple[Outcome, Reason]:
    mapped = router.map(Event(EventType(fields["type"]), fields, None))
    assert isinstance(mapped, Ended)
    return mapped.outcome, mapped.reason


def test_an_event_without_a_time_goes_out_with_its_records_whatever_a_rule_changed() -> None:
    """Else each time that it is read again would be another time at Pendo."""
    fields = {"type": "track", "userId": "u", "event": "Ran", "messageId": "m"}
    router = RuledRouter({EventType.TRACK: Route.TRACK}, "skip", rules_from({"names": {"track": {"Ran": "Walked"}}}))
    mapped = router.map(Event(EventType.TRACK, fields, b"raw", 1_772_000_000_000))
    assert isinstance(mapped, Request)
    assert (mapped.name, orjson.loads(mapped.body)["timestamp"]) == ("Walked", 1_772_000_000_000)


def test_a_rule_answers_after_type_and_integrations_and_before_the_route() -> None:
    """The first answer wins."""
    router = RuledRouter({EventType.TRACK: Route.SEGMENTIO}, "skip", rules_from(DENY_ALL))
    unknown = router.map(Event(EventType.OTHER, {"type": "audience"}, None))
    assert isinstance(unknown, Ended)
    assert unknown.reason is Reason.UNKNOWN_TYPE
    refused = answer(router, type="track", integrations={"All": False})
    assert refused == (Outcome.FILTERED, Reason.INTEGRATIONS)
    for type_ in ("track", "page", "alias", "delete"):
        assert answer(router, type=type_) == (Outcome.FILTERED, Reason.RULE)


def test_the_answers_after_the_rules_stay_what_they_are() -> None:
    """Route, anonymous, ids, shape, of what the rules left."""
    router = RuledRouter({EventType.TRACK: Route.SEGMENTIO}, "skip", rules_from(EVERYTHING))
    assert answer(router, type="page") == (Outcome.SKIPPED, Reason.NO_ROUTE)
    assert answer(router, type="track", anonymousId="a") == (Outcome.SKIPPED, Reason.ANONYMOUS)
    assert answer(router, type="track") == (Outcome.DEAD_LETTERED, Reason.INVALID_ID)
    assert answer(router, type="track", userId="u") == (Outcome.DEAD_LETTERED, Reason.INVALID_EVENT)
    wrong = answer(router, type="track", userId="u", event="e", properties=[])
    assert wrong == (Outcome.DEAD_LETTERED, Reason.INVALID_PROPERTIES)


@pytest.mark.parametrize("type_", CALLS)
def test_the_event_itself_is_never_changed(type_: EventType) -> None:
    """A dead letter still needs what came."""
    part = {"a": {"b": 1}, "secret": "s", "company": "g"}
    event = {"type": str(type_), "userId": "u", "groupId": "g", "event": "Ran", "name": "N"} | dict.fromkeys(
        ("traits", "properties"), part
    )
    event["context"] = {"ip": "1", "traits": part}
    before = copy.deepcopy(event)
    mapped = ruled_router(EVERYTHING).map(event_of(event))
    assert isinstance(mapped, Request)
    assert b'"c":"1"' in mapped.body
    assert event == before


def test_an_event_that_no_rule_changes_goes_out_as_the_bytes_that_came() -> None:
    """A rule costs only those that it is about."""
    raw = b'{"type":"track" , "event":"Ran","userId":"u", "properties":{"plan":"pro"}}'
    [event] = decode(raw)
    assert isinstance(event, Event)
    rules = {
        "deny": [{"events": "Heartbeat"}],
        "personal_data": {"drop": {"properties": "email"}},
        "account": "properties.org",
        "names": {"track": {"A": "B"}},
        "fields": {
            "track": {"flatten": True, "drop": "x", "rename": {"a": "b"}, "coerce": {"a": "text"}, "keep": "plan"},
            "page": {"constants": {"a": 1}},
        },
    }
    mapped = ruled_router(rules).map(event)
    assert isinstance(mapped, Request)
    assert mapped.body is raw


def test_repeats_are_told_by_the_event_as_it_came() -> None:
    """Two names that a rule makes one are still two events, of one messageId and one time."""
    router = ruled_router({"names": {"track": {"A": "C", "B": "C"}, "page": "C"}})
    event = {"type": "track", "userId": "u", "messageId": "m", "timestamp": "t"}
    identities = set()
    for changes in ({"event": "A"}, {"event": "B"}, {"event": "C"}, {"type": "page", "name": "A"}):
        mapped = router.map(event_of(event | changes))
        assert isinstance(mapped, Request)
        assert b'"event":"C"' in mapped.body
        identities.add(mapped.identity)
    assert len(identities) == 4


def test_state_tells_the_names_that_go_out() -> None:
    """Newest wins is judged by Pendo's names; stale ones are stripped from what was made."""
    router = ruled_router({"fields": {"identify": {"rename": {"a": "b"}}}})
    for event in (
        {"type": "identify", "userId": "u", "traits": {"a": 1, "z": 2}},
        {"type": "identify", "userId": "u", "context": {"traits": {"a": 1, "z": 2}}},
    ):
        mapped = router.map(event_of(event))
        assert isinstance(mapped, Request)
        assert mapped.state is not None
        assert mapped.state.fields == ("b", "z")
        stripped = orjson.loads(mapped.state.strip(mapped.body, {"b"}))
        assert stripped["traits"] == {"z": 2}
        assert stripped.get("context", {"traits": {"z": 2}}) == {"traits": {"z": 2}}


def test_without_rules_the_router_is_the_plain_one() -> None:
    """Its hot path is the same code, not one that finds nothing to do."""
    assert type(router_of(Settings())) is Router
    assert type(router_of(Settings(), rules_from({"fields": {"track": {"flatten": False}}}))) is Router
    assert type(router_of(Settings(), rules_from({"fields": {"track": {"flatten": True}}}))) is RuledRouter


def traced(rules: Any, event: dict[str, Any], handlers: Any = None) -> list[tuple[str, str]]:
    router = RuledRouter(ROUTES, "skip", rules_from(rules, handlers))
    [printed] = explain(orjson.dumps(event), (), router, lambda route, _: ("POST", str(route), {}), with_rules=True)
    return [(rule["rule"], rule["effect"]) for rule in printed["rules"]]


def test_each_rule_says_what_it_did() -> None:
    """In the order in which they went, as far as the event came."""
    rules = EVERYTHING | {
        "only": [{"types": "track"}],
        "deny": [{"name": "tests", "context": {"env": "test"}}, {"events": "Heartbeat"}],
        "overrides": [{"events": "x"}, {"events": "Ran", "event": "Flew", "fields": {"flatten": False}}],
    }
    event = {"type": "track", "event": "Ran", "userId": "u", "properties": {"a": {"b": 1}, "secret": 1}}
    assert traced(rules, event) == [
        ("only", "passed"),
        ("tests", "passed"),
        ("deny[1]", "passed"),
        ("overrides[0]", "passed"),
        ("overrides[1]", "applied"),
        ("personal_data: traits", "unchanged"),
        ("personal_data: properties", "changed"),
        ("personal_data: context", "unchanged"),
        ("account", "unchanged"),
        ("overrides[1].event", "changed"),
        ("fields.track.rename", "unchanged"),
        ("fields.track.coerce", "unchanged"),
        ("fields.track.constants", "changed"),
    ]
    assert traced(rules, event | {"context": {"env": "test"}}) == [("only", "passed"), ("tests", "filtered")]
    assert traced({"only": [{"events": "x"}]}, event) == [("only", "filtered")]
    assert traced(rules, event | {"integrations": {"Pendo": False}}) == []
    assert traced(rules, {"type": "audience"}) == []


def test_handlers_are_traced_too() -> None:
    """Changed, filtered, failed."""

    def fails(_: dict[str, Any]) -> dict[str, Any]:
        raise ValueError

    event = {"type": "track", "event": "Ran", "userId": "u"}
    same, none = ("mapping.handlers: m:same", "unchanged"), ("mapping.handlers: m:none", "filtered")
    assert traced({}, event, {"m:same": lambda e: e, "m:none": lambda _: None, "m:x": fails}) == [same, none]
    assert traced({}, event, {"m:f": fails}) == [("mapping.handlers: m:f", "failed")]
    assert traced({}, event, {"m:f": lambda e: e | {"a": 1}}) == [("mapping.handlers: m:f", "changed")]


@pytest.mark.parametrize("levels", [300, 900])
def test_nested_events_pass_all_rules_and_a_handler(levels: int) -> None:
    """What can be read can be changed and explained."""
    nested: Any = 1
    for _ in range(levels):
        nested = {"n": nested}
    event = {"type": "track", "userId": "u", "event": "Ran", "properties": {"a": {"b": 1}, "n": nested}, "odd": nested}
    router = RuledRouter(ROUTES, "skip", rules_from(EVERYTHING, {"m:f": lambda e: e | {"new": 1}}))
    mapped = router.map(event_of(event))
    assert isinstance(mapped, Request)
    assert b'"c":"1"' in mapped.body
    assert {rule["effect"] for rule in router.trace(event_of(event))} == {"changed", "unchanged"}


def test_changes_are_told_by_path() -> None:
    """Before and after; a side that is not there is left out."""
    router = RuledRouter(
        ROUTES, "skip", rules_from({"fields": {"track": {"rename": {"a": "b"}, "coerce": {"z": "text"}}}})
    )
    rules = router.trace(event_of({"type": "track", "properties": {"a": {"deep": 1}, "z": 1}}))
    assert [rule["changes"] for rule in rules] == [
        [{"path": "properties.a", "before": {"deep": 1}}, {"path": "properties.b", "after": {"deep": 1}}],
        [{"path": "properties.z", "before": 1, "after": "1"}],
    ]


def test_plain_routers_have_nothing_to_trace() -> None:
    """`map --explain` without a mapping file."""
    assert Router(ROUTES, "skip").trace(event_of({"type": "track"})) == []
