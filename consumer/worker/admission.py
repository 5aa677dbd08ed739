"""Admission: from a polled record to deliveries in their lanes, without waiting for anything.

Records go in; each of their events ends as a delivery, a dead letter or a settled reason. This is the hot path: no
await, no task, nothing formatted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Final, Protocol

from consumer import metrics
from consumer.delivery.lane import Delivery
from consumer.delivery.letters import Letters
from consumer.delivery.tally import Counts, Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.progress import Progress
from consumer.kafka.records import Record, position
from consumer.log import get_logger
from consumer.mapping.result import Ended, Mapped
from consumer.metrics import Sample
from consumer.outcomes import EventType, Outcome, Reason, WarningKind
from consumer.pendo.requests import Request, Route
from consumer.segment.decode import decode
from consumer.segment.events import Element, Event, Undecodable

log = get_logger(__name__)

TOLD_EVERY_S: Final = 10.0
"""Between two lines of the log about a handler that fails."""

Ticketing = Callable[[Record, Progress, Tally, int], Ticket]
"""Makes a record's ticket; the number is when it was polled, milliseconds since the epoch."""


class Mapper(Protocol):
    """Turns an event into a request, or its end."""

    def map(self, event: Event) -> Mapped:
        """What is to be sent for an event."""


class Outlet(Protocol):
    """Takes deliveries of one route."""

    def add(self, delivery: Delivery) -> None:
        """Queue a delivery."""


class Admission:
    """Admits records.

    Attributes:
        envelope_path: The keys that lead to the event inside a record's value.
        tally: Counts what comes in.
        unkeyed: Records without a key so far.
        warnings: Events so far of which Pendo will not show something, by kind.
    """

    def __init__(
        self,
        *,
        envelope_path: tuple[str, ...],
        mapper: Mapper,
        outlets: Mapping[Route, Outlet],
        letters: Letters,
        tally: Tally,
        ticketing: Ticketing = Ticket,
    ) -> None:
        self.unkeyed = 0
        self.warnings: Counts[WarningKind] = Counts()
        self._handler_errors = 0
        self._told_s = -TOLD_EVERY_S
        self.envelope_path = envelope_path
        self._mapper = mapper
        self._outlets = outlets
        self._letters = letters
        self.tally = tally
        self._ticketing = ticketing

    def admit(self, progress: Progress, records: Iterable[Record], now_ms: int) -> None:
        """Open the records that were not started before.

        Args:
            progress: Of the partition that all of them come from.
            records: In the order of offsets.
            now_ms: When they were polled, milliseconds since the epoch.
        """
        for record in records:
            ticket = self._ticketing(record, progress, self.tally, now_ms)
            if not progress.start(record.offset, ticket):
                continue
            if record.key is None:
                self.unkeyed += 1
            elements = decode(record.value, self.envelope_path)
            if elements:
                ticket.admit(len(elements))
                for element in elements:
                    self.admit_element(element, ticket, element.index)
            else:
                self._settle_tombstone(ticket)

    def _settle_tombstone(self, ticket: Ticket) -> None:
        ticket.admit(1)
        self.tally.received[EventType.NONE] += 1
        ticket.settle(EventType.NONE, Outcome.SKIPPED, Reason.TOMBSTONE)

    def admit_element(self, element: Element, ticket: Ticket, index: int | None) -> None:
        """Have one event of an admitted record go where it has to; `index` is its place, if there are several."""
        if isinstance(element, Undecodable):
            self.tally.received[EventType.NONE] += 1
            self._park_undecodable(element, ticket, index)
            return
        self.tally.received[element.type] += 1
        element.arrived_ms = ticket.arrived_ms
        try:
            mapped = self._mapper.map(element)
        except Exception as error:  # noqa: BLE001  # whatever a mapping does, the worker stays up
            mapped = Ended(Outcome.DEAD_LETTERED, Reason.HANDLER_ERROR, f"the handler failed: {type(error).__name__}")
        if isinstance(mapped, Request):
            for warning in mapped.warnings:
                self.warnings[warning.kind] += 1
            ticket.count_body(mapped.body)
            delivery = Delivery(mapped, ticket, element.type, index, element.message_id)
            self._outlets[mapped.route].add(delivery)
        elif mapped.outcome is Outcome.DEAD_LETTERED:
            if mapped.reason is Reason.HANDLER_ERROR:
                self._tell_of_handler(element, mapped, ticket)
            self._park(element, mapped, ticket, index)
        else:
            ticket.settle(element.type, mapped.outcome, mapped.reason, index)

    def _tell_of_handler(self, event: Event, ended: Ended, ticket: Ticket) -> None:
        """It may fail at every event: the first of some seconds is told of, with how many there were before."""
        self._handler_errors += 1
        now_s = monotonic()
        if now_s - self._told_s < TOLD_EVERY_S:
            return
        log.warning(
            "a mapping handler failed",
            problem=ended.message,
            position=position(ticket.record),
            type=event.type,
            failed_so_far=self._handler_errors,
        )
        self._told_s = now_s

    def samples(self) -> Iterator[Sample]:
        """Metrics of what was read."""
        yield Sample(metrics.RECORDS_UNKEYED, self.unkeyed)
        for kind in WarningKind:
            yield Sample(metrics.WARNINGS, self.warnings[kind], (kind.value,))

    def _park_undecodable(self, element: Undecodable, ticket: Ticket, index: int | None) -> None:
        letter = DeadLetter(
            record=ticket.record,
            type=EventType.NONE,
            reason=Reason.UNDECODABLE,
            stage=Stage.DECODE,
            error="UndecodableError",
            message=element.message,
            index=index,
        )
        self._letters.park(letter, ticket)

    def _park(self, event: Event, ended: Ended, ticket: Ticket, index: int | None) -> None:
        letter = DeadLetter(
            record=ticket.record,
            type=event.type,
            reason=ended.reason,
            stage=Stage.MAP,
            error="RejectedError",
            message=ended.message,
            index=index,
            message_id=event.message_id,
        )
        self._letters.park(letter, ticket)
