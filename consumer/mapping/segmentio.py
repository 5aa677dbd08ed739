"""What Pendo's Segment endpoint takes: the event as it came, but for a few documented changes.

In come an event and the fields that are to go out, out comes the request. It must not know the event's type.
"""

from typing import Any, Final

from consumer.mapping import shape
from consumer.mapping.encode import encode
from consumer.mapping.visibility import Visibility, Warnings, size_bytes_of
from consumer.mapping.visitor import account_of_fact, is_anonymous
from consumer.pendo.requests import Request, Route, State
from consumer.segment.events import Event

WRITE_KEY: Final = "writeKey"
"""Segment's secret of a source, which some ingests leave in the event."""

IDENTITY_BITS: Final = (1 << 60) - 1
"""An int of more bits takes half as much memory again, and eight bytes are what is remembered of it. Of 200,000, one in
five trillion new events has the same by chance."""

# Looking a member up in its enum takes as long as a small function.
_SEGMENTIO: Final = Route.SEGMENTIO


def to_request(
    event: Event,
    fields: dict[str, Any],
    visitor: str,
    warnings: Warnings,
    name: str = "",
    state: State | None = None,
    account: str | None = None,
    state_hash: int = 0,
) -> Request:
    """Build the request; an event whose fields are unchanged goes out as the very bytes that came.

    Args:
        event: As it came.
        fields: What goes out: the event's own fields, or a changed copy.
        visitor: The visitor's id as text.
        warnings: What Pendo will not show.
        name: Of a track event its name.
        state: For an identify or a group what it says.
        account: For a group the account's id.
        state_hash: For a group a hash of its traits.
    """
    # An id that stands there as it is was not taken from elsewhere.
    if fields.get("userId") is not visitor and is_anonymous(fields, visitor):
        fields = {**fields, "userId": visitor}
    if WRITE_KEY in fields:
        fields = fields.copy()
        del fields[WRITE_KEY]
    body = event.raw if event.raw is not None and fields is event.fields else encode(fields)
    identity = identity_of(event, visitor)
    return Request(_SEGMENTIO, f"visitor:{visitor}", body, account, state_hash, identity, state, warnings, name)


def to_track_request(visibility: Visibility, event: Event, fields: dict[str, Any], visitor: str, name: str) -> Request:
    """Build the request of a track, or of what became one, with its name.

    Raises:
        RejectedError: Its properties are no object.
    """
    properties = shape.properties(fields)
    account = account_of_fact(fields, properties)
    if account is not None and (not properties or properties.get("groupId") is None):
        fields = with_account(fields)
        properties = fields["properties"]
    size_bytes = size_bytes_of(event, properties)
    warnings = visibility.of_track_event(fields, properties, size_bytes, account) + visibility.of_event_age(event)
    return to_request(event, fields, visitor, warnings, name)


def identity_of(event: Event, visitor: str) -> int:
    """A hash that only the same event has again: messageId, type, visitor, name and time; 0 without a messageId.

    Some sources give all events of a batch one messageId, so that it alone is not enough to call an event a repeat. Of
    a group the account counts as its name, of a page and a screen the category as a part of it.
    """
    message_id, get = event.message_id, event.fields.get
    if message_id is None:
        return 0
    what = (
        message_id,
        visitor,
        get("timestamp"),
        get("type"),
        get("event"),
        get("name"),
        get("category"),
        get("groupId"),
    )
    try:
        return hash(what) & IDENTITY_BITS or 1
    except TypeError:  # an object where a name or a time should be
        return 0


def with_account(fields: dict[str, Any]) -> dict[str, Any]:
    """Give a track event the account of its context: Pendo reads it from `properties.groupId`; a changed copy."""
    # `copy` takes a table as it is; `{**fields}` puts one key after the other into a new one.
    changed, properties = fields.copy(), (fields.get("properties") or {}).copy()
    properties["groupId"] = fields["context"]["groupId"]
    changed["properties"] = properties
    return changed


def as_track(fields: dict[str, Any], event: str) -> dict[str, Any]:
    """Turn a page or screen into a track event of this name; a changed copy without top-level name and category."""
    changed = fields.copy()
    changed.pop("name", None)
    changed.pop("category", None)
    changed["type"] = "track"
    changed["event"] = event
    return changed
