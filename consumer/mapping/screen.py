"""screen: becomes a track event with the name that Segment itself gives it.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from typing import Any

from consumer.mapping import segmentio, shape
from consumer.mapping.visibility import Visibility
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_screen(visibility: Visibility, event: Event, visitor: str) -> Request:
    """Map a screen to the Segment endpoint.

    Raises:
        RejectedError: Its name or category is no text, or its properties are no object.
    """
    name = screen_name(event.fields)
    return segmentio.to_track_request(visibility, event, segmentio.as_track(event.fields, name), visitor, name)


def screen_name(fields: dict[str, Any]) -> str:
    """Name a screen as Segment does: `Viewed {name} Screen`, without a name `Loaded a Screen`.

    Raises:
        RejectedError: Name or category is no text.
    """
    name = shape.optional_text(fields, "name")
    shape.optional_text(fields, "category")
    return "Loaded a Screen" if name is None else f"Viewed {name} Screen"
