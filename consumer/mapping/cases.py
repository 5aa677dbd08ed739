"""Mapping tests as data: a case says what is expected of an event, and a bench finds out whether it is so.

Cases and settings come in, differences go out. It must not know files; `case_file` reads them.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from time import time
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from consumer.config.found import Origin
from consumer.config.keys import nearest
from consumer.config.settings import RoutesSettings, SegmentSettings, Settings
from consumer.config.yaml_tree import Tree
from consumer.errors import ConfigError, RejectedError
from consumer.mapping.assembly import handlers_of, router_of, rules_of
from consumer.mapping.differences import Difference, differences, presences
from consumer.mapping.encode import encode
from consumer.mapping.explain import Describe, explain
from consumer.mapping.router import Router
from consumer.mapping.rules.compiled import compile_rules
from consumer.mapping.rules.file import parse_rules
from consumer.pendo.requests import Request
from consumer.segment.decode import decode
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms

SOURCES: Final = ("event", "value", "value_base64")
"""An event as JSON; a record's value as text; any bytes. A case has one of them."""
KEYS: Final = ("name", *SOURCES, "now", "settings", "rules", "expect", "absent", "unchanged")
_ROUTES: Final = "routes"


class Case(NamedTuple):
    """One case.

    Attributes:
        name: What it is about.
        origin: Where it stands.
        value: The record's value.
        now: When it is tried, as text or milliseconds, if anything is said about it.
        expect: Any part of what `map` prints, or a list of such for a value with several events.
        absent: Dotted paths that must not be there.
        unchanged: Whether the event must go out as the very bytes that came, if anything is said about it.
        settings: Changes of `anonymous`, `envelope_path` and `routes` for this case.
        rules: In place of the mapping file's.
    """

    name: str
    origin: Origin
    value: bytes
    now: str | int | None
    expect: Any
    absent: list[str]
    unchanged: bool | None
    settings: Mapping[str, Any]
    rules: Tree | None


def parse_case(raw: Any, name: str, origin: Origin, rules: Tree | None) -> Case:  # noqa: ANN401  # what was written
    """Make a case of plain values.

    Args:
        raw: As it was written.
        name: What it is called if it has no name.
        origin: Where it stands.
        rules: What stands at its key `rules`.

    Raises:
        ConfigError: It is none.
    """
    if problems := list(_flaws(raw)):
        raise ConfigError([f"{origin}: {problem}" for problem in problems])
    return Case(
        name=str(raw.get("name", name)),
        origin=origin,
        value=_value(raw, origin),
        now=raw.get("now"),
        expect=raw["expect"],
        absent=raw.get("absent", []),
        unchanged=raw.get("unchanged"),
        settings=raw.get("settings") or {},
        rules=rules if "rules" in raw else None,
    )


def _flaws(raw: Any) -> Iterator[str]:  # noqa: ANN401  # what was written
    if not isinstance(raw, dict):
        yield "a case must be an object with event and expect"
        return
    for key in raw:
        if key not in KEYS:
            yield f"{key}: unknown key{nearest(key, KEYS)}"
    if sum(key in raw for key in SOURCES) != 1:
        yield f"a case needs one of {', '.join(SOURCES)}"
    if not isinstance(raw.get("expect"), dict | list):
        yield "expect: must be a part of what map prints, or a list of such"
    yield from _flaws_of_values(raw)


def _flaws_of_values(raw: Mapping[str, Any]) -> Iterator[str]:
    """Of what a case may leave out."""
    if not isinstance(raw.get("value", ""), str):
        yield "value: must be text"
    if "now" in raw and _time_ms(raw["now"]) is None:
        yield "now: must be a time, like an event's timestamp"
    absent = raw.get("absent", [])
    if not isinstance(absent, list) or not all(isinstance(path, str) for path in absent):
        yield "absent: must be a list of dotted paths"
    if not isinstance(raw.get("unchanged"), bool | None):
        yield "unchanged: must be true or false"
    if not isinstance(raw.get("settings"), dict | None):
        yield "settings: must be a section, keys with values"


def _value(raw: Mapping[str, Any], origin: Origin) -> bytes:
    try:
        if "event" in raw:
            return encode(raw["event"])
        return raw["value"].encode() if "value" in raw else base64.b64decode(raw["value_base64"], validate=True)
    except (TypeError, ValueError, binascii.Error, RejectedError) as error:
        raise ConfigError([f"{origin}: the event cannot be written as JSON, or value_base64 is not Base64"]) from error


class Bench:
    """Where cases are tried.

    Args:
        settings: Of the service; a case changes them for itself.
        describe: A route's method, URL and headers.

    Raises:
        ConfigError: The mapping file or a handler cannot be used.
    """

    def __init__(self, settings: Settings, describe: Describe) -> None:
        self._settings: Final = settings
        self._describe: Final = describe
        self._handlers: Final = handlers_of(settings)
        self._rules: Final = rules_of(settings)

    def differences(self, case: Case) -> list[Difference]:
        """What is not as the case expects.

        Raises:
            ConfigError: Its rules or settings cannot be used.
        """
        settings = _changed(self._settings, case)
        rules = compile_rules(parse_rules(case.rules), self._handlers) if case.rules is not None else self._rules
        clock = clock_of(case.value, settings.segment.envelope_keys, case.now)
        router = router_of(settings, rules, clock=clock)
        printed = explain(case.value, settings.segment.envelope_keys, router, self._describe)
        several = isinstance(case.expect, list) or len(printed) != 1
        actual: Any = printed if several else printed[0]
        found = [*differences(case.expect, actual), *presences(case.absent, actual)]
        if case.unchanged is not None and (unchanged := _goes_unchanged(case.value, router)) is not case.unchanged:
            found.append(Difference("unchanged", str(case.unchanged).lower(), str(unchanged).lower()))
        return found


def clock_of(value: bytes, envelope_path: tuple[str, ...], now: str | int | None) -> Callable[[], float]:
    """A clock that stands still: at the time that a case names, else at its newest event's, so that no case ages.

    Where there is no time at all it is the present.
    """
    times = [_time_ms(now)]
    if now is None:
        elements = decode(value, envelope_path)
        times = [timestamp_ms(element.fields) for element in elements if isinstance(element, Event)]
    stands_ms = max((at_ms for at_ms in times if at_ms is not None), default=None)
    return time if stands_ms is None else lambda: stands_ms / 1000


def _time_ms(value: Any) -> int | None:  # noqa: ANN401  # what was written
    return timestamp_ms({"timestamp": value})


def _changed(settings: Settings, case: Case) -> Settings:
    routes = case.settings.get(_ROUTES) or {}
    segment = {key: value for key, value in case.settings.items() if key != _ROUTES}
    try:
        return settings.model_copy(
            update={
                "segment": SegmentSettings.model_validate(settings.segment.model_dump() | segment),
                "routes": RoutesSettings.model_validate(
                    settings.routes.model_dump() | {type_: route or "off" for type_, route in routes.items()}
                ),
            }
        )
    except (ValidationError, AttributeError, TypeError) as error:
        problem = f"{case.origin}: settings: only anonymous, envelope_path and routes, as in the configuration"
        raise ConfigError([problem]) from error


def _goes_unchanged(value: bytes, router: Router) -> bool:
    """Whether the very bytes go out, not only JSON of equal value."""
    elements = decode(value)
    if len(elements) != 1 or not isinstance(event := elements[0], Event):
        return False
    mapped = router.map(event)
    return isinstance(mapped, Request) and mapped.body is event.raw
