"""The event: one decoded Segment event, and the sum of what a record can hold.

Values only; how bytes become events is in `decode`, whether one is meant for Pendo in `filters`.
"""

from typing import Any

from consumer.outcomes import EventType


class Event:
    """One Segment event as it came.

    Attributes:
        type: Its type; `OTHER` for one that Segment's five calls, `alias` and `delete` do not cover.
        fields: The decoded JSON object, never changed in place.
        raw: The event's very bytes when the record's value is this one event; None when it was cut out of an
            array, a batch or an envelope.
        arrived_ms: When its record arrived in Kafka, milliseconds since the epoch; None when it came in no record.
    """

    __slots__ = ("arrived_ms", "fields", "raw", "type")

    def __init__(
        self, type_: EventType, fields: dict[str, Any], raw: bytes | None, arrived_ms: int | None = None
    ) -> None:
        self.type = type_
        self.fields = fields
        self.raw = raw
        self.arrived_ms = arrived_ms

    @property
    def message_id(self) -> str | None:
        """Segment's key for repeats, when the event carries one."""
        message_id = self.fields.get("messageId")
        return message_id if isinstance(message_id, str) and message_id else None


class Undecodable:
    """A record, or one element of it, that is no event.

    Attributes:
        message: What is wrong, without quoting any of it.
    """

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message


class Decoded:
    """What one record's value holds.

    Attributes:
        elements: In the order of the value; empty for a tombstone.
        indexed: Whether the value was an array or a batch, so that an element's index says which it is.
    """

    __slots__ = ("elements", "indexed")

    def __init__(self, elements: list[Event | Undecodable], *, indexed: bool) -> None:
        self.elements = elements
        self.indexed = indexed
