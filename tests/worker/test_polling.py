"""Polling: it reads as long as there is room, outlives Kafka's troubles, and lets others have their turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from consumer.delivery.lane import Delivery
from consumer.delivery.lease import Hold
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.errors import BrokerError, UnjoinableError
from consumer.kafka.dead_letter import DeadLetter
from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, Record
from consumer.mapping.result import Mapped
from consumer.outcomes import Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event
from consumer.worker import beginnings, polling
from consumer.worker.admission import Admission
from consumer.worker.partitions import Partitions
from consumer.worker.polling import Polling
from consumer.worker.pressure import MAX_POLL_RECORDS, Pressure

P0, P1 = Partition("events", 0), Partition("events", 1)
VALUE = b'{"type": "track", "event": "e", "userId": "u"}'
RETRY_DELAY_S = 0.02

pytestmark = pytest.mark.timeout(15)


@pytest.fixture(autouse=True)
def short_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for each failed poll would be a test's whole time."""
    monkeypatch.setattr(polling, "RETRY_DELAY_S", RETRY_DELAY_S)


@dataclass
class Raw:
    """A record."""

    offset: int
    topic: str = "events"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = VALUE
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Open:
    """An open record."""

    open = 1
    held_bytes = 0


class Crowded:
    """A lane that is far too long: its partition waits."""

    crowding = 1_000_000


class Kafka:
    """Two partitions that begin at 0, and a consumer's position in each; it can be told to fail.

    Attributes:
        polls: How many records each poll asked for.
        named: Which partitions each poll named; none: all.
        assigns: Partitions that the member gets.
        away: Partitions whose leader does not answer.
        prefetched: Bytes that it holds, read ahead, of each partition.
        meanwhile: Awaited in a poll, as a rebalance is.
        while_asked: Likewise, while it is asked for its positions.
    """

    def __init__(self) -> None:
        self.fail = False
        self.unjoinable = False
        self.away: set[Partition] = set()
        self.joinable = asyncio.Event()
        self.joinable.set()
        self.reading: Sequence[Partition] = (P0,)
        self.at = {P0: 0, P1: 0}
        self.polls: list[int] = []
        self.named: list[set[Partition]] = []
        self.prefetched = 0
        self.assigns: Sequence[Partition] = (P0,)
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.while_asked: Callable[[], Awaitable[None]] | None = None

    async def start(self, assignments: Partitions) -> None:
        """As `Source.start`."""
        await self.joinable.wait()
        await assignments.assigned(self.assigns)

    @property
    def partition_count(self) -> int:
        """As `Source.partition_count`."""
        return len(self.at)

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """As `Source.positions`."""
        if self.while_asked is not None:
            await self.while_asked()
        return {partition: self.at[partition] for partition in partitions}

    def prefetched_bytes(self, partitions: int) -> int:
        """As `Source.prefetched_bytes`."""
        return partitions * self.prefetched

    async def poll(
        self, max_records: int, partitions: Collection[Partition] = ()
    ) -> Mapping[Partition, Sequence[Record]]:
        """As `Source.poll` on a full prefetch buffer: it answers without ever yielding."""
        self.polls.append(max_records)
        self.named.append(set(partitions))
        if self.unjoinable:
            raise UnjoinableError("polling: no right")
        if self.fail:
            raise BrokerError("polling: no coordinator")
        batches: dict[Partition, Sequence[Record]] = {
            p: self._read(p, max_records) for p in self.reading if not partitions or p in partitions
        }
        if self.meanwhile is not None:
            await self.meanwhile()
        return batches

    def _read(self, partition: Partition, count: int) -> list[Raw]:
        first = self.at[partition]
        self.at[partition] += count
        return [Raw(offset, partition=partition.partition) for offset in range(first, first + count)]

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """As `Source.committed`."""
        assert partitions
        return {}

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """As `Source.bounds`."""
        if self.away & set(partitions):
            raise BrokerError("first offsets: TimeoutError")
        return dict.fromkeys(partitions, (0, 1_000_000))

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """As `Source.offsets_at`."""
        raise NotImplementedError(partitions, time_ms)

    def seek(self, partition: Partition, offset: int) -> None:
        """As `Source.seek`."""
        self.at[partition] = offset


