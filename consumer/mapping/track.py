"""track: becomes a track event.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from consumer.mapping import segmentio, shape
from consumer.mapping.visibility import Visibility
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_track(visibility: Visibility, event: Event, visitor: str) -> Request:
    """Map a track to the Segment endpoint.

    Raises:
        RejectedError: Its name is no text or blank, or its properties are no object.
    """
    fields = event.fields
    return segmentio.to_track_request(visibility, event, fields, visitor, shape.event_name(fields))
