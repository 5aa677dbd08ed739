"""Lag: how far behind our partitions are, as Kafka tells from time to time.

It asks off the record's way. What it learns is shown as metrics, and told to the probes.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from consumer import metrics
from consumer.errors import BrokerError
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.log import get_logger
from consumer.metrics import Sample
from consumer.worker.partitions import Partitions
from consumer.worker.standstill import Positions, Watermarks

log = get_logger(__name__)

PROGRESS_CHECK_S: Final = 1.0
"""How often it is looked whether watermarks move."""
KAFKA_CHECK_S: Final = 5.0
"""How often Kafka is asked; more often where the session's timeout is short."""
NEW_CHECK_S: Final = 0.25
"""How soon it is asked of a partition that is new here: an autoscaler adds up backlogs, and would miss it till then."""
GONE_AFTER: Final = 0.8
"""Of the session's timeout without an answer: then the brokers are gone, before the group notices."""


class Brokers(Protocol):
    """Answers when Kafka is there."""

    async def topics(self) -> set[str]:
        """The names of all topics."""


class Logs(Protocol):
    """What is asked of the logs, and of the client that reads them."""

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """First and end offsets; raises `BrokerError` when it has not all of them."""

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Where reading stands, as far as known."""


class Behind(NamedTuple):
    """How far behind a partition is; None where it is not known.

    Attributes:
        end: Where its log ends.
        lag: Records beyond the committed offset.
        backlog: Records that are not settled.
        blocked_s: How long the same record has been the oldest open one.
    """

    end: int | None
    lag: int | None
    backlog: int | None
    blocked_s: float


class Lag:
    """Asks, and tells."""

    def __init__(
        self, brokers: Brokers, logs: Logs, partitions: Partitions, *, session_s: float, holds_back: Callable[[], bool]
    ) -> None:
        """Nothing is asked yet.

        Args:
            brokers: Whether they are there.
            logs: How far they reach.
            partitions: Ours.
            session_s: The group's timeout.
            holds_back: Whether nothing is read on purpose.
        """
        self._brokers = brokers
        self._logs = logs
        self._partitions = partitions
        self._session_s = session_s
        self._holds_back = holds_back
        self._loop = asyncio.get_running_loop()
        self._answered_s = self._loop.time()
        self._ends: dict[Partition, int] = {}
        # Those of which Kafka was asked the last time, whether it answered or not.
        self._known: set[Partition] = set()
        # Whether one of our logs did not answer lately: asked together, the others would not be answered either.
        self._apart = False
        self._watermarks = Watermarks()
        self._positions = Positions()

    @property
    def kafka_gone(self) -> bool:
        """Whether Kafka has not answered for too long."""
        return self._loop.time() - self._answered_s > GONE_AFTER * self._session_s

    @property
    def stuck(self) -> bool:
        """Whether the Kafka client has stopped reading, though records lie there and nothing is in the way."""
        return bool(self._positions.stuck(self._loop.time()))

    async def run(self) -> None:
        """Ask for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_progress(), name="lag progress")
            tasks.create_task(self._watch_kafka(), name="lag kafka")

    async def _watch_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_CHECK_S)
            oldest = {
                partition: progress.watermark
                for partition, progress in self._partitions.owned.items()
                if progress.watermark is not None and _is_worked_on(progress, progress.watermark)
            }
            self._watermarks.observe(oldest, self._loop.time())
            self._watermarks.tell(self._loop.time())

    async def _watch_kafka(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._session_s / 2):
                    await self._brokers.topics()
                self._answered_s = self._loop.time()
                await self._look_at_the_logs()
            except (BrokerError, TimeoutError) as error:
                self._positions.observe({}, self._loop.time())
                log.debug("Kafka does not answer", problem=str(error))
            await self._until_due()

    async def _until_due(self) -> None:
        """Wait for the next look; not for long when a partition was not ours at the last one."""
        due_s = self._loop.time() + min(KAFKA_CHECK_S, self._session_s / 4)
        while (left_s := due_s - self._loop.time()) > 0:
            await asyncio.sleep(min(left_s, NEW_CHECK_S))
            if not self._known.issuperset(self._partitions.owned):
                return

    async def _look_at_the_logs(self) -> None:
        owned = sorted(self._partitions.owned)
        self._known = set(owned)
        groups = [[partition] for partition in owned] if self._apart else [owned]
        answers = await asyncio.gather(*map(self._bounds, groups))
        bounds = {partition: found for answer in answers for partition, found in answer.items()}
        self._apart = len(bounds) < len(owned)
        self._partitions.note_beginnings(bounds)
        self._ends = {partition: end for partition, (_, end) in bounds.items()}
        await self._look_for_standstill()

    async def _bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """First and end offsets; none when not all of them are known in time."""
        try:
            async with asyncio.timeout(self._session_s / 4):
                return await self._logs.bounds(partitions)
        except (BrokerError, TimeoutError) as error:
            log.debug("a log's bounds are not known", partitions=[str(p) for p in partitions], problem=str(error))
            return {}

    async def _look_for_standstill(self) -> None:
        behind: dict[Partition, int] = {}
        if not self._holds_back():
            readable = [partition for partition, progress in self._partitions.owned.items() if _readable(progress)]
            try:
                async with asyncio.timeout(self._session_s / 8):
                    positions = await self._logs.positions(readable)
            except TimeoutError:
                return  # of some it is not known where they stand: what was seen of the others still counts
            behind = {partition: at for partition, at in positions.items() if at < self._ends.get(partition, 0)}
        now_s = self._loop.time()
        self._positions.observe(behind, now_s)
        self._positions.tell(now_s)

    def of(self, partition: Partition) -> Behind:
        """How far behind one of ours is."""
        progress, end = self._partitions.owned[partition], self._ends.get(partition)
        blocked_s = self._watermarks.for_s(partition, self._loop.time())
        if end is None or progress.next_offset is None:
            return Behind(end, None, None, blocked_s)
        lag = None if progress.committed is None else max(end - progress.committed, 0)
        return Behind(end, lag, max(end - progress.next_offset, 0) + progress.open_offsets, blocked_s)

    def samples(self) -> Iterator[Sample]:
        """How far behind each owned partition is, as far as known."""
        for partition in self._partitions.owned:
            behind = self.of(partition)
            labels = (partition.topic, str(partition.partition))
            yield Sample(metrics.BLOCKED_SECONDS, behind.blocked_s, labels)
            if behind.backlog is not None:
                yield Sample(metrics.BACKLOG_RECORDS, behind.backlog, labels)
            if behind.lag is not None:
                yield Sample(metrics.LAG_RECORDS, behind.lag, labels)


def _is_worked_on(progress: Progress, offset: int) -> bool:
    """Whether something is to be done of the record at an open offset, which may not be read again yet."""
    record = progress.open_at(offset)
    return bool(progress.open_records_count) if record is None else record.open > 0


def _readable(progress: Progress) -> bool:
    """Whether nothing at all is in the way: no record waits, and reading is not held back, be it by others' records."""
    return not progress.open_records_count and not progress.pressed and progress.crowd is None
