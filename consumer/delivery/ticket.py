"""The ticket: one Kafka record's count of open events. At zero its offset is finished.

Every event of a record ends in exactly one `settle`. A ticket does not know how an event came to its end.
"""

from typing import ClassVar

from consumer.delivery.tally import Tally
from consumer.kafka.progress import Progress
from consumer.kafka.records import Record
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route


class Ticket:
    """One admitted record.

    Attributes:
        traced: Whether it is to be told of attempts.
        record: As it came; its bytes are what a dead letter keeps.
        progress: Of its partition, in the epoch in which it was read.
        open: How many of its events are not settled.
        arrived_ms: The earlier of the record's Kafka timestamp and its poll, milliseconds since the epoch.
        held_bytes: What the record holds in memory while it is open.
        offset: Which offset of the progress is finished at its end.
    """

    __slots__ = ("_tally", "arrived_ms", "held_bytes", "offset", "open", "progress", "record")
    traced: ClassVar[bool] = False

    def __init__(self, record: Record, progress: Progress, tally: Tally, now_ms: int) -> None:
        self.record = record
        self.offset = record.offset
        self.open = 0
        self.progress = progress
        self._tally = tally
        self.arrived_ms = record.timestamp if 0 <= record.timestamp < now_ms else now_ms
        self.held_bytes = len(record.value or b"") + len(record.key or b"")

    def admit(self, events: int) -> None:
        """Open so many events: at least one, since a record that holds none is settled as such."""
        self.open = events
        self._tally.open_events += events
        self._tally.open_bytes += self.held_bytes

    @property
    def released(self) -> bool:
        """Whether the record went back to Kafka: verdicts settle nothing any more."""
        return self.progress.released

    def count_body(self, body: bytes) -> None:
        """Count a body that is not the record's own bytes."""
        if body is not self.record.value:
            self.held_bytes += len(body)
            self._tally.open_bytes += len(body)

    def attempted(self, index: int | None, route: Route, status: int | str, took_s: float) -> None:
        """An attempt at one of its events was answered just now, or was not; told to a ticket that is traced alone.

        Args:
            index: The event's place in the record's array or batch; None when the value is one event.
            route: Which way it went.
            status: The HTTP status, or `timeout` or `connection`.
            took_s: How long it took.
        """

    def settle(self, type_: EventType, outcome: Outcome, reason: Reason, index: int | None = None) -> None:  # noqa: ARG002
        """End one event; `index` as in `attempted`. After a release it is nobody's business here any more."""
        if self.progress.released:
            return
        tally = self._tally
        tally.settled[type_, outcome, reason] += 1
        tally.open_events -= 1
        self.open -= 1
        if self.open == 0:
            tally.open_bytes -= self.held_bytes
            self.progress.finish(self.offset)


def release(progress: Progress, tally: Tally) -> int:
    """Hand back to Kafka what is open in a partition; returns how many events that were."""
    events = 0
    for ticket in progress.open_records():
        events += ticket.open
        tally.open_bytes -= ticket.held_bytes
    progress.release()
    tally.open_events -= events
    tally.released += events
    return events
