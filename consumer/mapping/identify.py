"""identify: traits become the visitor's metadata.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from consumer.mapping import segmentio, shape
from consumer.mapping.state import state_of
from consumer.mapping.visibility import Visibility
from consumer.pendo.requests import Request
from consumer.segment.events import Event


def map_identify(event: Event, visitor: str, *, visibility: Visibility, with_values: bool = False) -> Request:
    """Map an identify to the Segment endpoint.

    Args:
        event: As it came.
        visitor: The visitor's id as text.
        visibility: Says what Pendo will not show.
        with_values: Whether the traits' values are to be compared with what was delivered.

    Raises:
        RejectedError: Its traits are no object.
    """
    fields = event.fields
    traits = shape.traits(fields)
    adopted = None if traits else shape.context_traits(fields)
    if adopted is not None:
        fields = {**fields, "traits": adopted}
        traits = adopted
    state = state_of(event, "visitor", visitor, traits, with_values=with_values, adopted=adopted is not None)
    warnings = visibility.of_metadata(state.fields, traits) if traits else ()
    return segmentio.to_request(event, fields, visitor, state=state, warnings=warnings)
