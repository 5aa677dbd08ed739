"""Expiry: how many records retention deleted before they were read.

First offsets of logs and jumps of reading come in, a count and an error line come out. A jump is seen before it is
known where the log begins by then: what it passed over is remembered until Kafka has told. It asks nothing of Kafka.
"""

from collections.abc import Iterable, Mapping
from time import time
from typing import Final

from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.log import get_logger

log = get_logger(__name__)

MAX_RANGES: Final = 4000
"""To remember of a partition: more than an offset map has runs, or than polls fit between two answers of Kafka."""

Range = tuple[int, int]
"""Offsets from the first up to, but without, the second."""


class Expiry:
    """Counts what expired.

    Attributes:
        expired: Records that retention deleted before they were read.
        last_ms: When that was seen last, milliseconds since the epoch; None when it never was.
    """

    def __init__(self) -> None:
        self.expired = 0
        self.last_ms: int | None = None
        self._first_offsets: dict[Partition, int] = {}
        self._passed: dict[Partition, list[Range]] = {}
        # Looked at once already: the answer may have been on its way when reading jumped.
        self._passed_before: dict[Partition, list[Range]] = {}

    def count(self, partition: Partition, records: int) -> None:
        """So many are lost."""
        if records:
            self.expired += records
            self.last_ms = int(time() * 1000)
            log.error(
                "records expired before they were read: raise the topic's retention",
                partition=str(partition),
                records=records,
            )

    def note_beginnings(self, first_offsets: Mapping[Partition, int]) -> None:
        """Logs begin there now: what reading passed over before that is lost, the rest were gaps of the log."""
        self._first_offsets = dict(first_offsets)
        for partition, first in first_offsets.items():
            looked_at = self._passed_before.pop(partition, [])
            fresh = self._passed.pop(partition, [])
            self.count(partition, sum(max(min(first, end) - begin, 0) for begin, end in (*looked_at, *fresh)))
            if left := [(max(first, begin), end) for begin, end in fresh if end > first]:
                self._passed_before[partition] = left

    def note_jump(self, partition: Partition, progress: Progress, offset: int) -> None:
        """Reading jumped to `offset`: what lies before the log's beginning is lost, as soon as that is known."""
        begin = min(self._first_offsets.get(partition, 0), offset)
        self.count(partition, progress.skip_to(begin))
        self._remember(partition, progress.missing_before(offset))

    def _remember(self, partition: Partition, ranges: Iterable[Range]) -> None:
        passed = self._passed.setdefault(partition, [])
        passed += ranges
        del passed[:-MAX_RANGES]

    def forget(self, partition: Partition) -> None:
        """What is known of it is of a log, or of an epoch, that is over."""
        for known in (self._first_offsets, self._passed, self._passed_before):
            known.pop(partition, None)
