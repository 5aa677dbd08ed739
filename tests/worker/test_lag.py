"""Lag: an outage is told from a client that reads no more, and one log that is away hides no other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest

from consumer import metrics
from consumer.delivery.lease import Hold
from consumer.delivery.tally import Tally
from consumer.errors import BrokerError
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.replays.readmission import LEFT
from consumer.worker.lag import GONE_AFTER, KAFKA_CHECK_S, NEW_CHECK_S, PROGRESS_CHECK_S, Lag
from consumer.worker.partitions import Partitions
from consumer.worker.standstill import BLOCKED_AFTER_S, STUCK_AFTER_S
from tests.delivery.virtual_loop import run_virtually

P0, P1 = Partition("events", 0), Partition("events", 1)
SESSION_S = 30.0


def virtually(story: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a virtual clock."""

    @wraps(story)
    def test() -> None:
        run_virtually(story())

    return test


class Kafka:
    """Two logs, and a client that stands somewhere in them.

    Attributes:
        gone: Whether no broker answers at all.
        away: Logs whose leader is away: whoever asks for them waits for long.
        stopped: Whether the client has left the group.
        at: Where reading stands.
        asked: Which bounds were asked for together.
    """

    partition_count = 2

    def __init__(self) -> None:
        self.gone = False
        self.away: set[Partition] = set()
        self.first_end = {P0: (0, 100), P1: (0, 100)}
        self.stopped = False
        self.at = {P0: 0, P1: 100}
        self.asked: list[list[Partition]] = []

    async def topics(self) -> set[str]:
        """As `Cluster.topics`."""
        if self.gone:
            raise BrokerError("no answer")
        return {"events"}

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """As `Source.bounds`: for all, or none."""
        self.asked.append(list(partitions))
        if self.away & set(partitions):
            await asyncio.sleep(10)
            raise BrokerError("first offsets: TimeoutError")
        return {p: self.first_end[p] for p in partitions}

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """As `Source.positions`."""
        if self.stopped:
            raise BrokerError("not connected")
        return {partition: self.at[partition] for partition in partitions}

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """As `Source.committed`."""
        return dict.fromkeys(partitions, (0, ""))

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """As `Source.offsets_at`."""
        raise NotImplementedError(partitions, time_ms)

    def seek(self, partition: Partition, offset: int) -> None:
        """As `Source.seek`."""


class Engine:
    """The delivery engine: it has nothing to do here."""

    def hold(self, why: Hold) -> None:
        """As the routes."""

    def free(self, why: Hold) -> None:
        """As the routes."""

    def drop_released(self) -> None:
        """As the routes."""

    def busy_with(self, progresses: Sequence[Progress]) -> bool:
        """As the routes: nothing is in flight."""
        del progresses
        return False

    def own(self, partitions: int, of: int) -> None:
        """As the routes."""

    def take_over(self, flags: int) -> None:
        """As the routes."""


class Work:
    """An open record."""

    open = 1
    held_bytes = 0


class Crowd:
    """A lane that is too long."""

    crowding = 1000


async def _commit(_: Iterable[Progress]) -> bool:
    return True


class Bench:
    """Lag between a Kafka and two partitions."""

    def __init__(self) -> None:
        self.kafka = Kafka()
        self.full = False
        self.partitions = Partitions(
            self.kafka, Engine(), start_from="earliest", drain_s=0.1, tag=b"a-writer", tally=Tally(), commit=_commit
        )
        self.lag = Lag(self.kafka, self.kafka, self.partitions, session_s=SESSION_S, holds_back=lambda: self.full)

    @asynccontextmanager
    async def asking(self, *away: Partition) -> AsyncIterator[asyncio.Task[None]]:
        """Both partitions are ours; then some lose their leader, and Kafka is asked."""
        await self.partitions.assigned([P0, P1])
        await self.partitions.restore()
        assert set(self.partitions.owned) == {P0, P1}
        self.kafka.away = set(away)
        task = asyncio.create_task(self.lag.run())
        await asyncio.sleep(0.1)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    def probes(self) -> tuple[bool, bool]:
        """Whether Kafka is gone, and whether the client is stuck."""
        return self.lag.kafka_gone, self.lag.stuck

    def shown(self, metric: metrics.Metric) -> dict[int, float]:
        """A metric's values by partition."""
        return {
            int(sample.labels[1]): sample.value
            for sample in self.lag.samples()
            if sample.metric is metric and isinstance(sample.value, int | float)
        }

    def read(self, partition: Partition, upto: int) -> None:
        """Read, and open, everything before."""
        progress = self.partitions.owned[partition]
        for offset in range(progress.next_offset or 0, upto):
            progress.start(offset, Work())
        self.kafka.at[partition] = upto


