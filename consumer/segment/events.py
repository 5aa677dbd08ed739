"""What a record's value can hold: events, each one decoded Segment event, and what is none.

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
        message_id: Segment's key for repeats, when the event carries one.
        arrived_ms: When its record arrived in Kafka, milliseconds since the epoch; None when it came in no record.
        index: Its place in the record's array or batch; None when the value is this one event.
    """

    __slots__ = ("arrived_ms", "fields", "index", "message_id", "raw", "type")

    def __init__(
        self,
        type_: EventType,
        fields: dict[str, Any],
        raw: bytes | None,
        arrived_ms: int | None = None,
        index: int | None = None,
    ) -> None:
        self.type = type_
        self.fields = fields
        self.raw = raw
        message_id = fields.get("messageId")
        self.message_id: str | None = message_id if isinstance(message_id, str) and message_id else None
        self.arrived_ms = arrived_ms
        self.index = index


class Undecodable:
    """A record, or one element of it, that is no event.

    Attributes:
        message: What is wrong, without quoting any of it.
        index: As an event's.
    """

    __slots__ = ("index", "message")

    def __init__(self, message: str, index: int | None = None) -> None:
        self.message = message
        self.index = index


Element = Event | Undecodable
