"""Deliveries made by hand, for tests of the engine without a broker."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from consumer.delivery.bucket import Bucket
from consumer.delivery.flood import Flood
from consumer.delivery.gate import Gate
from consumer.delivery.lane import Delivery
from consumer.delivery.lease import Lease
from consumer.delivery.letters import Letters
from consumer.delivery.limit import Limit
from consumer.delivery.memory import Memory
from consumer.delivery.poison import Poison
from consumer.delivery.retry import Backoff
from consumer.delivery.senders import Senders
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import DeadLetter
from consumer.kafka.progress import Progress
from consumer.outcomes import EventType, Outcome
from consumer.pendo.requests import Request, Route
from tests.support.awaited import Answering, ByTasks


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


class Box:
    """A letterbox that acknowledges at once."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Take a letter."""
        self.letters.append(letter)
        owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason)


@dataclass(kw_only=True)
class Engine:
    """The parts of one route's engine; those that a test does not name are as they are shipped.

    Attributes:
        limit: Requests at once.
        random: Whatever is left to chance.
        max_delay_s: Of retries and of probes.
    """

    limit: int = 256
    random: Callable[[], float] = field(default_factory=lambda: random.Random(1).random)
    max_delay_s: float = 60.0
    lease: Lease = field(default_factory=lambda: Lease(30))
    flood: Flood = field(default_factory=lambda: Flood(0.5, 200))
    memory: Memory = field(default_factory=lambda: Memory(ids=0, message_ids=0, suppress_unchanged=False))
    poison: Poison = field(default_factory=lambda: Poison(900, 5))
    max_lane: int = 1_000
    quota: float | None = None

    def gate(self) -> Gate:
        """A gate."""
        return Gate(
            limit=Limit(self.limit),
            lease=self.lease,
            flood=self.flood,
            bucket=Bucket(self.quota),
            max_probe_delay_s=self.max_delay_s,
            random=self.random,
        )

    def senders(self, post: Answering, letters: Letters, *, gate: Gate | None = None) -> Senders:
        """Senders before a destination."""
        return Senders(
            Route.SEGMENTIO,
            gate=gate or self.gate(),
            memory=self.memory,
            backoff=Backoff(self.max_delay_s, self.random),
            poison=self.poison,
            max_lane=self.max_lane,
            destination=ByTasks(post),
            letters=letters,
        )


@pytest.fixture
def bench() -> Bench:
    """A partition to make deliveries of."""
    return Bench()
