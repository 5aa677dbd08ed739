"""identify: traits become the visitor's metadata.

In comes an event, out comes a request. It must not know how it is delivered.
"""

from consumer.mapping import segmentio, shape
from consumer.mapping.state import ValuesOf, without_adopted, without_traits
from consumer.mapping.visibility import Visibility
from consumer.pendo.requests import Request, State
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms


def map_identify(visibility: Visibility, values_of: ValuesOf, event: Event, visitor: str) -> Request:
    """Map an identify to the Segment endpoint.

    Args:
        visibility: Says what Pendo will not show.
        values_of: What of the traits' values is to be compared with what was delivered.
        event: As it came.
        visitor: The visitor's id as text.

    Raises:
        RejectedError: Its traits are no object.
    """
    fields = event.fields
    traits, strip = shape.traits(fields) or {}, without_traits
    if not traits and (adopted := shape.context_traits(fields)) is not None:
        fields = {**fields, "traits": adopted}
        traits, strip = adopted, without_adopted
    names = tuple(traits)
    state = State(f"visitor:{visitor}", timestamp_ms(fields), names, values_of(traits), strip)
    warnings = visibility.of_metadata(names, traits)
    return segmentio.to_request(event, fields, visitor, warnings, state=state)
