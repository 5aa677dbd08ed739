"""Progress: committed never passes what is open, and a restart brings back exactly what was open."""

from dataclasses import dataclass

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


def test_a_restored_progress_tells_the_same_as_the_one_before() -> None:
    """A commit right after a restart must not forget what the last one called finished."""
    progress = _started(range(10, 20))
    for offset in (10, 12, 13, 16):
        progress.finish(offset)
    again = _restart(progress)
    assert (again.watermark, again.runs()) == (progress.watermark, progress.runs()) == (11, [1, 2, 2, 1])


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


def test_what_lies_finished_beyond_the_watermark_is_counted() -> None:
    """By it a failing head is told from an outage: most of what is behind it went through."""
    progress = _started(range(10))
    assert progress.finished_beyond == 0
    for offset in (3, 5, 6):
        progress.finish(offset)
    assert progress.finished_beyond == 3
    progress.finish(0)
    assert progress.finished_beyond == 3, "nothing beyond the watermark"
    assert Progress("t", 0).finished_beyond == 0
