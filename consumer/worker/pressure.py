"""Pressure: which partitions may be read on.

Their progress comes in, those that must wait come out. A partition waits while too much lies beyond its watermark: its
offset map would not fit a commit, or it would take the buffer from the others; or while one lane got too long.
"""

from collections.abc import Mapping
from typing import Final

from consumer.kafka.offset_map import fullness
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition

MAX_POLL_RECORDS: Final = 500
"""What one poll may add before this is asked again."""
MAP_SHARE: Final = 0.9
"""Of an offset map's room, for reading as ever. The rest is for the few records that tell poison from an outage."""
MIN_SHARE: Final = 1000
"""Events of the buffer for each partition, however many there are: two polls."""

LANE_SHARE: Final = 0.1
"""Of the buffer, for one lane: a visitor whose events come faster than they can go, one by one, stops its partition."""


def is_full(progress: Progress) -> bool:
    """Whether a partition's offset map may come to be full with the next poll, however its open records end."""
    return _fullness(progress) > MAP_SHARE


def _fullness(progress: Progress) -> float:
    return fullness(progress.open_offsets + MAX_POLL_RECORDS, progress.finished_beyond)


class Pressure:
    """Tells which partitions must wait, and marks them.

    Args:
        max_open_events: The buffer that the partitions share.

    Attributes:
        max_lane: Events in one lane from which on the partitions that they come from wait, until it is half as long.
    """

    __slots__ = ("_max_open_events", "max_lane")

    def __init__(self, max_open_events: int) -> None:
        self._max_open_events = max_open_events
        self.max_lane = max(1, int(LANE_SHARE * max_open_events))

    def share(self, partitions: int) -> int:
        """Open records from which on one of so many partitions waits: with several, none can fill the buffer alone."""
        whole = self._max_open_events
        return whole if partitions <= 1 else max(1, min(max(whole // partitions, MIN_SHARE), whole // 2))

    def waiting(self, owned: Mapping[Partition, Progress], *, full: bool) -> set[Partition]:
        """The partitions that must not be read now.

        Args:
            owned: All that are ours.
            full: Whether the whole buffer is used up, which is pressure on each of them.
        """
        share = self.share(len(owned))
        waiting = {partition for partition, progress in owned.items() if self._waits(progress, share)}
        if full:
            for progress in owned.values():
                progress.pressed = True
        return waiting

    @staticmethod
    def brimming(owned: Mapping[Partition, Progress]) -> set[Partition]:
        """The partitions of which not even a few records more may be read."""
        return {partition for partition, p in owned.items() if _fullness(p) > 1 and not p.unread}

    def _waits(self, progress: Progress, share: int) -> bool:
        # What a map calls open is nowhere but in the log: it must be read to be finished.
        too_much = is_full(progress) or progress.open_records_count >= share
        progress.pressed = too_much and not progress.unread
        if progress.crowd is not None and progress.crowd.crowding < self.max_lane / 2:
            progress.crowd = None
        return progress.pressed or progress.crowd is not None
