"""group: traits become the account's metadata, and the visitor is linked to the account.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from consumer.mapping import segmentio, shape
from consumer.mapping.encode import draft
from consumer.mapping.state import ValuesOf, without_traits
from consumer.mapping.visibility import Visibility
from consumer.mapping.visitor import account_of
from consumer.pendo.requests import Request, State
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms


def map_group(visibility: Visibility, values_of: ValuesOf, event: Event, visitor: str) -> Request:
    """Map a group to the Segment endpoint.

    Args:
        visibility: Says what Pendo will not show.
        values_of: What of the traits' values is to be compared with what was delivered.
        event: As it came.
        visitor: The visitor's id as text.

    Raises:
        RejectedError: It has no account id that Pendo takes, or its traits are no object.
    """
    fields = event.fields
    account = account_of(fields)
    traits = shape.traits(fields) or {}
    names = tuple(traits)
    state = State(f"account:{account}", timestamp_ms(fields), names, values_of(traits), without_traits)
    state_hash = hash(draft(traits, sort_keys=True))
    warnings = visibility.of_metadata(names, traits)
    return segmentio.to_request(event, fields, visitor, warnings, state=state, account=account, state_hash=state_hash)
