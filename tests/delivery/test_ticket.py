"""Tickets: a record's offset is finished when all of its events are settled, and each is counted once."""

import gc
import weakref

from consumer.delivery.ticket import Ticket, release
from consumer.outcomes import EventType, Outcome, Reason
from tests.delivery.conftest import Bench, FakeRecord

SENT = (EventType.TRACK, Outcome.DELIVERED, Reason.NONE)


def _really_open(bench: Bench) -> int:
    return sum(ticket.open for ticket in bench.progress.open_records())


def test_a_record_is_finished_with_its_last_event(bench: Bench) -> None:
    """An array of three holds its offset until the third is settled."""
    ticket = bench.ticket(events=3)
    for expected in (0, 0, 1):
        assert bench.progress.watermark == 0
        ticket.settle(*SENT)
        assert bench.progress.watermark == expected
    assert bench.tally.open_events == bench.tally.open_bytes == 0


def test_events_are_accounted_for_at_every_step(bench: Bench) -> None:
    """Received = settled + released + open, whatever happens in between."""
    tickets = [bench.ticket(events) for events in (1, 2, 3)]
    tickets[0].settle(*SENT)
    tickets[2].settle(EventType.TRACK, Outcome.SKIPPED, Reason.ANONYMOUS)
    assert bench.tally.unaccounted(_really_open(bench)) == 0
    assert release(bench.progress, bench.tally) == 4
    assert bench.tally.unaccounted(0) == 0
    assert bench.tally.open_events == bench.tally.open_bytes == 0


def test_a_vanished_or_doubled_event_shows(bench: Bench) -> None:
    """Conservation is counted from the tickets, so a mistake of the engine cannot hide in the tally."""
    bench.ticket()
    bench.tally.received[EventType.TRACK] += 1
    assert bench.tally.unaccounted(_really_open(bench)) == 1
    bench.tally.settled[SENT] += 2
    assert bench.tally.unaccounted(_really_open(bench)) == -1


def test_a_late_verdict_settles_nothing(bench: Bench) -> None:
    """The record went back to Kafka: whoever reads it next settles it."""
    ticket = bench.ticket()
    release(bench.progress, bench.tally)
    ticket.settle(*SENT)
    assert bench.tally.settled.total() == 0
    assert bench.tally.unaccounted(0) == 0


def test_nothing_can_be_committed_from_what_was_released(bench: Bench) -> None:
    """Its records are gone: the offset behind them would skip all that was open."""
    bench.ticket()
    assert bench.progress.watermark == 0
    release(bench.progress, bench.tally)
    assert bench.progress.watermark is None


def test_what_was_released_is_let_go_without_the_collectors_help(bench: Bench) -> None:
    """A handover under a backlog releases ten thousand records; the collector looks at old ones once in minutes."""
    gone = weakref.ref(bench.ticket().record)
    gc.disable()
    try:
        release(bench.progress, bench.tally)
        assert gone() is None
    finally:
        gc.enable()


def test_a_body_of_its_own_counts_the_records_bytes_do_not_count_twice(bench: Bench) -> None:
    """Unchanged events share the record's bytes."""
    record = FakeRecord(offset=0, value=b"12345", key=b"k")
    ticket = Ticket(record, bench.progress, bench.tally, now_ms=2_000)
    bench.progress.start(0, ticket)
    ticket.admit(1)
    assert record.value is not None
    ticket.count_body(record.value)
    assert bench.tally.open_bytes == 6
    ticket.count_body(b"another")
    assert bench.tally.open_bytes == 13
    ticket.settle(*SENT)
    assert bench.tally.open_bytes == 0


def test_arrival_is_the_earlier_of_the_records_time_and_the_poll(bench: Bench) -> None:
    """A producer's clock may run ahead, and a broker may have no time at all."""
    arrivals = [
        Ticket(FakeRecord(timestamp=t), bench.progress, bench.tally, now_ms=2_000).arrived_ms
        for t in (1_500, 9_000, -1)
    ]
    assert arrivals == [1_500, 2_000, 2_000]
