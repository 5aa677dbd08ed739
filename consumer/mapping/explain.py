"""What would become of a record's events: what the `map` command prints.

In come a record's value and the router, out comes one JSON object an event. It sends nothing, and must not know
hosts or keys: URLs are handed in.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from consumer.mapping.result import Ended
from consumer.mapping.router import Router
from consumer.mapping.visibility import message
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.calls import body_of, of_lane
from consumer.pendo.endpoints import Kind
from consumer.pendo.requests import Request, Route
from consumer.segment.decode import decode
from consumer.segment.events import Event, Undecodable

Describe = Callable[[Route, Kind], tuple[str, str, Mapping[str, str]]]
"""Gives a route's method, URL with `***` in place of a key, and headers, for a visitor or an account."""

TOMBSTONE: Final = Ended(Outcome.SKIPPED, Reason.TOMBSTONE)


def explain(
    value: bytes | None,
    envelope_path: tuple[str, ...],
    router: Router,
    describe: Describe,
    *,
    with_rules: bool = False,
) -> list[dict[str, Any]]:
    """Say for each event of a record's value what would become of it; a tombstone counts as one.

    Args:
        value: The record's.
        envelope_path: The keys that lead to the event inside the value.
        router: Decides.
        describe: A route's method, URL and headers.
        with_rules: Whether to say what each rule does.
    """
    elements = decode(value, envelope_path)
    if not elements:
        return [_explain_end(None, TOMBSTONE)]
    explained = [_explain_element(element, router, describe) for element in elements]
    if with_rules:
        for element, one in zip(elements, explained, strict=True):
            one["rules"] = router.trace(element) if isinstance(element, Event) else []
    return explained


def _explain_element(element: Event | Undecodable, router: Router, describe: Describe) -> dict[str, Any]:
    if isinstance(element, Undecodable):
        return _explain_end(None, Ended(Outcome.DEAD_LETTERED, Reason.UNDECODABLE, element.message))
    try:
        mapped = router.map(element)
    except Exception as error:  # noqa: BLE001 - a flaw of ours must not hide what becomes of the other events
        mapped = Ended(Outcome.DEAD_LETTERED, Reason.HANDLER_ERROR, f"the handler failed: {type(error).__name__}")
    return _explain_end(element, mapped) if isinstance(mapped, Ended) else _explain_sent(element, mapped, describe)


def _explain_sent(event: Event, request: Request, describe: Describe) -> dict[str, Any]:
    kind, _ = of_lane(request.lane)
    method, url, headers = describe(request.route, kind)
    return {
        "messageId": event.message_id,
        "type": event.type.value,
        "outcome": "deliver",
        "reason": Reason.NONE.value,
        "lanes": request.lanes,
        "requests": [
            {
                "route": request.route.value,
                "method": method,
                "url": url,
                "headers": dict(headers),
                "body": orjson.loads(body_of(request.route, request.lane, request.body)),
            }
        ],
        "warnings": [{"kind": each.kind.value, "message": message(each)} for each in request.warnings],
    }


def _explain_end(event: Event | None, end: Ended) -> dict[str, Any]:
    explained: dict[str, Any] = {
        "messageId": event.message_id if event else None,
        "type": (event.type if event else EventType.NONE).value,
        "outcome": end.outcome.value,
        "reason": end.reason.value,
        "lanes": [],
        "requests": [],
        "warnings": [],
    }
    return explained | {"message": end.message} if end.message else explained
