"""Commits: when and what is written to Kafka, off the delivery path.

Progress is read, never locked. A commit goes out after `commit_interval_s`, or after as many settlements as requests
are in flight, whichever is first; so a crash repeats little, whatever the rate. One at a time, at least 50 ms apart.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
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


class Committer(Protocol):
    """Writes positions to Kafka."""

    async def commit(self, positions: dict[Partition, tuple[int, str]]) -> None:
        """Commit offsets with metadata; raises `BrokerError` when it is not confirmed."""


class Commits:
    """Decides when to commit.

    Attributes:
        results: How many were `confirmed` and how many `failed`.
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
    ) -> None:
        self.results = Counter({"confirmed": 0, "failed": 0})
        self._committer = committer
        self._tag = tag
        self._interval_s = interval_s
        self._owned = owned
        self._settled = settled
        self._in_flight = in_flight
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Commit for ever."""
        last_s, last_settled = monotonic(), 0
        while True:
            await asyncio.sleep(MIN_INTERVAL_S)
            settled = self._settled()
            if due(settled - last_settled, self._in_flight(), monotonic() - last_s, self._interval_s):
                confirmed = await self.commit(self._owned())
                last_s, last_settled = monotonic(), settled
                if not confirmed:
                    await asyncio.sleep(self._interval_s)

    async def commit(self, progresses: Iterable[Progress]) -> bool:
        """Commit what is new in these partitions; whether all of it is confirmed."""
        async with self._lock:
            changed = [(p, p.changes, p.watermark) for p in progresses if p.changes != p.committed_changes]
            positions = {
                Partition(p.topic, p.partition): (watermark, encode(watermark, p.runs(), self._tag))
                for p, _, watermark in changed
                if watermark is not None
            }
            if not positions:
                return True
            try:
                await self._committer.commit(positions)
            except BrokerError as error:
                self.results["failed"] += 1
                log.warning("a commit was not confirmed; it will be repeated", problem=str(error))
                return False
            self.results["confirmed"] += 1
            for progress, changes, watermark in changed:
                progress.committed_changes = changes
                progress.committed = watermark
            return True


def due(settled: int, in_flight: int, elapsed_s: float, interval_s: float) -> bool:
    """Whether it is time for a commit.

    Args:
        settled: Events settled since the last one.
        in_flight: Requests on the wire now.
        elapsed_s: Seconds since the last one.
        interval_s: `commit_interval_s`.
    """
    return elapsed_s >= interval_s or settled >= max(in_flight, 1)
