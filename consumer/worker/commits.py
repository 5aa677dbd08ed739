"""Commits: when and what is written to Kafka, off the delivery path.

Progress is read, never locked. A commit goes out after `commit_interval_s`, or after as many settlements as requests
are in flight, whichever is first; so a crash repeats little, whatever the rate. One at a time, at least 50 ms apart.
With it travel the offset map and the flags: states that whoever goes on from the commit must know.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from time import monotonic
from typing import Final, Protocol

from consumer.errors import BrokerError
from consumer.kafka.offset_map import encode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.log import get_logger

log = get_logger(__name__)

MIN_INTERVAL_S: Final = 0.05
"""A broker answers a commit in a few milliseconds; more often would cost more than it saves."""
RETRY_S: Final = 1.0
"""Until a commit that was not confirmed is repeated, or less if the interval is; whatever comes first repeats less."""


class Answer(StrEnum):
    """What became of a commit; the first two are labels of the metric `commits_total`."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    NEEDLESS = "needless"


class Committer(Protocol):
    """Writes positions to Kafka."""

    async def commit(self, positions: dict[Partition, tuple[int, str]]) -> None:
        """Commit offsets with metadata; raises `BrokerError` when it is not confirmed."""


class Commits:
    """Decides when to commit.

    Attributes:
        results: How many were confirmed, and how many failed.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        tag: bytes,
        interval_s: float,
        owned: Callable[[], Iterable[Progress]],
        settled: Callable[[], int],
        in_flight: Callable[[], int],
        flags: Callable[[], int],
    ) -> None:
        self._turned_s = monotonic()
        self.results = Counter({Answer.CONFIRMED: 0, Answer.FAILED: 0})
        self._committer = committer
        self._tag = tag
        self._interval_s = interval_s
        self._owned = owned
        self._settled = settled
        self._in_flight = in_flight
        self._flags = flags
        self._lock = asyncio.Lock()

    def idle_s(self) -> float:
        """Seconds since the loop last turned."""
        return monotonic() - self._turned_s

    async def run(self) -> None:
        """Commit for ever."""
        last_s, last_settled, last_flags, confirmed = monotonic(), 0, 0, True
        while True:
            await asyncio.sleep(MIN_INTERVAL_S)
            self._turned_s = monotonic()
            settled, flags = self._settled(), self._flags()
            elapsed_s = monotonic() - last_s
            is_due = due(settled - last_settled, self._in_flight(), elapsed_s, self._interval_s)
            if is_due or flags != last_flags or not confirmed:
                confirmed = await self.commit(self._owned())
                last_s, last_settled, last_flags = monotonic(), settled, flags
                if not confirmed:
                    await asyncio.sleep(min(self._interval_s, RETRY_S))

    async def commit(self, progresses: Iterable[Progress]) -> bool:
        """Commit what is new in these partitions; whether all of it is confirmed."""
        return await self._commit(progresses, again=False) is not Answer.FAILED

    async def prove(self) -> bool:
        """Commit what is ours once more, new or not: whether the group still takes our commits."""
        return await self._commit(self._owned(), again=True) is Answer.CONFIRMED

    async def _commit(self, progresses: Iterable[Progress], *, again: bool) -> Answer:
        async with self._lock:
            flags = self._flags()
            changed = [
                (p, p.changes, p.watermark)
                for p in progresses
                if again or p.changes != p.committed_changes or p.committed_flags != flags
            ]
            positions = {
                Partition(p.topic, p.partition): (watermark, encode(watermark, p.runs(), self._tag, flags))
                for p, _, watermark in changed
                if watermark is not None
            }
            if not positions:
                return Answer.NEEDLESS
            try:
                await self._committer.commit(positions)
            except BrokerError as error:
                self.results[Answer.FAILED] += 1
                log.warning("a commit was not confirmed; it will be repeated", problem=str(error))
                return Answer.FAILED
            self.results[Answer.CONFIRMED] += 1
            for progress, changes, watermark in changed:
                progress.committed_changes = changes
                progress.committed_flags = flags
                progress.committed = watermark
            return Answer.CONFIRMED


def due(settled: int, in_flight: int, elapsed_s: float, interval_s: float) -> bool:
    """Whether it is time for a commit.

    Args:
        settled: Events settled since the last one.
        in_flight: Requests on the wire now.
        elapsed_s: Seconds since the last one.
        interval_s: `commit_interval_s`.
    """
    return elapsed_s >= interval_s or settled >= max(in_flight, 1)
