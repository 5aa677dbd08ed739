"""Golden cases: what the service makes of an event, one JSON file a case, compared through what `map` prints."""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumer.mapping.explain import explain
from consumer.mapping.router import Router
from consumer.outcomes import EventType
from consumer.pendo.requests import Request, Route
from consumer.segment.decode import decode
from consumer.segment.events import Event

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GOLDEN.glob("*.json"))}
KEYS = {"name", "event", "value", "value_base64", "settings", "expect", "unchanged", "absent"}

NOW_S = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
"""A day after the captured events: none of them is old."""

ROUTES: dict[EventType, Route | None] = {
    EventType.IDENTIFY: Route.SEGMENTIO,
    EventType.GROUP: Route.SEGMENTIO,
    EventType.TRACK: Route.SEGMENTIO,
    EventType.PAGE: Route.SEGMENTIO,
    EventType.SCREEN: Route.SEGMENTIO,
    EventType.ALIAS: None,
    EventType.DELETE: None,
}


def describe(route: Route) -> tuple[str, str, Mapping[str, str]]:
    return "POST", f"https://data.pendo.io/data/{route}/***", {"Content-Type": "application/json"}


def value_of(case: dict[str, Any]) -> bytes:
    if "event" in case:
        return json.dumps(case["event"], ensure_ascii=False).encode()
    return case["value"].encode() if "value" in case else base64.b64decode(case["value_base64"])


def router_of(case: dict[str, Any]) -> Router:
    settings = case.get("settings", {})
    changed = {EventType(type_): route and Route(route) for type_, route in settings.get("routes", {}).items()}
    return Router(ROUTES | changed, settings.get("anonymous", "skip"), clock=lambda: NOW_S)


def envelope_path_of(case: dict[str, Any]) -> tuple[str, ...]:
    path = case.get("settings", {}).get("envelope_path")
    return tuple(path.split(".")) if path else ()


def differences(expected: Any, actual: Any, where: str = "$") -> Iterator[str]:
    """Name each place where the actual is not as expected; objects may have more keys, lists are of equal length."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            if key in actual:
                yield from differences(value, actual[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}: expected {value!r}, is missing"
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, pair in enumerate(zip(expected, actual, strict=True)):
            yield from differences(*pair, f"{where}[{index}]")
    elif type(expected) is not type(actual) or expected != actual:
        yield f"{where}: expected {expected!r}, got {actual!r}"


def is_absent(actual: Any, path: str) -> bool:
    """Whether the last key of a dotted path is not there; all before it must be."""
    *steps, last = path.split(".")
    for step in steps:
        actual = actual[int(step)] if isinstance(actual, list) else actual[step]
    return last not in actual


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_becomes_of_an_event_is_as_written_down(case: dict[str, Any]) -> None:
    """Each file says in JSON what is printed for its event; a list stands for a value with several events."""
    assert case.keys() <= KEYS
    printed = explain(value_of(case), envelope_path_of(case), router_of(case), describe)
    expected = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
    found = list(differences(expected, printed))
    assert not found, "\n".join([case["name"], *found])
    actual = printed if isinstance(case["expect"], list) else printed[0]
    assert [path for path in case.get("absent", ()) if not is_absent(actual, path)] == []


@pytest.mark.parametrize("case", [case for case in CASES.values() if "event" in case], ids=lambda case: case["name"])
def test_unchanged_events_go_out_byte_for_byte(case: dict[str, Any]) -> None:
    """An event that needs no change is never encoded again; its odd spacing is the proof."""
    raw = json.dumps(case["event"], ensure_ascii=False, separators=(" ,  ", " : ")).encode()
    [event] = decode(raw).elements
    assert isinstance(event, Event)
    mapped = router_of(case).map(event)
    goes_out_as_it_came = isinstance(mapped, Request) and mapped.body == raw
    assert goes_out_as_it_came == case.get("unchanged", False)


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
        assert changed <= {"type", "event", "name", "category", "properties", "traits", "userId", "writeKey"}


@pytest.mark.parametrize("sdk", ["python", "node"])
@pytest.mark.parametrize("call", ["identify", "group", "track", "page", "screen", "alias"])
def test_every_call_of_both_sdks_has_a_case(sdk: str, call: str) -> None:
    """The real SDKs' output is what the service is for."""
    case = CASES[f"sdk_{sdk}_{call}"]
    assert case["event"]["type"] == call
    assert case["expect"]


def test_a_difference_is_named_with_its_place() -> None:
    """A failing case says where, what was expected, and what came."""
    expected = {"a": [{"b": 1}], "c": True, "d": [1]}
    actual = {"a": [{"b": 2, "x": 0}], "c": 1, "d": [1, 2]}
    assert list(differences(expected, actual)) == [
        "$.a[0].b: expected 1, got 2",
        "$.c: expected True, got 1",
        "$.d: expected [1], got [1, 2]",
    ]
    assert list(differences({"e": 1}, {})) == ["$.e: expected 1, is missing"]
