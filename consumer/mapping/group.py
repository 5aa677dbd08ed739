"""group: traits become the account's metadata, and the visitor is linked to the account.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from consumer.mapping import segmentio, shape
from consumer.mapping.encode import encode
from consumer.mapping.visitor import account_of
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_group(event: Event, visitor: str) -> Request:
    """Map a group to the Segment endpoint.

    Raises:
        RejectedError: It has no account id that Pendo takes, or its traits are no object.
    """
    account = account_of(event.fields)
    state = encode(shape.traits(event.fields) or {}, sort_keys=True)
    return segmentio.to_request(event, event.fields, visitor, account, hash(state))