class Engine:
    """Everything behind admission: it keeps deliveries until a test settles them.

    Attributes:
        open: Deliveries that have not been settled.
        undecided: Whether a failing head waits for others to pass.
        relieved: How often it was asked for relief.
        sated: Whether more lies ready than is sent in the next moment.
    """

    def __init__(self) -> None:
        self.sated = False
        self.open: list[Delivery] = []
        self.undecided = False
        self.relieved = 0

    def is_sated(self) -> bool:
        """As the routes."""
        return self.sated

    def map(self, event: Event) -> Mapped:
        """As the router: the event's own bytes are the body."""
        assert event.raw is not None
        return Request(Route.SEGMENTIO, "visitor:u", event.raw)

    def add(self, delivery: Delivery) -> None:
        """As the senders."""
        self.open.append(delivery)

    def settle(self, count: int) -> None:
        """Deliver so many, the oldest first."""
        deliveries, self.open = self.open[:count], self.open[count:]
        for delivery in deliveries:
            delivery.ticket.settle(delivery.type, Outcome.DELIVERED, Reason.NONE)

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """As the letterbox."""
        raise NotImplementedError(letter, owner)

    def hold(self, why: Hold) -> None:
        """As the routes: nothing goes by itself here."""

    def free(self, why: Hold) -> None:
        """As the routes."""

    def own(self, partitions: int, of: int) -> None:
        """As the routes."""

    def take_over(self, flags: int) -> None:
        """As the routes."""

    def relieve(self) -> bool:
        """As the routes: whether a failing head waits for others to pass."""
        self.relieved += 1
        return self.undecided

    def drop_released(self) -> None:
        """As the routes."""
        self.open = [delivery for delivery in self.open if not delivery.ticket.released]

    def busy_with(self, progresses: Sequence[Progress]) -> bool:
        """As the routes: nothing is ever in flight."""
        assert progresses
        return False


