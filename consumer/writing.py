"""Writes: which events of a record write fields of a visitor or an account, and what.

For commands, not for a record's way to Pendo: each record is looked at by itself.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from consumer.delivery.memory import stamp_of
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.delivery.writes import Stamp
from consumer.kafka.progress import Progress
from consumer.kafka.records import Record
from consumer.mapping.router import Router
from consumer.pendo.requests import Request, State
from consumer.segment.decode import decode
from consumer.segment.events import Event

MARKS: Final = (b"identify", b"group", b"\\u")
"""One of these stands in every record that holds an event which writes fields: the last begins an escaped letter."""


class Write(NamedTuple):
    """One event that writes fields.

    Attributes:
        request: What it is mapped to.
        state: What that writes.
        stamp: How new it is.
        record: Where it stands.
        event: It.
    """

    request: Request
    state: State
    stamp: Stamp
    record: Record
    event: Event


def writes_in(record: Record, envelope_path: tuple[str, ...], router: Router) -> Iterator[Write]:
    """The events of a record that write fields, in their order."""
    value = record.value
    # Most records need not be decoded.
    if not value or not any(mark in value for mark in MARKS):
        return
    for event in decode(value, envelope_path):
        if isinstance(event, Event):
            event.arrived_ms = record.timestamp
            request = router.map(event)
            if isinstance(request, Request) and request.state is not None:
                yield Write(request, request.state, stamp_at(request, record), record, event)


def stamp_at(request: Request, record: Record) -> Stamp:
    """How new what a record's request says is."""
    return stamp_of(request, Ticket(record, Progress(record.topic, record.partition), Tally(), record.timestamp))
