"""Whether an event is meant for Pendo, by its `integrations`.

In comes an event, out comes yes or no. It must not know how the event is delivered.
"""

from typing import Final

from consumer.segment.events import Event

DESTINATION: Final = "Pendo"
"""Our name among Segment's destinations; case sensitive, as in Segment's own `@segment/facade`."""


def integrations_allow(event: Event) -> bool:
    """Decide as Segment's `@segment/facade` does: only a JSON `false` says no, and our own key goes before `All`."""
    integrations = event.fields.get("integrations")
    if not integrations or not isinstance(integrations, dict):
        return True
    if DESTINATION in integrations:
        return integrations[DESTINATION] is not False
    return integrations.get("All") is not False and integrations.get("all") is not False