@virtually
async def test_a_client_that_reads_no_more_is_told_after_two_minutes() -> None:
    """Records lie there, nothing is in the way, and it shows in no other way than that nothing comes."""
    bench = Bench()
    async with bench.asking():
        await asyncio.sleep(STUCK_AFTER_S - 1)
        assert not bench.lag.stuck
        await asyncio.sleep(2)
        assert bench.lag.stuck


@virtually
async def test_a_client_that_reads_however_slowly_is_not_stuck() -> None:
    """One record a minute is slow, but it moves."""
    bench = Bench()
    async with bench.asking():
        for upto in range(1, 10):
            await asyncio.sleep(STUCK_AFTER_S / 2)
            bench.kafka.at[P0] = upto
            assert not bench.lag.stuck


@virtually
async def test_a_full_buffer_is_no_standstill() -> None:
    """Nothing is read on purpose then, however long Pendo is away; its time does not count afterwards either."""
    bench = Bench()
    bench.full = True
    async with bench.asking():
        await asyncio.sleep(10 * STUCK_AFTER_S)
        assert not bench.lag.stuck
        bench.full = False
        await asyncio.sleep(STUCK_AFTER_S - 1)
        assert not bench.lag.stuck


@virtually
async def test_a_partition_with_open_records_is_no_standstill() -> None:
    """It may wait for its share of the buffer, or for a visitor's lane."""
    bench = Bench()
    async with bench.asking():
        bench.read(P0, 50)
        await asyncio.sleep(10 * STUCK_AFTER_S)
        assert not bench.lag.stuck


@virtually
async def test_a_partition_that_is_held_back_for_others_records_is_no_standstill() -> None:
    """Another partition's visitor has too many events, or a map is full that cannot be committed; nothing is open."""
    bench = Bench()
    async with bench.asking():
        progress = bench.partitions.owned[P0]
        progress.crowd = Crowd()
        await asyncio.sleep(10 * STUCK_AFTER_S)
        assert not bench.lag.stuck
        progress.crowd, progress.pressed = None, True
        await asyncio.sleep(10 * STUCK_AFTER_S)
        assert not bench.lag.stuck
        progress.pressed = False
        await asyncio.sleep(STUCK_AFTER_S - 1)
        assert not bench.lag.stuck
        await asyncio.sleep(2 + KAFKA_CHECK_S)
        assert bench.lag.stuck


@virtually
async def test_a_partition_that_is_read_to_its_end_is_no_standstill() -> None:
    """An idle topic."""
    bench = Bench()
    bench.kafka.at[P0] = 100
    async with bench.asking():
        await asyncio.sleep(10 * STUCK_AFTER_S)
        assert not bench.lag.stuck


@virtually
async def test_an_outage_of_kafka_is_no_standstill() -> None:
    """Nothing can be read then, and a restart would not help."""
    bench = Bench()
    async with bench.asking():
        await asyncio.sleep(STUCK_AFTER_S / 2)
        bench.kafka.gone = True
        await asyncio.sleep(GONE_AFTER * SESSION_S)
        assert bench.probes() == (True, False)
        await asyncio.sleep(STUCK_AFTER_S)
        assert bench.probes() == (True, False)
        bench.kafka.gone = False
        await asyncio.sleep(KAFKA_CHECK_S + 1)
        assert bench.probes() == (False, False)


@virtually
async def test_a_stop_in_the_middle_of_a_question_is_no_fault() -> None:
    """The client is gone then; an orderly stop must not end as if a part had died."""
    bench = Bench()
    async with bench.asking() as asking:
        bench.kafka.stopped = True
        await asyncio.sleep(3 * KAFKA_CHECK_S)
        assert not asking.done()


