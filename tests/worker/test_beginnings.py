"""Beginnings: a commit goes first, then `start_from`; and what a commit says must be possible."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from consumer.kafka.offset_map import encode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.worker.beginnings import StartFrom, begun, wanted

P0, P1 = Partition("events", 0), Partition("events", 1)
TAG = b"a-writer"
BOUNDS = {P0: (7, 100), P1: (0, 50)}
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Times:
    """Tells the same for any time, and notes it."""

    def __init__(self, found: Mapping[Partition, int | None]) -> None:
        self.found = found
        self.asked: list[int] = []

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """As `Source.offsets_at`."""
        self.asked.append(time_ms)
        return {partition: self.found[partition] for partition in partitions}


class Work:
    """An open record."""

    open = 1
    held_bytes = 0


@pytest.mark.parametrize(
    ("start_from", "offsets"),
    [("earliest", {P0: 7, P1: 0}), ("latest", {P0: 100, P1: 50}), (NEW_YEAR, {P0: 55, P1: 50})],
)
async def test_a_partition_without_a_commit_begins_where_it_is_told(
    start_from: StartFrom, offsets: dict[Partition, int]
) -> None:
    """A time that all records are older than is the end."""
    times = Times({P0: 55, P1: None})
    assert await wanted(times, start_from, [P0, P1], BOUNDS) == offsets
    assert times.asked == ([1_767_225_600_000] if start_from is NEW_YEAR else [])


async def test_when_all_have_commits_no_time_is_asked_for() -> None:
    """A question for no partition at all is one that some brokers answer oddly."""
    times = Times({})
    assert await wanted(times, NEW_YEAR, [], {}) == {}
    assert times.asked == []


def _unfinished(progress: Progress, offsets: range) -> list[int]:
    return [offset for offset in offsets if progress.start(offset, Work())]


def test_without_a_commit_the_beginning_is_to_be_committed_at_once() -> None:
    """Else a crash before the first settlement would move `latest`."""
    progress, flags = begun(P0, None, 100, 42)
    assert (progress.watermark, progress.last_read, flags) == (42, 41, 0)
    assert progress.changes != progress.committed_changes


def test_a_commit_is_gone_on_from_with_its_map_and_its_flags() -> None:
    """What it calls finished is not read again; and there is nothing new to commit."""
    progress, flags = begun(P0, (42, encode(42, [1, 2], TAG, 5)), 100, 7)
    assert (progress.watermark, progress.last_read, flags) == (42, 41, 5)
    assert _unfinished(progress, range(42, 47)) == [42, 45, 46]
    assert progress.changes == progress.committed_changes


def test_flags_that_a_commit_carries_are_known_to_be_committed() -> None:
    """So that the next commit takes back those that are over: a flood that has ended must not begin again."""
    progress, _ = begun(P0, (42, encode(42, [], TAG, 5)), 100, 7)
    assert progress.committed_flags == 5


@pytest.mark.parametrize(("end", "believed"), [(45, True), (44, False), (10, False)])
def test_a_map_that_reaches_beyond_the_end_is_not_believed(end: int, *, believed: bool) -> None:
    """It tells of a topic that was there before: new records at its offsets would be taken for finished."""
    progress, flags = begun(P0, (42, encode(42, [1, 2], TAG, 1)), end, 7)
    assert _unfinished(progress, range(42, 45)) == ([42] if believed else [42, 43, 44])
    assert flags == int(believed)


@pytest.mark.parametrize("metadata", ["", "by hand", encode(41, [1, 2], TAG), "é"])
def test_metadata_of_others_means_that_nothing_is_finished(metadata: str) -> None:
    """The offset counts all the same."""
    progress, flags = begun(P0, (42, metadata), 100, 7)
    assert (progress.watermark, flags) == (42, 0)
    assert _unfinished(progress, range(42, 45)) == [42, 43, 44]
