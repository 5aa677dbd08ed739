"""identify: traits become the visitor's metadata.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from typing import Any

from consumer.mapping import segmentio, shape
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_identify(event: Event, visitor: str) -> Request:
    """Map an identify to the Segment endpoint.

    Raises:
        RejectedError: Its traits are no object.
    """
    fields = event.fields
    if not shape.traits(fields):
        fields = _with_context_traits(fields)
    return segmentio.to_request(event, fields, visitor)


def _with_context_traits(fields: dict[str, Any]) -> dict[str, Any]:
    """Take the traits from where RudderStack puts them."""
    context = fields.get("context")
    found = context.get("traits") if isinstance(context, dict) else None
    return {**fields, "traits": found} if found and isinstance(found, dict) else fields