def test_a_standstill_leaves_one_line_that_says_what_for_how_long_and_what_follows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It lasts until somebody restarts the process; when it has healed by itself, the next one is told again."""

    async def story() -> None:
        bench = Bench()
        async with bench.asking():
            await asyncio.sleep(2 * STUCK_AFTER_S)
            bench.kafka.at[P0] = 1
            await asyncio.sleep(2 * STUCK_AFTER_S)

    run_virtually(story())
    lines = [line for line in capsys.readouterr().out.splitlines() if "reads no more" in line]
    assert len(lines) == 2
    assert "events-0@0" in lines[0]
    assert "events-0@1" in lines[1]
    for line in lines:
        assert "error" in line
        assert "/livez answers 503" in line
        assert f"for_s={int(STUCK_AFTER_S)}" in line or f"for_s={int(STUCK_AFTER_S + KAFKA_CHECK_S)}" in line


@virtually
async def test_a_log_without_a_leader_hides_no_other() -> None:
    """Lag, backlog and beginnings of the others are known; asked together nobody would be answered."""
    bench = Bench()
    async with bench.asking(P0):
        await asyncio.sleep(4 * KAFKA_CHECK_S)
        assert bench.shown(metrics.LAG_RECORDS) == {1: 100}
        assert bench.partitions.gaps_due
        bench.kafka.first_end[P1] = (30, 200)
        await asyncio.sleep(4 * KAFKA_CHECK_S)
        assert bench.shown(metrics.BACKLOG_RECORDS) == {1: 200}
        bench.partitions.note_jump(P1, 40)
        assert bench.partitions.expiry.expired == 30
        assert bench.probes() == (False, False)


@virtually
async def test_logs_that_all_answer_are_asked_together() -> None:
    """Again when one that was away is back: a question for each would be many."""
    bench = Bench()
    async with bench.asking(P0):
        await asyncio.sleep(4 * KAFKA_CHECK_S)
        bench.kafka.away.clear()
        await asyncio.sleep(4 * KAFKA_CHECK_S)
        assert bench.shown(metrics.LAG_RECORDS) == {0: 100, 1: 100}
        bench.kafka.asked.clear()
        await asyncio.sleep(3 * KAFKA_CHECK_S)
        assert bench.kafka.asked == [[P0, P1]] * 3


@virtually
async def test_blocked_seconds_tell_how_long_the_oldest_open_record_has_been_so() -> None:
    """An idle partition has none; when the oldest is finished the next one's time begins."""
    bench = Bench()
    async with bench.asking():
        bench.read(P0, 50)
        await asyncio.sleep(60)
        blocked = bench.shown(metrics.BLOCKED_SECONDS)
        assert 60 - 2 * PROGRESS_CHECK_S <= blocked[0] <= 60
        assert blocked[1] == 0
        bench.partitions.owned[P0].finish(0)
        await asyncio.sleep(2 * PROGRESS_CHECK_S)
        assert bench.shown(metrics.BLOCKED_SECONDS)[0] <= 2 * PROGRESS_CHECK_S


@virtually
async def test_a_letter_that_is_not_sent_again_blocks_nothing() -> None:
    """It stays open for good; nobody is to be told that it holds the commit."""
    bench = Bench()
    async with bench.asking():
        bench.partitions.owned[P0].start(0, LEFT)
        await asyncio.sleep(60)
        assert bench.shown(metrics.BLOCKED_SECONDS)[0] == 0


def test_a_record_that_stays_the_oldest_open_one_for_long_leaves_one_line_with_its_position(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What stands in the way of a commit is named once, while metrics only say for how long; the next one again."""

    async def story() -> None:
        bench = Bench()
        async with bench.asking():
            bench.read(P0, 50)
            bench.read(P1, 1)
            bench.partitions.owned[P1].finish(0)
            await asyncio.sleep(BLOCKED_AFTER_S - 5)
            told.append(capsys.readouterr().out)
            await asyncio.sleep(3 * BLOCKED_AFTER_S)
            bench.partitions.owned[P0].finish(0)
            await asyncio.sleep(2 * BLOCKED_AFTER_S)

    told: list[str] = []
    run_virtually(story())
    assert "oldest open" not in told[0]
    lines = [line for line in capsys.readouterr().out.splitlines() if "oldest open" in line]
    assert len(lines) == 2
    assert "events-0@0" in lines[0]
    assert "events-0@1" in lines[1]
    for line in lines:
        assert "warning" in line
        assert f"for_s={int(BLOCKED_AFTER_S)}" in line or f"for_s={int(BLOCKED_AFTER_S) + 1}" in line


@virtually
async def test_the_backlog_of_a_partition_that_is_new_here_shows_at_once() -> None:
    """An autoscaler adds up the backlogs of all pods: until a new owner shows its own, the group looks better off."""
    bench = Bench()
    async with bench.asking():
        await bench.partitions.revoked([P1])
        await bench.partitions.assigned([P0])
        await bench.partitions.restore()
        await asyncio.sleep(2 * KAFKA_CHECK_S + 1)
        assert set(bench.shown(metrics.BACKLOG_RECORDS)) == {0}
        await bench.partitions.assigned([P0, P1])
        await bench.partitions.restore()
        asked = len(bench.kafka.asked)
        await asyncio.sleep(NEW_CHECK_S + 0.1)
        assert bench.shown(metrics.BACKLOG_RECORDS) == {0: 100, 1: 100}
        assert len(bench.kafka.asked) == asked + 1


@virtually
async def test_kafka_is_not_asked_more_often_for_a_log_that_is_away() -> None:
    """Its leader is not there; that it is new is no reason to ask again and again."""
    bench = Bench()
    async with bench.asking(P1):
        await asyncio.sleep(6 * KAFKA_CHECK_S)
        assert sum(P0 in asked for asked in bench.kafka.asked) <= 6
