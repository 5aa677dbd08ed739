"""Pressure: who must wait, so that a commit's map holds everything and no partition or lane takes the whole buffer."""

import pytest

from consumer.kafka.offset_map import OffsetMap, decode, encode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.worker.pressure import MAX_POLL_RECORDS, Pressure, is_full

P0, P1 = Partition("events", 0), Partition("events", 1)


class Work:
    """An open record."""

    open = 1
    held_bytes = 0


class Lane:
    """A lane that got too long."""

    def __init__(self, crowding: int) -> None:
        self.crowding = crowding


class Bench:
    """Partitions that share a buffer."""

    def __init__(self, partitions: int = 2, max_open_events: int = 10_000) -> None:
        self.pressure = Pressure(max_open_events)
        self.owned = {Partition("events", number): Progress("events", number, 0) for number in range(partitions)}

    def open(self, partition: Partition, count: int) -> None:
        """Read on."""
        progress = self.owned[partition]
        assert progress.next_offset is not None
        for offset in range(progress.next_offset, progress.next_offset + count):
            assert progress.start(offset, Work())

    def waiting(self, *, full: bool = False) -> set[Partition]:
        """Who must wait."""
        return self.pressure.waiting(self.owned, full=full)


@pytest.mark.parametrize(
    ("max_open_events", "partitions", "share"),
    [
        (10_000, 0, 10_000),
        (10_000, 1, 10_000),
        (10_000, 2, 5_000),
        (10_000, 4, 2_500),
        (10_000, 64, 1_000),
        (1_500, 2, 750),
        (1_500, 64, 750),
        (1, 3, 1),
    ],
)
def test_a_partition_alone_may_fill_the_buffer_and_one_of_several_never(
    max_open_events: int, partitions: int, share: int
) -> None:
    """An equal share, but two polls at least, and never more than half."""
    assert Pressure(max_open_events).share(partitions) == share


def test_a_partition_that_has_used_up_its_share_waits_and_the_others_are_read_on() -> None:
    """One whose records cannot be finished would else take the room of all."""
    bench = Bench()
    bench.open(P0, 4_999)
    bench.open(P1, 10)
    assert bench.waiting() == set()
    bench.open(P0, 1)
    assert bench.waiting() == {P0}
    assert [progress.pressed for progress in bench.owned.values()] == [True, False]
    bench.owned[P0].finish(0)
    assert bench.waiting() == set()
    assert not bench.owned[P0].pressed


def test_a_partition_waits_before_its_map_may_outgrow_a_commit() -> None:
    """However the open ones end: a map that is cut costs repeats at the next handover, of deliveries long past."""
    bench = Bench(1, max_open_events=40_000)
    progress = bench.owned[P0]
    offset = 0
    while not bench.waiting():
        for _ in range(MAX_POLL_RECORDS):
            progress.start(offset, Work())
            offset += 1
        for finished in range(offset - MAX_POLL_RECORDS + 1, offset, 2):
            progress.finish(finished)
        written = decode(encode(0, progress.runs(), b"a-writer"), 0)
        assert written is not None
        assert list(written.runs) == progress.runs(), "what was read fits"
    assert offset > 20_000, "it is not given up early"
    assert bench.waiting() == {P0}
    assert progress.pressed
    progress.finish(0)
    for finished in range(2, offset, 4):
        progress.finish(finished)
    written = decode(encode(progress.watermark or 0, progress.runs(), b"a-writer"), progress.watermark or 0)
    assert written is not None
    assert list(written.runs) == progress.runs(), "and still does while its open ones are finished"
    while progress.open_offsets > 10:
        progress.finish(progress.watermark or 0)
    assert bench.waiting() == set()


def test_a_part_of_a_maps_room_is_kept_for_the_few_records_that_tell_poison_from_an_outage() -> None:
    """Reading stops before that; when it is used up as well, nothing more is read at all."""
    bench = Bench(1, max_open_events=100_000)
    progress = bench.owned[P0]
    while not bench.waiting():
        assert not is_full(progress)
        bench.open(P0, MAX_POLL_RECORDS)
    assert is_full(progress)
    assert bench.pressure.brimming(bench.owned) == set()
    bench.open(P0, 10 * MAX_POLL_RECORDS)
    assert bench.pressure.brimming(bench.owned) == {P0}
    bench.owned[P0] = Progress.restored("events", 0, 0, OffsetMap(b"a-writer", 0, (1, 1) * 15_000))
    assert bench.pressure.brimming(bench.owned) == set(), "what its map calls open must be read"


def test_what_a_restored_map_calls_open_is_always_read() -> None:
    """It lies nowhere but in the log: whoever waited for it to be finished would wait for ever."""
    bench = Bench(1, max_open_events=2)
    bench.owned[P0] = progress = Progress.restored("events", 0, 0, OffsetMap(b"a-writer", 0, (3, 200)))
    for offset in (0, 1):
        assert progress.start(offset, Work())
        assert bench.waiting() == set()
        assert not progress.pressed
    assert progress.start(2, Work())
    assert bench.waiting() == {P0}


def test_offsets_that_were_not_read_again_take_no_room() -> None:
    """Only what is held in memory counts."""
    progress = Progress.restored("events", 0, 0, OffsetMap(b"a-writer", 0, (500, 1)))
    assert (progress.open_offsets, progress.open_records_count) == (500, 0)
    progress.start(0, Work())
    assert progress.open_records_count == 1


def test_a_lane_that_got_too_long_stops_its_partitions_until_it_is_half_as_long() -> None:
    """Not at every event that leaves it: reading would start and stop all the time."""
    bench = Bench()
    lane = Lane(bench.pressure.max_lane)
    assert bench.pressure.max_lane == 1_000
    bench.owned[P0].crowd = lane
    assert bench.waiting() == {P0}
    assert not bench.owned[P0].pressed, "a hot lane is healthy: nothing of it is in the way of the others"
    lane.crowding = 500
    assert bench.waiting() == {P0}
    lane.crowding = 499
    assert bench.waiting() == set()
    assert bench.owned[P0].crowd is None


def test_a_full_buffer_is_pressure_on_every_partition() -> None:
    """None of them can be read on, so whatever fails for good in any of them is in the way."""
    bench = Bench()
    assert bench.waiting(full=True) == set()
    assert all(progress.pressed for progress in bench.owned.values())
    bench.waiting()
    assert not any(progress.pressed for progress in bench.owned.values())


def test_a_tiny_buffer_has_a_lane_of_one() -> None:
    """A bound of nothing would stop every partition at once."""
    assert Pressure(1).max_lane == 1
