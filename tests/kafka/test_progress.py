"""Progress against a model: committed never passes what is open, and a restart brings back exactly what was open."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.kafka.offset_map import decode, encode
from consumer.kafka.progress import Progress

TAG = b"a-writer"


@dataclass
class Work:
    """An open record."""

    open: int = 1
    held_bytes: int = 0


def _started(offsets: range) -> Progress:
    progress = Progress("t", 0, offsets.start)
    for offset in offsets:
        assert progress.start(offset, Work())
    return progress


def _restart(progress: Progress) -> Progress:
    watermark = progress.watermark
    assert watermark is not None
    return Progress.restored("t", 0, watermark, decode(encode(watermark, progress.runs(), TAG), watermark))


def test_after_a_restart_exactly_the_unfinished_come_back() -> None:
    """A, B, D done, C and E not: C and E are read again, and nothing else."""
    a, b, c, d, e = offsets = range(10, 15)
    progress = _started(offsets)
    for offset in (d, a, b):
        progress.finish(offset)
    again = _restart(progress)
    assert [offset for offset in range(c, e + 1) if again.start(offset, Work())] == [c, e]
    assert again.watermark == c


def test_watermark_waits_for_the_oldest_open_record() -> None:
    """Whatever finishes beyond it, the watermark stays at the lowest open offset."""
    progress = _started(range(5))
    for offset in (4, 3, 2, 1):
        progress.finish(offset)
        assert progress.watermark == 0
    progress.finish(0)
    assert progress.watermark == 5


def test_a_second_read_of_a_record_is_harmless() -> None:
    """What is polled again after a seek was started, or even finished, before."""
    progress = _started(range(3))
    progress.finish(1)
    assert not any(progress.start(offset, Work()) for offset in range(3))


def test_gaps_of_the_log_do_not_hold_the_watermark() -> None:
    """Compaction and transaction markers leave offsets that never come."""
    progress = Progress("t", 0, 0)
    for offset in (0, 7, 9):
        assert progress.start(offset, Work())
    progress.finish(0)
    assert progress.watermark == 7
    progress.finish(7)
    progress.finish(9)
    assert progress.watermark == 10


def test_an_unread_offset_that_left_the_log_does_not_hold_the_watermark() -> None:
    """The map calls 1 open, but by the time of the restart it is gone."""
    progress = _started(range(4))
    progress.finish(0)
    progress.finish(2)
    again = _restart(progress)
    assert again.watermark == 1
    assert again.start(3, Work())
    assert again.watermark == 3


def test_expired_records_are_passed_over_and_counted() -> None:
    """Retention took 0 to 5; of those 1 and 4 were unfinished and are lost."""
    progress = _started(range(8))
    for offset in (0, 2, 3, 5, 7):
        progress.finish(offset)
    again = _restart(progress)
    assert again.skip_to(6) == 2
    assert again.watermark == 6
    assert Progress("t", 0, 3).skip_to(10) == 7


class Restarts(RuleBasedStateMachine):
    """Random starts, finishes, commits, crashes and log gaps, beside sets of plain integers."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress("t", 0, 0)
        self.log_end = 0
        self.started: set[int] = set()
        self.finished: set[int] = set()
        self.committed: tuple[int, str] = (0, "")
        self.finished_at_commit: set[int] = set()

    @rule(count=st.integers(1, 20), gap=st.integers(0, 3))
    def poll(self, count: int, gap: int) -> None:
        """Read on, past a gap."""
        self.log_end += gap
        for offset in range(self.log_end, self.log_end + count):
            assert self.progress.start(offset, Work())
            self.started.add(offset)
        self.log_end += count

    @precondition(lambda self: self.started - self.finished)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Finish any open record."""
        offset = data.draw(st.sampled_from(sorted(self.started - self.finished)))
        self.progress.finish(offset)
        self.finished.add(offset)

    @rule()
    def commit(self) -> None:
        """Write watermark and map."""
        watermark = self.progress.watermark
        assert watermark is not None
        assert watermark >= self.committed[0], "never backwards within an epoch"
        self.committed = (watermark, encode(watermark, self.progress.runs(), TAG))
        self.finished_at_commit = set(self.finished)

    @rule()
    def crash(self) -> None:
        """Start again from the last commit, and read the log from there."""
        offset, metadata = self.committed
        self.progress = Progress.restored("t", 0, offset, decode(metadata, offset))
        again = {o for o in sorted(self.started) if o >= offset and self.progress.start(o, Work())}
        assert again == self.started - self.finished_at_commit, "exactly what no commit called finished"
        self.finished = set(self.finished_at_commit)

    @invariant()
    def nothing_unfinished_is_committed(self) -> None:
        """The watermark never passes an open record, and the runs name exactly the finished ones."""
        watermark = self.progress.watermark
        assert watermark is not None
        unfinished = self.started - self.finished
        assert all(offset >= watermark for offset in unfinished)
        offset = watermark
        for index, length in enumerate(self.progress.runs()):
            covered = set(range(offset, offset + length))
            assert not (covered & unfinished if index % 2 else covered & self.finished)
            offset += length
        assert all(finished < offset for finished in self.finished if finished >= watermark)


TestRestarts = Restarts.TestCase
TestRestarts.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
