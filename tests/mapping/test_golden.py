"""Golden cases: what the service makes of an event, one JSON file a case, compared through what `map` prints."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from consumer.config.settings import PendoSettings
from consumer.mapping.cases import KEYS, clock_of
from consumer.mapping.differences import differences, presences
from consumer.mapping.explain import explain
from consumer.mapping.router import Router
from consumer.mapping.ruled import RuledRouter
from consumer.outcomes import EventType
from consumer.pendo.endpoints import Endpoints
from consumer.pendo.requests import Request, Route
from consumer.segment.decode import decode
from consumer.segment.events import Event
from tests.support.rules import rules_from

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GOLDEN.glob("*.json"))}
CHANGEABLE = {"type", "event", "name", "category", "properties", "traits", "userId", "writeKey"}
RULED = {"context", "groupId"}
"""What only rules change."""

ROUTES: dict[EventType, Route | None] = {
    EventType.IDENTIFY: Route.SEGMENTIO,
    EventType.GROUP: Route.SEGMENTIO,
    EventType.TRACK: Route.SEGMENTIO,
    EventType.PAGE: Route.SEGMENTIO,
    EventType.SCREEN: Route.SEGMENTIO,
    EventType.ALIAS: None,
    EventType.DELETE: None,
}


describe = Endpoints.from_settings(PendoSettings()).describe


def value_of(case: dict[str, Any]) -> bytes:
    if "event" in case:
        return json.dumps(case["event"], ensure_ascii=False).encode()
    return case["value"].encode() if "value" in case else base64.b64decode(case["value_base64"])


def router_of(case: dict[str, Any], rules: Any = None) -> Router:
    settings = case.get("settings", {})
    changed = {EventType(type_): route and Route(route) for type_, route in settings.get("routes", {}).items()}
    clock = clock_of(value_of(case), envelope_path_of(case), case.get("now"))
    anonymous = settings.get("anonymous", "skip")
    rules = rules or case.get("rules")
    if rules is not None:
        return RuledRouter(ROUTES | changed, anonymous, rules_from(rules), clock=clock)
    return Router(ROUTES | changed, anonymous, clock=clock)


def envelope_path_of(case: dict[str, Any]) -> tuple[str, ...]:
    path = case.get("settings", {}).get("envelope_path")
    return tuple(path.split(".")) if path else ()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_becomes_of_an_event_is_as_written_down(case: dict[str, Any]) -> None:
    """Each file says in JSON what is printed for its event; a list stands for a value with several events."""
    assert case.keys() <= set(KEYS)
    printed = explain(value_of(case), envelope_path_of(case), router_of(case), describe)
    expected = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
    actual = printed if isinstance(case["expect"], list) else printed[0]
    found = [*differences(expected, printed), *presences(case.get("absent", []), actual)]
    assert not found, "\n".join([case["name"], *map(str, found)])


@pytest.mark.parametrize("case", [case for case in CASES.values() if "event" in case], ids=lambda case: case["name"])
def test_unchanged_events_go_out_byte_for_byte(case: dict[str, Any]) -> None:
    """An event that needs no change is never encoded again; its odd spacing is the proof."""
    raw = json.dumps(case["event"], ensure_ascii=False, separators=(" ,  ", " : ")).encode()
    [event] = decode(raw)
    assert isinstance(event, Event)
    mapped = router_of(case).map(event)
    goes_out_as_it_came = isinstance(mapped, Request) and mapped.body == raw
    assert goes_out_as_it_came == case.get("unchanged", False)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_rules_that_are_about_nothing_change_nothing(case: dict[str, Any]) -> None:
    """The router with rules gives every answer that the plain one gives, in the same order."""
    value, path = value_of(case), envelope_path_of(case)
    about_nothing = {"deny": [{"context": {"never": "there"}}]}
    plain = {key: part for key, part in case.items() if key != "rules"}
    expected = explain(value, path, router_of(plain), describe)
    assert explain(value, path, router_of(plain, about_nothing), describe) == expected


@pytest.mark.parametrize("case", [case for case in CASES.values() if "event" in case], ids=lambda case: case["name"])
def test_an_event_out_of_an_array_becomes_the_same(case: dict[str, Any]) -> None:
    """Without bytes of its own an event is encoded again, to JSON of equal value."""
    router = router_of(case)
    alone = explain(value_of(case), (), router, describe)
    assert explain(b"[" + value_of(case) + b"]", (), router, describe) == alone


@pytest.mark.parametrize("case", [case for case in CASES.values() if "event" in case], ids=lambda case: case["name"])
def test_nothing_else_is_changed(case: dict[str, Any]) -> None:
    """To the Segment endpoint each top-level field but the documented ones goes as it came, and none else is added."""
    [printed] = explain(value_of(case), (), router_of(case), describe)
    for request in printed["requests"]:
        if request["route"] != Route.SEGMENTIO:
            continue
        before, after = case["event"], request["body"]
        changed = {key for key in before.keys() | after.keys() if before.get(key, ...) != after.get(key, ...)}
        assert changed <= (CHANGEABLE | RULED if "rules" in case else CHANGEABLE)


@pytest.mark.parametrize("sdk", ["python", "node"])
@pytest.mark.parametrize("call", ["identify", "group", "track", "page", "screen", "alias"])
def test_every_call_of_both_sdks_has_a_case(sdk: str, call: str) -> None:
    """The real SDKs' output is what the service is for."""
    case = CASES[f"sdk_{sdk}_{call}"]
    assert case["event"]["type"] == call
    assert case["expect"]
