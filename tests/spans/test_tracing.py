"""Tracing: which records are traced, what is told of their events, and that delivery goes on whatever becomes of it."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from consumer.delivery.ticket import Ticket, release
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route
from consumer.spans.traced import MAX_ATTEMPTS, Settled, TracedTicket
from consumer.spans.tracing import Tracing
from tests.spans.conftest import SPAN, TRACE, UNSAMPLED, Lines, Records

SENT = (EventType.TRACK, Outcome.DELIVERED, Reason.NONE)
REFUSED = (EventType.GROUP, Outcome.DEAD_LETTERED, Reason.REFUSED)


class Kept:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.settled: list[Settled] = []

    def record(self, settled: Settled) -> None:
        """Keep it."""
        self.settled.append(settled)

    def close(self) -> None:
        """Nothing is left."""


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_only_a_record_with_a_sampled_parent_is_traced(kept: Kept, records: Records) -> None:
    tracing = Tracing(kept)
    for headers in ([("source", b"x")], [UNSAMPLED], [("traceparent", b"none")]):
        ticket = records.ticket(tracing, *headers)
        assert type(ticket) is Ticket
        assert not ticket.traced
        ticket.settle(*SENT)
    assert kept.settled == []
    ticket = records.ticket(tracing)
    assert isinstance(ticket, TracedTicket)
    ticket.settle(*SENT)
    [settled] = kept.settled
    assert (settled.parent.trace_id, settled.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert settled.began_ns <= settled.ended_ns
    assert (records.progress.watermark, records.tally.open_events, records.tally.settled.total()) == (4, 0, 4)


def test_each_event_of_a_record_is_told_of_with_its_own_attempts(kept: Kept, records: Records) -> None:
    """An array of three: one goes at once, one at the second attempt, one is refused, in any order."""
    ticket = records.ticket(Tracing(kept), events=3)
    time.sleep(0.02)
    ticket.attempted(2, Route.SEGMENTIO, 503, 0.01)
    ticket.attempted(0, Route.TRACK, 200, 0.5)
    ticket.settle(*SENT, 0)
    ticket.attempted(1, Route.SEGMENTIO, 400, 0.1)
    ticket.attempted(2, Route.SEGMENTIO, 200, 0.1)
    ticket.settle(*SENT, 2)
    ticket.settle(*REFUSED, 1)
    told = [
        (one.index, one.outcome, [(each.number, each.route, each.status) for each in one.attempts.newest])
        for one in kept.settled
    ]
    assert told == [
        (0, Outcome.DELIVERED, [(1, Route.TRACK, 200)]),
        (2, Outcome.DELIVERED, [(1, Route.SEGMENTIO, 503), (2, Route.SEGMENTIO, 200)]),
        (1, Outcome.DEAD_LETTERED, [(1, Route.SEGMENTIO, 400)]),
    ]
    first, last = kept.settled[1].attempts.newest
    assert first.ended_ns - first.began_ns == 10_000_000
    # Longer than it is admitted: clocks are rounded.
    assert last.began_ns == kept.settled[1].began_ns
    assert records.progress.watermark == 1


def test_of_what_goes_back_to_kafka_nothing_is_told(kept: Kept, records: Records) -> None:
    """Whoever reads it next tells of it: one event has one span."""
    ticket = records.ticket(Tracing(kept), events=2)
    ticket.settle(*SENT, 0)
    release(records.progress, records.tally)
    ticket.attempted(1, Route.SEGMENTIO, 200, 0.1)
    ticket.settle(*SENT, 1)
    assert [one.index for one in kept.settled] == [0]


def test_in_an_outage_of_hours_only_the_newest_attempts_are_remembered(kept: Kept, records: Records) -> None:
    ticket = records.ticket(Tracing(kept))
    for _ in range(1_000):
        ticket.attempted(None, Route.SEGMENTIO, 503, 0.1)
    ticket.settle(*SENT)
    [settled] = kept.settled
    assert settled.attempts.count == 1_000
    assert [one.number for one in settled.attempts.newest] == list(range(1_001 - MAX_ATTEMPTS, 1_001))


class Broken(Kept):
    """Fails at every span."""

    def record(self, settled: Settled) -> None:
        """Fail."""
        raise ZeroDivisionError(settled.type)


def test_a_span_that_cannot_be_made_costs_its_event_nothing(records: Records, lines: Lines) -> None:
    """It is settled all the same; the log says it once."""
    tracing = Tracing(Broken())
    for _ in range(3):
        records.ticket(tracing).settle(*SENT)
    assert records.progress.watermark == 3
    assert records.tally.settled.total() == 3
    [line] = lines
    assert line["event"].startswith("a span could not be made")


class Hanging(Kept):
    """Its collector does not answer."""

    def __init__(self, until: Callable[[], object]) -> None:
        super().__init__()
        self._until = until

    def close(self) -> None:
        """Wait for it."""
        self._until()


async def test_a_stop_waits_for_the_last_spans_but_not_for_long(lines: Lines) -> None:
    go_on = threading.Event()
    try:
        async with asyncio.timeout(5):
            await Tracing(Hanging(go_on.wait)).close(0.1)
    finally:
        go_on.set()
    assert [line["event"] for line in lines] == ["the last spans could not be sent in time, and are lost"]


async def test_a_stop_goes_on_as_soon_as_the_last_spans_are_sent(lines: Lines) -> None:
    await Tracing(Kept()).close(60)
    assert lines == []