class Bench:
    """Polling between a Kafka and an engine."""

    def __init__(self, *, max_open_events: int = 1_000, max_open_bytes: int = 1_000_000) -> None:
        self.kafka = Kafka()
        self.engine = Engine()
        self.tally = tally = Tally()
        self.partitions = Partitions(
            self.kafka, self.engine, start_from="earliest", drain_s=0.1, tag=b"a-writer", tally=tally, commit=_commit
        )
        self.pressure = Pressure(max_open_events)
        outlets = {Route.SEGMENTIO: self.engine}
        self.polling = Polling(
            self.kafka,
            self.partitions,
            Admission(envelope_path=(), mapper=self.engine, outlets=outlets, letters=self.engine, tally=tally),
            pressure=self.pressure,
            routes=self.engine,
            tally=tally,
            max_open_events=max_open_events,
            max_open_bytes=max_open_bytes,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Poll; at the end ask to stop and wait until it does."""
        task = asyncio.create_task(self.polling.run())
        try:
            yield task
        finally:
            self.polling.stop()
            async with asyncio.timeout(5):
                await task

    def opened(self) -> list[tuple[int, int]]:
        """Partition and offset of what was admitted and not settled."""
        records = (delivery.ticket.record for delivery in self.engine.open)
        return [(record.partition, record.offset) for record in records]


async def _commit(_: Iterable[Progress]) -> bool:
    return True


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_poll_that_fails_for_ever_is_told_and_counts_as_idle_until_one_succeeds() -> None:
    """A client whose inner task has died fails every poll for good: the loop goes round, but liveness must see it."""
    bench = Bench()
    bench.kafka.fail = True
    async with bench.running():
        await _until(lambda: len(bench.kafka.polls) >= 10)
        assert bench.polling.problem == "polling: no coordinator"
        idle_s = bench.polling.idle_s()
        assert idle_s > 5 * RETRY_DELAY_S
        bench.kafka.fail = False
        await _until(lambda: bench.polling.problem is None and bench.polling.idle_s() < idle_s)
        assert bench.engine.open


async def test_a_group_that_does_not_take_us_is_told_from_a_failure_until_it_does() -> None:
    """Somebody who waits, as for a replay, need not wait for what does not heal by itself."""
    bench = Bench()
    bench.kafka.unjoinable = True
    async with bench.running():
        await _until(lambda: bench.polling.unjoinable)
        assert bench.polling.problem == "polling: no right"
        bench.kafka.unjoinable, bench.kafka.fail = False, True
        await _until(lambda: bench.polling.problem == "polling: no coordinator")
        assert not bench.polling.unjoinable
        bench.kafka.fail = False
        await _until(lambda: bench.polling.problem is None)
        assert not bench.polling.unjoinable


async def test_a_partition_without_a_leader_is_told_and_the_others_are_read_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop goes round, so liveness has nothing to say; a restart would not help either."""
    monkeypatch.setattr(beginnings, "PATIENCE_S", 0.02)
    monkeypatch.setattr(beginnings, "RETRY_S", 0.02)
    bench = Bench(max_open_events=100)
    bench.kafka.assigns = bench.kafka.reading = (P0, P1)
    bench.kafka.away = {P0}
    async with bench.running():
        for _ in range(3):
            await _until(lambda: len(bench.engine.open) == 100)
            assert {partition for partition, _ in bench.opened()} == {1}
            bench.engine.settle(100)
        await asyncio.sleep(0.2)
        assert bench.polling.problem == "first offsets: TimeoutError"
        assert bench.polling.idle_s() < 0.1
        bench.kafka.away.clear()
        await _until(lambda: P0 in bench.partitions.owned)
        bench.engine.settle(len(bench.engine.open))
        await _until(lambda: (0, 0) in bench.opened())
        await _until(lambda: bench.polling.problem is None)


async def test_a_worker_that_waits_to_join_its_group_is_not_idle() -> None:
    """Brokers that are away at the start are no reason to restart the worker again and again."""
    bench = Bench()
    bench.kafka.joinable.clear()
    task = asyncio.create_task(bench.polling.run())
    await asyncio.sleep(0.02)
    assert not bench.polling.started
    assert bench.polling.idle_s() == 0.0
    task.cancel()
    await asyncio.wait([task])


async def test_stop_ends_the_loop_and_nothing_more_is_admitted() -> None:
    """Not even what a poll brings that was under way when the stop came."""
    bench = Bench()

    async def stop() -> None:
        bench.polling.stop()

    bench.kafka.meanwhile = stop
    async with bench.running() as task, asyncio.timeout(5):
        await task
    assert len(bench.kafka.polls) == 1
    assert bench.tally.received.total() == 0


async def test_stop_ends_a_loop_whose_polls_fail_and_one_whose_buffer_is_full() -> None:
    """A stop must not wait for Kafka or for Pendo."""
    failing, full = Bench(), Bench(max_open_events=0)
    failing.kafka.fail = True
    for bench in (failing, full):
        async with bench.running():
            await asyncio.sleep(3 * RETRY_DELAY_S)
    assert full.kafka.polls == []


async def test_records_of_a_partition_that_is_not_restored_are_dropped_and_read_again() -> None:
    """A rebalance happens inside a poll: what it brings belongs to nobody, and the restore's seek repeats it."""
    bench = Bench(max_open_events=10)
    bench.kafka.reading = (P0, P1)

    async def rebalance() -> None:
        bench.kafka.meanwhile = None
        bench.kafka.reading = (P1,)
        await bench.partitions.revoked([P0])
        await bench.partitions.assigned([P1])

    bench.kafka.meanwhile = rebalance
    async with bench.running():
        await _until(lambda: len(bench.engine.open) == 10)
    assert bench.opened() == [(1, offset) for offset in range(10)]


async def test_what_was_read_ahead_is_delivered_though_the_log_has_lost_it() -> None:
    """Retention overtakes a reader that waits; only what it then jumps over is lost, and counted."""
    bench = Bench(max_open_events=100)
    async with bench.running():
        await _until(lambda: len(bench.engine.open) == 100)
        bench.partitions.note_beginnings({P0: (250, 1_000_000)})
        bench.engine.settle(100)
        await _until(lambda: len(bench.engine.open) == 100)
        assert bench.opened()[0] == (0, 100)
        assert bench.partitions.expiry.expired == 0
        bench.kafka.at[P0] = 250
        bench.engine.settle(100)
        await _until(lambda: len(bench.engine.open) == 100)
        assert bench.opened()[0] == (0, 250)
        assert bench.partitions.expiry.expired == 50


async def test_what_retention_takes_from_under_an_active_reader_is_counted() -> None:
    """It jumps before anybody has asked where the log begins, and reads on; what it missed is lost all the same."""
    bench = Bench(max_open_events=100)
    async with bench.running():
        await _until(lambda: len(bench.engine.open) == 100)
        bench.partitions.note_beginnings({P0: (0, 1_000_000)})
        await asyncio.sleep(0.02)
        bench.kafka.at[P0] = 250
        bench.engine.settle(100)
        await _until(lambda: len(bench.engine.open) == 100)
        assert bench.opened()[0] == (0, 250)
        bench.partitions.note_beginnings({P0: (240, 1_000_000)})
        assert bench.partitions.expiry.expired == 140
        bench.engine.settle(100)
        bench.partitions.note_beginnings({P0: (250, 1_000_000)})
        assert bench.partitions.expiry.expired == 150


async def test_what_the_client_never_hands_out_is_passed_over_as_soon_as_it_is_known_to_be_no_loss() -> None:
    """Markers of transactions, aborted records: at the end of a log no record jumps over them, and lag would stay."""
    bench = Bench(max_open_events=100_000, max_open_bytes=100_000_000)
    async with bench.running():
        await _until(lambda: len(bench.engine.open) >= 100)
        bench.kafka.reading = ()
        await asyncio.sleep(0.01)
        opened = len(bench.engine.open)
        bench.kafka.at[P0] += 7
        progress = bench.partitions.owned[P0]
        assert progress.next_offset == opened
        bench.partitions.note_beginnings({P0: (0, opened + 7)})
        await _until(lambda: progress.next_offset == opened + 7)
        assert progress.watermark == 0, "what is open still holds the commit"
        bench.engine.settle(opened)
        assert progress.watermark == opened + 7
        assert bench.partitions.expiry.expired == 0
        bench.kafka.reading = (P0,)
        await _until(lambda: bench.engine.open)
        assert bench.opened()[0] == (0, opened + 7), "and the next record is no log made anew"


async def test_a_log_made_anew_is_noticed_though_nothing_was_handed_out_of_the_old_one() -> None:
    """All of that was aborted and passed over; the new records have offsets from before."""
    bench = Bench()
    bench.kafka.reading = ()
    async with bench.running():
        await _until(lambda: bench.partitions.owned)
        bench.kafka.at[P0] = 7
        bench.partitions.note_beginnings({P0: (0, 7)})
        await _until(lambda: bench.partitions.owned[P0].next_offset == 7)
        bench.kafka.at[P0] = 0
        bench.kafka.reading = (P0,)
        await _until(lambda: bench.engine.open)
        assert bench.opened()[0] == (0, 0)


async def test_a_position_that_is_asked_for_while_the_partition_goes_is_of_no_use() -> None:
    """It may be of another assignment, in which not all that lies before it was admitted."""
    bench = Bench()
    async with bench.running():
        await _until(lambda: bench.engine.open)
        progress = bench.partitions.owned[P0]

        async def lose() -> None:
            bench.kafka.while_asked = None
            await bench.partitions.revoked([P0])
            bench.kafka.at[P0] = 10_000

        bench.kafka.reading = ()
        bench.engine.settle(len(bench.engine.open))
        await asyncio.sleep(0.01)
        before = progress.next_offset
        bench.kafka.while_asked = lose
        bench.partitions.note_beginnings({P0: (0, 10_000)})
        await _until(lambda: not bench.partitions.owned)
        await asyncio.sleep(0.01)
        assert progress.next_offset == before


async def test_records_from_before_what_was_read_mean_that_the_log_was_made_anew() -> None:
    """The client went back to the log's beginning in silence: what it reads there is new, not read before."""
    bench = Bench(max_open_events=100)
    async with bench.running():
        await _until(lambda: len(bench.engine.open) == 100)
        bench.engine.settle(100)
        await _until(lambda: len(bench.engine.open) == 100)
        assert bench.opened()[0] == (0, 100)
        bench.kafka.at[P0] = 0
        bench.engine.settle(100)
        await _until(lambda: len(bench.engine.open) == 100)
        assert bench.opened()[0] == (0, 0)
    assert bench.tally.unaccounted(bench.partitions.open_events()) == 0


@pytest.mark.parametrize(
    ("max_open_events", "max_open_bytes", "fits"),
    [(7, 1_000_000, 7), (1_000, 30 * len(VALUE), 500)],
    ids=["events", "bytes"],
)
async def test_reading_stops_when_the_buffer_is_full_and_goes_on_when_there_is_room(
    max_open_events: int, max_open_bytes: int, fits: int
) -> None:
    """Memory is bounded by events, and by bytes but for the poll that fills it up."""
    bench = Bench(max_open_events=max_open_events, max_open_bytes=max_open_bytes)
    async with bench.running():
        await _until(lambda: bench.engine.open)
        await asyncio.sleep(5 * polling.FULL_CHECK_S)
        assert bench.kafka.polls == [fits]
        assert bench.polling.room() == 0
        assert len(bench.engine.open) == fits
        bench.engine.settle(fits)
        await _until(lambda: bench.engine.open)
        assert bench.kafka.polls == [fits, fits]


async def test_reading_waits_while_more_lies_ready_than_is_sent_in_the_next_moment() -> None:
    """What is read beside it would only take room; that is no pressure, which would give something up."""
    bench = Bench(max_open_events=10 * MAX_POLL_RECORDS)
    async with bench.running():
        await _until(lambda: bench.engine.open)
        bench.engine.sated = True
        await asyncio.sleep(2 * polling.SATED_CHECK_S)
        opened = len(bench.engine.open)
        await asyncio.sleep(5 * polling.SATED_CHECK_S)
        assert len(bench.engine.open) == opened
        assert bench.polling.holds_back()
        assert not bench.engine.relieved
        assert not any(progress.pressed for progress in bench.partitions.owned.values())
        bench.engine.sated = False
        assert not bench.polling.holds_back()
        await _until(lambda: len(bench.engine.open) > opened)


async def test_a_poll_asks_for_no_more_than_there_is_room_for() -> None:
    """So many records hold at least as many events."""
    bench = Bench(max_open_events=MAX_POLL_RECORDS + 100)
    async with bench.running():
        await _until(lambda: bench.polling.room() == 0)
    assert bench.kafka.polls == [MAX_POLL_RECORDS, 100]
    assert bench.tally.open_events == MAX_POLL_RECORDS + 100


async def test_a_full_buffer_is_filled_up_again_when_a_twentieth_of_it_is_free() -> None:
    """A poll for each settled event would cost more than the event."""
    bench = Bench(max_open_events=200)
    async with bench.running():
        await _until(lambda: bench.engine.open)
        bench.engine.settle(9)
        await asyncio.sleep(5 * polling.FULL_CHECK_S)
        assert bench.kafka.polls == [200]
        bench.engine.settle(1)
        await _until(lambda: len(bench.engine.open) == 200)
        assert bench.kafka.polls == [200, 10]


async def test_a_full_prefetch_buffer_does_not_starve_other_tasks() -> None:
    """Polls that are answered from memory never yield by themselves; the senders must get their turn after each."""
    bench = Bench()
    polls = 100
    turns = 0

    async def settle() -> None:
        bench.engine.settle(len(bench.engine.open))
        if len(bench.kafka.polls) == polls:
            bench.polling.stop()

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    bench.kafka.meanwhile = settle
    other = asyncio.create_task(take_turns())
    async with bench.running() as task, asyncio.timeout(30):
        await task
    other.cancel()
    assert turns >= polls - 1


async def test_only_the_partitions_that_need_not_wait_are_named() -> None:
    """One that has used up its share is passed over, and read on when there is room; the client's pause is not used."""
    bench = Bench(max_open_events=1_000)
    bench.kafka.assigns = bench.kafka.reading = (P0, P1)
    async with bench.running():
        await _until(lambda: bench.engine.open)
        assert bench.kafka.named[0] == set(), "all are read when none must wait"
        bench.kafka.named.clear()
        bench.partitions.owned[P0].crowd = Crowded()
        bench.engine.settle(len(bench.engine.open))
        await _until(lambda: len(bench.opened()) >= 500)
        assert {partition for partition, _ in bench.opened()} == {1}
        assert bench.kafka.named[-1] == {P1}
        bench.partitions.owned[P0].crowd = None
        bench.engine.settle(len(bench.engine.open))
        await _until(lambda: any(partition == 0 for partition, _ in bench.opened()))


async def test_when_all_must_wait_nothing_is_read() -> None:
    """To name none would be to name all."""
    bench = Bench(max_open_events=1_000)
    async with bench.running():
        await _until(lambda: bench.engine.open)
        bench.partitions.owned[P0].crowd = Crowded()
        bench.engine.settle(len(bench.engine.open))
        polls = len(bench.kafka.polls)
        await asyncio.sleep(5 * polling.FULL_CHECK_S)
        assert len(bench.kafka.polls) <= polls + 1
        assert bench.polling.idle_s() < 5 * polling.FULL_CHECK_S, "it waits, but it is alive"


async def test_what_the_client_has_read_ahead_counts_in_the_byte_bound() -> None:
    """But never more than half of it: with very many partitions nothing could be read else."""
    bench = Bench(max_open_bytes=1_000)
    async with bench.running():
        await _until(lambda: bench.engine.open)
        bench.engine.settle(len(bench.engine.open))
    bench.tally.open_bytes = 650
    bench.kafka.prefetched = 300
    assert bench.polling.room() > 0
    bench.kafka.prefetched = 400
    assert bench.polling.room() == 0
    bench.tally.open_bytes = 450
    bench.kafka.prefetched = 100_000
    assert bench.polling.room() > 0
    bench.tally.open_bytes = 500
    assert bench.polling.room() == 0


@pytest.fixture
def often_relieved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relief is asked for a few times within a test."""
    monkeypatch.setattr(polling, "RELIEF_INTERVAL_S", 0.02)


@pytest.mark.usefixtures("often_relieved")
async def test_relief_is_asked_for_now_and_then_while_reading_waits_and_never_else() -> None:
    """It looks at all lanes that wait, which is too much for every turn."""
    bench = Bench(max_open_events=100)
    async with bench.running():
        await _until(lambda: bench.polling.room() == 0)
        await asyncio.sleep(0.2)
        assert 2 <= bench.engine.relieved <= 12
        assert all(progress.pressed for progress in bench.partitions.owned.values())
        bench.engine.settle(100)
    free = Bench(max_open_events=100_000)
    free.kafka.reading = ()
    async with free.running():
        await asyncio.sleep(0.1)
    assert free.engine.relieved == 0


@pytest.mark.usefixtures("often_relieved")
async def test_while_it_is_not_clear_what_a_failing_head_is_a_few_records_are_read_all_the_same() -> None:
    """Whether it is poison shows only while others pass; yet what is open stays bounded."""
    bench = Bench(max_open_events=1_000)
    bench.engine.undecided = True
    async with bench.running():
        await _until(lambda: bench.tally.open_events >= 1_000)
        before = len(bench.kafka.polls)
        await asyncio.sleep(0.3)
        assert bench.kafka.polls[before:] == [polling.TRICKLE] * 2
        assert bench.tally.open_events == 1_000 * polling.OVERSHOOT


@pytest.mark.usefixtures("often_relieved")
async def test_a_trickle_reads_partitions_that_must_wait() -> None:
    """What blocks one of them shows only by what lies behind it."""
    bench = Bench(max_open_events=1_000)
    bench.engine.undecided = True
    async with bench.running():
        await _until(lambda: bench.engine.open)
        bench.partitions.owned[P0].crowd = Crowded()
        bench.engine.settle(len(bench.engine.open))
        polls = len(bench.kafka.polls)
        await _until(lambda: len(bench.kafka.polls) > polls + 1)
        assert set(bench.kafka.polls[polls:]) == {polling.TRICKLE}


@pytest.mark.usefixtures("often_relieved")
async def test_not_even_a_trickle_is_read_of_a_partition_whose_map_would_be_cut() -> None:
    """What is finished beyond would be delivered again by whoever takes over."""
    bench = Bench(max_open_events=100_000)
    bench.engine.undecided = True
    bench.kafka.reading = ()
    async with bench.running():
        await _until(lambda: P0 in bench.partitions.owned)
        progress = bench.partitions.owned[P0]
        while not bench.pressure.brimming(bench.partitions.owned):
            progress.start(progress.next_offset or 0, Open())
        bench.kafka.at[P0] = progress.next_offset or 0
        progress.last_read = bench.kafka.at[P0] - 1
        bench.kafka.reading = (P0,)
        await asyncio.sleep(0.3)
        assert bench.opened() == []


async def test_of_a_partition_taken_over_with_a_full_map_only_what_that_calls_open_is_read() -> None:
    """A poll beyond it at each handover would cut the map in the end; once there is room the rest is read, too."""
    bench = Bench(max_open_events=100_000)
    bench.kafka.reading = ()
    pairs = 11_950
    async with bench.running():
        await _until(lambda: P0 in bench.partitions.owned)
        full = Progress.restored(*P0, 0, OffsetMap(b"a-writer", 0, (1, 1) * pairs))
        bench.partitions.owned[P0] = full
        bench.kafka.reading = (P0,)
        await _until(lambda: not full.unread)
        await asyncio.sleep(0.1)
        assert bench.opened() == [(0, offset) for offset in range(0, 2 * pairs, 2)]
        assert bench.kafka.at[P0] == 2 * pairs
        bench.engine.settle(pairs)
        await _until(bench.opened)
        assert bench.opened()[0] == (0, 2 * pairs)


@pytest.mark.usefixtures("often_relieved")
async def test_a_trickle_is_bounded_by_bytes_too() -> None:
    """Large records would fill the memory long before they fill the buffer's count."""
    bench = Bench(max_open_events=100_000, max_open_bytes=10_000)
    bench.engine.undecided = True
    async with bench.running():
        await _until(lambda: bench.polling.room() == 0)
        await asyncio.sleep(0.3)
        assert len(bench.kafka.polls) == 1
