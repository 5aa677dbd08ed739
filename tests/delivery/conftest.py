"""Deliveries made by hand, for tests of the engine without a broker."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from consumer.delivery.lanes import Delivery
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.progress import Progress
from consumer.outcomes import EventType
from consumer.pendo.requests import Request, Route


@dataclass
class FakeRecord:
    """A record as Kafka gives it."""

    topic: str = "t"
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_000
    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Bench:
    """One partition, one tally, and deliveries as they are asked for."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.progress = Progress("t", 0, 0)
        self._offset = 0

    def ticket(self, events: int = 1) -> Ticket:
        """A ticket of the next record."""
        record = FakeRecord(offset=self._offset)
        self._offset += 1
        ticket = Ticket(record, self.progress, self.tally, now_ms=2_000)
        assert self.progress.start(record.offset, ticket)
        ticket.admit(events)
        self.tally.received[EventType.TRACK] += events
        return ticket

    def delivery(self, lane: str, account: str | None = None, state: int = 0) -> Delivery:
        """A delivery of the next record."""
        request = Request(Route.SEGMENTIO, f"visitor:{lane}", b"{}", account, state)
        return Delivery(request, self.ticket(), EventType.TRACK, None, None)


@pytest.fixture
def bench() -> Bench:
    """A partition to make deliveries of."""
    return Bench()


MakeDelivery = Callable[..., Delivery]
