"""group: traits become the account's metadata, and the visitor is linked to the account.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from consumer.mapping import segmentio, shape
from consumer.mapping.encode import encode
from consumer.mapping.state import state_of
from consumer.mapping.visibility import Visibility
from consumer.mapping.visitor import account_of
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_group(event: Event, visitor: str, *, visibility: Visibility, with_values: bool = False) -> Request:
    """Map a group to the Segment endpoint.

    Args:
        event: As it came.
        visitor: The visitor's id as text.
        visibility: Says what Pendo will not show.
        with_values: Whether the traits' values are to be compared with what was delivered.

    Raises:
        RejectedError: It has no account id that Pendo takes, or its traits are no object.
    """
    account = account_of(event.fields)
    traits = shape.traits(event.fields) or {}
    state = state_of(event, "account", account, traits, with_values=with_values)
    state_hash = hash(encode(traits, sort_keys=True))
    warnings = visibility.of_metadata(state.fields, traits)
    return segmentio.to_request(event, event.fields, visitor, account, state_hash, state, warnings)
