"""delete: the visitor is to be deleted at Pendo, for good.

In comes an event, out comes a request that names the visitor and nothing else.
"""

from consumer.mapping.encode import encode
from consumer.mapping.segmentio import identity_of
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event


def map_delete(event: Event, visitor: str) -> Request:
    """Map a delete to Pendo's bulk deletion.

    Args:
        event: As it came.
        visitor: The visitor's id as text.
    """
    lane = f"visitor:{visitor}"
    return Request(Route.BULKDELETE, lane, encode(visitor), identity=identity_of(event, lane))
