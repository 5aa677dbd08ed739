"""track: becomes a track event.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from consumer.mapping import segmentio, shape
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_track(event: Event, visitor: str) -> Request:
    """Map a track to the Segment endpoint.

    Raises:
        RejectedError: Its name is no text or blank, or its properties are no object.
    """
    fields = event.fields
    shape.event_name(fields)
    fields = segmentio.with_account(fields, shape.properties(fields))
    return segmentio.to_request(event, fields, visitor)
