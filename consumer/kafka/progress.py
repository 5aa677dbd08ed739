"""Progress: which offsets of one partition are open, and so how far may be committed.

Offsets are started as records are admitted and finished in any order; out come the watermark and the runs of the
offset map. It knows nothing of events, deliveries or the Kafka client.

Only the *open* offsets are kept. Whatever lies between the watermark and the next offset and is not open is finished,
or never existed (compaction, transaction markers); both need no second visit. A new `Progress` is a new epoch.
"""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

from consumer.kafka.offset_map import OffsetMap


class OpenRecord(Protocol):
    """What stands behind an open offset.

    Attributes:
        open: How many of the record's events are not settled.
        held_bytes: What it holds in memory.
    """

    open: int
    held_bytes: int


class Crowd(Protocol):
    """A lane that has got so long that its partitions are not read meanwhile."""

    @property
    def crowding(self) -> int:
        """How many of its deliveries are to be waited for."""


class Progress:
    """One partition in one epoch.

    Attributes:
        topic: The topic.
        partition: The partition's number.
        next_offset: The lowest offset that was never started; None before the first of a partition without commit.
        released: Set when what is open was handed back to Kafka: its verdicts settle nothing.
        changes: Grows whenever there is something new to commit.
        committed: The watermark that Kafka confirmed last; None before the first.
        committed_changes: `changes` at that commit.
        committed_flags: What travelled with that commit.
        last_read: The offset up to which the log was read in this epoch; a lower one means another log.
        pressed: Set while the partition is not read on, because so much lies beyond its watermark.
        crowd: Of the lanes that got a record from here when they were too long already the longest; None without one.
    """

    __slots__ = (
        "_highest_finished",
        "_open",
        "_unread",
        "changes",
        "committed",
        "committed_changes",
        "committed_flags",
        "crowd",
        "last_read",
        "next_offset",
        "partition",
        "pressed",
        "released",
        "topic",
    )

    def __init__(self, topic: str, partition: int, next_offset: int | None = None) -> None:
        self.topic = topic
        self.partition = partition
        self.next_offset = next_offset
        self.released = False
        self.changes = 0
        self.committed: int | None = None
        self.committed_changes = 0
        self.committed_flags = 0
        self.pressed = False
        self.crowd: Crowd | None = None
        self.last_read = -1
        # In the order of offsets: an offset is only ever added beyond the last. None: open, but not read again yet.
        self._open: dict[int, OpenRecord | None] = {}
        self._unread: deque[int] = deque()
        self._highest_finished = -1

    @classmethod
    def restored(cls, topic: str, partition: int, committed: int, finished: OffsetMap | None) -> "Progress":
        """The progress that a commit tells of: what the map calls finished will not start again."""
        progress = cls(topic, partition, committed)
        if finished is not None:
            progress._restore(committed, finished.runs)
        progress.committed = committed
        return progress

    def _restore(self, committed: int, runs: tuple[int, ...]) -> None:
        offset = committed
        for index, length in enumerate(runs):
            if index % 2 == 0:
                self._unread.extend(range(offset, offset + length))
            offset += length
        self._open = dict.fromkeys(self._unread)
        self._highest_finished = offset - 1
        self.next_offset = offset

    def start(self, offset: int, record: OpenRecord) -> bool:
        """Open an offset; False when it was started or finished before, which makes a second read harmless."""
        if self.next_offset is None or offset >= self.next_offset:
            if self._unread:
                self._forget_unread_before(offset)
            self._open[offset] = record
            self.next_offset = offset + 1
            return True
        if self._unread:
            self._forget_unread_before(offset)
            if self._unread and self._unread[0] == offset:
                self._unread.popleft()
                self._open[offset] = record
                return True
        return False

    def _forget_unread_before(self, offset: int) -> None:
        """Reading went past offsets that the map called open: they are gone from the log."""
        while self._unread and self._unread[0] < offset:
            del self._open[self._unread.popleft()]
            self.changes += 1

    def skip_to(self, first: int) -> int:
        """Pass over what is gone from the log; returns how many offsets that were open, or never read, are lost."""
        open_before = len(self._open)
        self._forget_unread_before(first)
        lost = open_before - len(self._open)
        if self.next_offset is not None and self.next_offset < first:
            lost += first - self.next_offset
            self.next_offset = first
            self.changes += 1
        return lost

    def missing_before(self, offset: int) -> Iterator[tuple[int, int]]:
        """What lies before `offset` and was not read, as ranges; what is finished is left out."""
        for unread in self._unread:
            if unread >= offset:
                return
            yield unread, unread + 1
        if self.next_offset is not None and self.next_offset < offset:
            yield self.next_offset, offset

    def finish(self, offset: int) -> None:
        """Close an open offset."""
        del self._open[offset]
        self.changes += 1
        if offset > self._highest_finished:  # noqa: PLR1730  # max() takes as long as all the rest here
            self._highest_finished = offset

    def release(self) -> None:
        """Its epoch is over: nothing is known any more, so nothing can be committed from it.

        It lets go of its records, which know it: else only the collector would free them.
        """
        self.released = True
        self.next_offset = None
        self._open.clear()
        self._unread.clear()

    @property
    def watermark(self) -> int | None:
        """The lowest open offset, else the next: what may be committed. None when nothing is known."""
        return next(iter(self._open), self.next_offset)

    def runs(self) -> list[int]:
        """Lengths of open and finished runs in turn, from the watermark to the highest finished offset."""
        ends: list[int] = []
        opened = None
        for offset in self._open:
            if offset > self._highest_finished:
                break
            if opened is None:
                ends.append(offset)
            elif offset != opened + 1:
                ends += (opened + 1, offset)
            opened = offset
        if opened is None:
            return []
        ends += (opened + 1, self._highest_finished + 1)
        return [end - start for start, end in pairwise(ends)]

    @property
    def open_offsets(self) -> int:
        """How many offsets are open, those not read again yet included."""
        return len(self._open)

    @property
    def unread(self) -> bool:
        """Whether offsets that the map called open have not been read again yet."""
        return bool(self._unread)

    @property
    def open_records_count(self) -> int:
        """How many records are open that have been read."""
        return len(self._open) - len(self._unread)

    @property
    def finished_beyond(self) -> int:
        """How many offsets beyond the watermark are finished, or were never there."""
        watermark = self.watermark
        if watermark is None or self.next_offset is None:
            return 0
        return self.next_offset - watermark - len(self._open)

    def open_at(self, offset: int) -> OpenRecord | None:
        """The record behind an open offset; None when it is not open, or not read again yet."""
        return self._open.get(offset)

    def is_open(self, offset: int) -> bool:
        """Whether an offset is open, read again yet or not."""
        return offset in self._open

    def open_records(self) -> Iterator[OpenRecord]:
        """The records behind the open offsets, lowest first."""
        return (record for record in self._open.values() if record is not None)
