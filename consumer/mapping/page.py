"""page: becomes a track event with the name that Segment itself gives it.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from typing import Any

from consumer.mapping import segmentio, shape
from consumer.mapping.visibility import Visibility
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_page(visibility: Visibility, event: Event, visitor: str) -> Request:
    """Map a page to the Segment endpoint.

    Raises:
        RejectedError: Its name or category is no text, or its properties are no object.
    """
    name = page_name(event.fields)
    return segmentio.to_track_request(visibility, event, segmentio.as_track(event.fields, name), visitor, name)


def page_name(fields: dict[str, Any]) -> str:
    """Name a page as Segment does: `Viewed {category} {name} Page`, without a name `Loaded a Page`.

    Raises:
        RejectedError: Name or category is no text.
    """
    name = shape.optional_text(fields, "name")
    category = shape.optional_text(fields, "category")
    if name is None:
        return "Loaded a Page"
    return f"Viewed {name} Page" if category is None else f"Viewed {category} {name} Page"
