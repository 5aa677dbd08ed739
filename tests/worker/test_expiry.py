"""Expiry: what retention deletes under a reader is counted, whenever it becomes known; gaps of the log are not."""

import pytest

from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.worker import expiry as module
from consumer.worker.expiry import Expiry

P0, P1 = Partition("events", 0), Partition("events", 1)


class Work:
    """An open record."""

    open = 1
    held_bytes = 0


class Bench:
    """A reader of one partition."""

    def __init__(self) -> None:
        self.expiry = Expiry()
        self.progress = Progress(*P0, 0)
        self.expiry.note_beginnings({P0: 0, P1: 0})

    def read(self, first: int, end: int) -> None:
        """A polled batch, as polling takes it."""
        if first > self.progress.last_read + 1:
            self.expiry.note_jump(P0, self.progress, first)
        self.progress.last_read = end - 1
        for offset in range(first, end):
            self.progress.start(offset, Work())

    def after(self, *first_offsets: int) -> list[int]:
        """What has expired after each of these answers of Kafka."""
        expired = []
        for first in first_offsets:
            self.expiry.note_beginnings({P0: first, P1: 0})
            expired.append(self.expiry.expired)
        return expired


@pytest.fixture
def bench() -> Bench:
    """A reader of a log that begins at 0."""
    return Bench()


def test_what_expires_under_a_reader_is_counted_though_it_jumps_before_kafka_has_told(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Retention passes a reader that is behind; the next fetch begins at the first record that is left."""
    bench.read(0, 10)
    bench.read(50, 60)
    assert bench.expiry.expired == 0, "it could be a gap"
    assert bench.after(50) == [40]
    [line] = [line for line in capsys.readouterr().out.splitlines() if "expired before they were read" in line]
    assert "events-0" in line
    assert "records=40" in line


def test_what_retention_deletes_after_it_was_read_is_no_loss(bench: Bench) -> None:
    """Only what was passed over counts, and only once."""
    bench.read(0, 10)
    bench.read(50, 60)
    assert bench.after(55, 1000, 1000) == [40, 40, 40]


def test_an_answer_that_was_on_its_way_when_reading_jumped_is_not_the_last_word(bench: Bench) -> None:
    """It tells of the log before; the next one counts. After that it was a gap."""
    bench.read(0, 10)
    bench.read(50, 60)
    assert bench.after(0, 50) == [0, 40]
    bench.read(100, 110)
    assert bench.after(80, 90, 200) == [60, 70, 70]


def test_a_gap_within_the_log_is_no_loss_even_when_all_of_it_has_expired_later(bench: Bench) -> None:
    """Compaction, markers of transactions: the log began before them when they were passed over."""
    bench.read(0, 10)
    bench.read(50, 60)
    assert bench.after(0, 0, 60) == [0, 0, 0]


def test_a_log_that_does_not_answer_is_waited_for(bench: Bench) -> None:
    """Its leader is away; the others' answers say nothing of it."""
    bench.read(0, 10)
    bench.read(50, 60)
    for _ in range(3):
        bench.expiry.note_beginnings({P1: 7})
    assert bench.after(50) == [40]


def test_several_jumps_between_two_answers_all_count(bench: Bench) -> None:
    """A reader that is slower than retention loses again and again."""
    for first in range(0, 100, 20):
        bench.read(first, first + 10)
    assert bench.after(80) == [40]


def test_of_what_a_map_calls_finished_nothing_is_lost(bench: Bench) -> None:
    """It was delivered before the restart."""
    bench.progress = Progress.restored(*P0, 10, OffsetMap(b"", 0, (2, 3)))
    bench.progress.last_read = 9
    bench.read(20, 30)
    assert bench.after(20) == [2 + 5]


def test_what_is_remembered_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long Kafka does not tell where a log begins."""
    monkeypatch.setattr(module, "MAX_RANGES", 3)
    for first in range(0, 100, 20):
        bench.read(first, first + 10)
    assert bench.after(80) == [30]


def test_of_a_log_that_was_made_anew_nothing_is_remembered(bench: Bench) -> None:
    """Its offsets are others."""
    bench.read(0, 10)
    bench.read(50, 60)
    bench.expiry.forget(P0)
    assert bench.after(50) == [0]
