"""What Pendo's Track Events API takes: a track event of few fields, made of a track, a page or a screen.

In comes an event, out comes the request. It must not know how it is delivered. Source of the shape: Pendo's
documentation of the Track Events API.
"""

from collections.abc import Callable
from typing import Any

import orjson

from consumer.mapping import shape
from consumer.mapping.encode import draft, encode
from consumer.mapping.segmentio import identity_of
from consumer.mapping.visibility import Visibility
from consumer.mapping.visitor import account_of_fact
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms

NameOf = Callable[[dict[str, Any]], str]
"""Names a track, a page or a screen by its fields; may reject it."""


def map_track_event(visibility: Visibility, name_of: NameOf, event: Event, visitor: str) -> Request:
    """Map a track, page or screen to the Track Events API.

    Args:
        visibility: Says what Pendo will not show.
        name_of: Gives the event's name, by its type.
        event: As it came.
        visitor: The visitor's id as text.

    Raises:
        RejectedError: Its name is not what it must be, or its properties are no object.
    """
    fields = event.fields
    name = name_of(fields)
    properties = shape.properties(fields) or {}
    account = account_of_fact(fields, properties)
    at_ms = _at_ms(event, visibility)
    written = draft(properties)
    body = {
        "type": "track",
        "event": name,
        "visitorId": visitor,
        "timestamp": at_ms,
        "properties": orjson.Fragment(written),
        "context": _context(fields),
    }
    if account is not None:
        body["accountId"] = account
    warnings = visibility.of_track_event(fields, properties, len(written), account) + visibility.of_age(at_ms)
    identity = identity_of(event, visitor)
    return Request(Route.TRACK, f"visitor:{visitor}", encode(body), identity=identity, warnings=warnings, name=name)


def _at_ms(event: Event, visibility: Visibility) -> int:
    """When it happened; else when its record arrived, or now when it came in none: Pendo wants a time."""
    at_ms = timestamp_ms(event.fields)
    if at_ms is not None:
        return at_ms
    return visibility.now_ms() if event.arrived_ms is None else event.arrived_ms


def _context(fields: dict[str, Any]) -> dict[str, str]:
    """The four fields that Pendo takes of a context, as far as they are text."""
    context = fields.get("context")
    kept: dict[str, str] = {}
    if isinstance(context, dict):
        _keep_texts(context, ("ip", "userAgent"), kept)
        page = context.get("page")
        if isinstance(page, dict):
            _keep_texts(page, ("url", "title"), kept)
    return kept


def _keep_texts(place: dict[str, Any], names: tuple[str, ...], kept: dict[str, str]) -> None:
    for name in names:
        value = place.get(name)
        if isinstance(value, str):
            kept[name] = value
