"""Records with a parent, tickets of them, and an OTLP receiver."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.progress import Progress
from consumer.spans.tracing import Tracing
from tests.support.logs import restored
from tests.support.otlp import Receiver

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = ("traceparent", f"00-{TRACE}-{SPAN}-01".encode())
UNSAMPLED = ("traceparent", f"00-{TRACE}-{SPAN}-00".encode())

Lines = list[MutableMapping[str, Any]]


@dataclass
class Raw:
    """A record."""

    offset: int = 0
    topic: str = "events"
    partition: int = 3
    timestamp: int = 0
    key: bytes | None = b"visitor-7"
    value: bytes | None = b'{"userId": "visitor-7"}'
    headers: list[tuple[str, bytes]] = field(default_factory=lambda: [SAMPLED])


class Records:
    """Admits records of one partition, each of so many events."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.progress = Progress("events", 3, 0)

    def ticket(self, tracing: Tracing, *headers: tuple[str, bytes], events: int = 1) -> Ticket:
        """The next record's ticket; sampled, unless its headers say otherwise."""
        record = Raw(self.progress.next_offset or 0, headers=list(headers or [SAMPLED]))
        ticket = tracing.ticket(record, self.progress, self.tally, 1)
        assert self.progress.start(record.offset, ticket)
        ticket.admit(events)
        return ticket


@pytest.fixture
def records() -> Records:
    """A partition."""
    return Records()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Takes spans, on a port of its own."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What we log meanwhile."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Levels and handlers stay this test's own."""
    with restored():
        yield
