"""Partitions: where each begins, and how it is given up with work in flight."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import pytest

from consumer.delivery.lease import Hold
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.errors import BrokerError
from consumer.kafka.offset_map import encode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, Record
from consumer.mapping.result import Mapped
from consumer.outcomes import EventType, Outcome, Reason
from consumer.segment.events import Event
from consumer.worker import beginnings, partitions
from consumer.worker.admission import Admission
from consumer.worker.beginnings import StartFrom
from consumer.worker.partitions import Partitions
from consumer.worker.polling import Polling
from consumer.worker.pressure import Pressure

P0, P1 = Partition("events", 0), Partition("events", 1)
TAG = b"a-writer"


class Kafka:
    """Offsets as a broker would tell them; it can be told to fail, or to be interrupted while it answers."""

    def __init__(self) -> None:
        self.commits: dict[Partition, tuple[int, str]] = {}
        self.first_end = {P0: (0, 100), P1: (0, 100)}
        self.by_time: dict[Partition, int | None] = {}
        self.sought: list[tuple[Partition, int]] = []
        self.asked_times: list[int] = []
        self.fail = False
        self.away: set[Partition] = set()
        self.lost: set[Partition] = set()
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.while_committed: Callable[[], Awaitable[None]] | None = None

    @property
    def partition_count(self) -> int:
        """As `Source.partition_count`."""
        return len(self.first_end)

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """As `Source.committed`."""
        if self.while_committed is not None:
            await self.while_committed()
        if self.fail:
            raise BrokerError("no answer")
        return {p: self.commits[p] for p in partitions if p in self.commits}

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """As `Source.bounds`."""
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.away & set(partitions):
            raise BrokerError("first offsets: TimeoutError")
        return {p: self.first_end[p] for p in partitions}

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """As `Source.offsets_at`."""
        self.asked_times.append(time_ms)
        return {p: self.by_time[p] for p in partitions}

    def seek(self, partition: Partition, offset: int) -> None:
        """As `Source.seek`."""
        if partition in self.lost:
            raise BrokerError("a seek: IllegalStateError")
        self.sought.append((partition, offset))


@dataclass
class Engine:
    """The delivery engine, as far as a rebalance sees it.

    Attributes:
        busy: Whether something is in flight.
        held: Why nothing is sent.
        dropped: How often it was to forget what went back to Kafka.
        shares: Of the group's partitions, as it was told.
        flags: Those that it took over.
    """

    busy: bool = False
    held: set[Hold] = field(default_factory=set)
    dropped: int = 0
    shares: list[tuple[int, int]] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)

    def is_sated(self) -> bool:
        """As the routes: there is never too much."""
        return False

    def relieve(self) -> bool:
        """As the routes: nothing stands in the way."""
        return False

    def hold(self, why: Hold) -> None:
        """As the routes."""
        self.held.add(why)

    def free(self, why: Hold) -> None:
        """As the routes."""
        self.held.discard(why)

    def drop_released(self) -> None:
        """As the routes."""
        self.dropped += 1

    def busy_with(self, progresses: Sequence[Progress]) -> bool:
        """As the routes."""
        assert progresses
        return self.busy

    def own(self, partitions: int, of: int) -> None:
        """As the routes."""
        self.shares.append((partitions, of))

    def take_over(self, flags: int) -> None:
        """As the routes."""
        self.flags.append(flags)


@dataclass
class Raw:
    """A record."""

    offset: int
    topic: str = "events"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = b"{}"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Bench:
    """Partitions with everything around them."""

    def __init__(self, start_from: StartFrom = "earliest", drain_s: float = 0.2) -> None:
        self.kafka = Kafka()
        self.engine = Engine()
        self.tally = Tally()
        self.steps: list[tuple[str, int | None]] = []
        self.partitions = Partitions(
            self.kafka,
            self.engine,
            start_from=start_from,
            drain_s=drain_s,
            tag=TAG,
            tally=self.tally,
            commit=self._commit,
        )

    async def _commit(self, progresses: Iterable[Progress]) -> bool:
        assert Hold.REBALANCE in self.engine.held
        for progress in progresses:
            self.steps.append(("busy" if self.engine.busy else "quiet", progress.watermark))
            if progress.watermark is None:
                continue
            progress.committed = progress.watermark
            partition = Partition(progress.topic, progress.partition)
            self.kafka.commits[partition] = (progress.watermark, encode(progress.watermark, progress.runs(), TAG))
        return True

    async def rebalance(self, *partitions: Partition) -> None:
        """As Kafka's client does it: all is revoked, then these are assigned and restored."""
        await self.partitions.revoked(list(self.partitions.owned))
        await self.own(*partitions)

    @property
    def balanced(self) -> bool:
        """Whether nothing vanished, and nothing was counted twice."""
        really_open = self.partitions.open_events()
        return self.tally.unaccounted(really_open) == 0 and self.tally.open_events == really_open

    async def own(self, *partitions: Partition) -> None:
        """Have these assigned and restored."""
        await self.partitions.assigned(partitions)
        await self.partitions.restore()

    def state(self) -> tuple[set[Partition], str | None]:
        """What is owned, and what is wrong with the rest."""
        return set(self.partitions.owned), self.partitions.problem

    def open(self, *offsets: int, partition: Partition = P0) -> list[Ticket]:
        """Admit records of one event each."""
        progress = self.partitions.owned[partition]
        tickets = []
        for offset in offsets:
            ticket = Ticket(Raw(offset), progress, self.tally, 0)
            assert progress.start(offset, ticket)
            ticket.admit(1)
            self.tally.received[EventType.TRACK] += 1
            tickets.append(ticket)
        return tickets


def settle(ticket: Ticket) -> None:
    """As a delivery's verdict does."""
    ticket.settle(EventType.TRACK, Outcome.DELIVERED, Reason.NONE)


async def test_a_partition_with_a_commit_goes_on_from_there_whatever_start_from_says() -> None:
    """`start_from` is for those without."""
    bench = Bench("latest")
    bench.kafka.commits[P0] = (42, "")
    await bench.own(P0)
    assert bench.kafka.sought == [(P0, 42)]
    assert bench.partitions.owned[P0].watermark == 42
    assert bench.partitions.owned[P0].changes == bench.partitions.owned[P0].committed_changes


@pytest.mark.parametrize(("start_from", "offset"), [("earliest", 7), ("latest", 100)])
async def test_a_partition_without_a_commit_begins_where_it_is_told(start_from: StartFrom, offset: int) -> None:
    """And that is committed, so that a crash before the first settlement does not move `latest`."""
    bench = Bench(start_from)
    bench.kafka.first_end[P0] = (7, 100)
    await bench.own(P0)
    assert bench.kafka.sought == [(P0, offset)]
    progress = bench.partitions.owned[P0]
    assert progress.watermark == offset
    assert progress.changes > progress.committed_changes
    assert bench.partitions.expiry.expired == 0


async def test_start_from_a_time_begins_at_its_first_record_or_at_the_end() -> None:
    """When all records are older, nothing of the past is read."""
    bench = Bench(datetime(2026, 1, 1, tzinfo=UTC))
    bench.kafka.by_time = {P0: 55, P1: None}
    await bench.own(P0, P1)
    assert set(bench.kafka.asked_times) == {1_767_225_600_000}
    assert bench.kafka.sought == [(P0, 55), (P1, 100)]


async def test_what_the_map_calls_finished_is_not_read_again() -> None:
    """A, B, D done, C and E not: exactly C and E come back."""
    bench = Bench()
    bench.kafka.commits[P0] = (12, encode(12, [1, 1], TAG))
    await bench.own(P0)
    assert bench.kafka.sought == [(P0, 12)]
    progress = bench.partitions.owned[P0]
    opened = [o for o in range(12, 15) if progress.start(o, Ticket(Raw(o), progress, bench.tally, 0))]
    assert opened == [12, 14]


async def test_records_that_expired_are_counted_and_passed_over() -> None:
    """Those that the map called finished are not lost; the reading goes on at the first that is there."""
    bench = Bench()
    bench.kafka.first_end[P0] = (20, 100)
    bench.kafka.commits[P0] = (10, encode(10, [2, 3], TAG))
    await bench.own(P0)
    assert bench.partitions.expiry.expired == 2 + 5
    assert bench.kafka.sought == [(P0, 20)]
    assert bench.partitions.owned[P0].watermark == 20


async def test_a_map_that_reaches_beyond_the_end_is_not_believed() -> None:
    """It tells of a topic that was there before: new records at its offsets would be taken for finished."""
    bench = Bench()
    bench.kafka.first_end[P0] = (0, 10)
    bench.kafka.commits[P0] = (5, encode(5, [1, 5], TAG))
    await bench.own(P0)
    assert bench.open(5, 6, 7, 8, 9)
    bench.kafka.commits[P0] = (5, encode(5, [1, 4], TAG))
    await bench.own(P0)
    assert bench.partitions.owned[P0].next_offset == 10


async def test_foreign_metadata_means_that_nothing_is_finished() -> None:
    """The offset counts all the same."""
    bench = Bench()
    bench.kafka.commits[P0] = (42, "written by hand")
    await bench.own(P0)
    assert bench.kafka.sought == [(P0, 42)]
    assert bench.partitions.owned[P0].next_offset == 42


async def test_a_broker_that_does_not_answer_leaves_the_partition_to_be_restored() -> None:
    """Nothing begins at a guess."""
    bench = Bench()
    await bench.partitions.assigned([P0])
    bench.kafka.fail = True
    with pytest.raises(BrokerError):
        await bench.partitions.restore()
    assert bench.partitions.unrestored
    assert bench.partitions.owned == {}
    bench.kafka.fail = False
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P0}


async def test_a_rebalance_during_a_restore_discards_it() -> None:
    """Its answers are of an assignment that is over."""
    bench = Bench()
    await bench.partitions.assigned([P0])
    answer = asyncio.Event()

    async def wait() -> None:
        await answer.wait()

    bench.kafka.meanwhile = wait
    restoring = asyncio.create_task(bench.partitions.restore())
    await asyncio.sleep(0.01)
    await bench.partitions.revoked([P0])
    await bench.partitions.assigned([P1])
    answer.set()
    await restoring
    assert bench.partitions.owned == {}
    assert bench.kafka.sought == []
    assert bench.partitions.unrestored
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P1}
    assert bench.partitions.rebalances == 2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaders that are away are asked more often."""
    monkeypatch.setattr(beginnings, "PATIENCE_S", 0.02)
    monkeypatch.setattr(beginnings, "RETRY_S", 0.01)


@pytest.mark.usefixtures("impatient")
async def test_a_partition_without_a_leader_delays_only_itself() -> None:
    """The others are read and committed; it is taken on when it has a leader again, without another rebalance."""
    bench = Bench()
    bench.kafka.away = {P0}
    await bench.own(P0, P1)
    assert bench.engine.held == set()
    assert bench.state() == ({P1}, "first offsets: TimeoutError")
    for _ in range(3):
        await bench.partitions.restore()
    assert bench.kafka.sought == [(P1, 0)]
    bench.kafka.away.clear()
    await asyncio.sleep(0.05)
    assert bench.partitions.unrestored
    await bench.partitions.restore()
    assert bench.kafka.sought == [(P1, 0), (P0, 0)]
    assert bench.state() == ({P0, P1}, None)


@pytest.mark.usefixtures("impatient")
async def test_a_partition_that_is_waited_for_is_not_after_it_went_to_somebody_else() -> None:
    """Else it would be taken on as soon as its leader is back, by two processes."""
    bench = Bench()
    bench.kafka.away = {P0}
    await bench.own(P0, P1)
    await bench.rebalance(P1)
    assert bench.partitions.problem is None
    bench.kafka.away.clear()
    await asyncio.sleep(0.05)
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P1}


@pytest.mark.usefixtures("impatient")
async def test_a_log_made_anew_is_taken_on_though_the_groups_commits_cannot_be_asked_for() -> None:
    """No commit counts for it; and the other partitions are read on meanwhile."""
    bench = Bench()
    await bench.own(P0, P1)
    bench.kafka.fail = True
    bench.partitions.begin_anew(P0)
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P0, P1}


async def test_a_seek_that_fails_loses_nothing_of_what_was_kept() -> None:
    """The partition was lost just then: a rebalance follows, and decides what becomes of the work."""
    bench = Bench()
    await bench.own(P0, P1)
    kept, other = *bench.open(0), *bench.open(0, partition=P1)
    await bench.partitions.revoked([P0, P1])
    await bench.partitions.assigned([P0, P1])
    bench.kafka.lost = {P0}
    with pytest.raises(BrokerError):
        await bench.partitions.restore()
    assert bench.partitions.unrestored
    assert bench.partitions.open_events() == 2
    assert bench.balanced
    assert bench.engine.held == {Hold.REBALANCE}
    bench.kafka.lost = set()
    await bench.rebalance(P0, P1)
    assert not kept.released
    assert not other.released
    assert set(bench.partitions.owned) == {P0, P1}
    assert bench.balanced


async def test_a_seek_that_fails_at_a_beginning_is_made_good_by_the_next_turn() -> None:
    """And what expired is counted once."""
    bench = Bench()
    bench.kafka.first_end[P0] = (20, 100)
    bench.kafka.commits[P0] = (10, "")
    bench.kafka.lost = {P0}
    await bench.partitions.assigned([P0])
    for _ in range(2):
        with pytest.raises(BrokerError):
            await bench.partitions.restore()
    assert bench.partitions.unrestored
    assert (bench.partitions.owned, bench.partitions.expiry.expired) == ({}, 0)
    bench.kafka.lost = set()
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P0}
    assert bench.partitions.expiry.expired == 10


async def test_latest_reads_what_is_added_later_from_its_beginning() -> None:
    """The partitions that there were when the group was joined begin at their end."""
    bench = Bench("latest")
    await bench.partitions.joining([P0])
    await bench.own(P0, P1)
    assert set(bench.kafka.sought) == {(P0, 100), (P1, 0)}


async def test_what_is_kept_presses_nobody() -> None:
    """An answer that comes late in a rebalance must not give up a head because its partition is not read."""
    bench = Bench()
    await bench.own(P0)
    bench.open(0)
    progress = bench.partitions.owned[P0]
    progress.pressed = True
    await bench.partitions.revoked([P0])
    assert not progress.pressed


async def test_what_was_answered_after_a_revokes_last_commit_is_known_to_be_uncommitted() -> None:
    """A stop that comes now must not say that all is well; when the partition is back it can be committed again."""
    bench = Bench(drain_s=0.05)
    await bench.own(P0)
    [late] = bench.open(0)
    progress = bench.partitions.owned[P0]
    progress.committed_changes = progress.changes
    bench.engine.busy = True
    await bench.partitions.revoked([P0])
    uncommitted = [bench.partitions.uncommitted]
    settle(late)
    uncommitted.append(bench.partitions.uncommitted)
    await bench.own(P0)
    uncommitted.append(bench.partitions.uncommitted)
    assert uncommitted == [False, True, False]


class Reader:
    """A first poll in the middle of which the assignment comes, with a record of it; then what is put in."""

    def __init__(self, partitions: Partitions) -> None:
        self.waiting: deque[list[Record]] = deque()
        self._partitions = partitions

    async def start(self, assignments: Partitions) -> None:
        """Join; the assignment takes its time."""
        assert assignments is self._partitions

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """As `Source.positions`."""
        raise NotImplementedError(partitions)

    def prefetched_bytes(self, partitions: int) -> int:
        """As `Source.prefetched_bytes`."""
        return 0 * partitions

    async def poll(
        self, max_records: int, partitions: Collection[Partition] = ()
    ) -> Mapping[Partition, Sequence[Record]]:
        """As `Source.poll`."""
        assert max_records > 0
        assert not partitions
        if self._partitions.rebalances == 0:
            await self._partitions.assigned([P0])
            return {P0: [Raw(50, value=b"no JSON")]}
        await asyncio.sleep(0.01)
        return {P0: self.waiting.popleft()} if self.waiting else {}


class Keep:
    """Takes dead letters."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    def park(self, letter: object, owner: Ticket) -> None:
        """Keep a letter's offset."""
        assert letter
        self.offsets.append(owner.record.offset)


async def test_records_that_arrive_before_the_restore_are_dropped_and_come_again_by_its_seek() -> None:
    """They may arrive before the callback ends; admitted then, they would begin at the wrong offset."""
    bench = Bench()
    letters = Keep()
    bench.kafka.commits[P0] = (48, "")
    reader = Reader(bench.partitions)
    admission = Admission(envelope_path=(), mapper=NoMapper(), outlets={}, letters=letters, tally=bench.tally)
    polling = Polling(
        reader,
        bench.partitions,
        admission,
        pressure=Pressure(10),
        routes=bench.engine,
        tally=bench.tally,
        max_open_events=10,
        max_open_bytes=10_000,
    )
    task = asyncio.create_task(polling.run())
    await asyncio.sleep(0.05)
    assert letters.offsets == []
    assert bench.kafka.sought == [(P0, 48)]
    reader.waiting.append([Raw(offset, value=b"no JSON") for offset in (48, 49, 50)])
    await asyncio.sleep(0.05)
    polling.stop()
    await asyncio.wait_for(task, 2)
    assert letters.offsets == [48, 49, 50]


class NoMapper:
    """Nothing gets so far."""

    def map(self, event: Event) -> Mapped:
        """Fail."""
        raise AssertionError(event)


async def test_a_revoke_starts_nothing_commits_waits_for_what_is_in_flight_and_commits_again() -> None:
    """What was answered in time is committed; the rest is kept, for it may come back."""
    bench = Bench(drain_s=5.0)
    await bench.own(P0, P1)
    done, flying, waiting, other = (*bench.open(0, 1, 2), *bench.open(0, partition=P1))
    settle(done)
    bench.engine.busy = True
    revoking = asyncio.create_task(bench.partitions.revoked([P0]))
    await asyncio.sleep(0.05)
    assert not revoking.done()
    assert bench.engine.held == {Hold.REBALANCE}
    assert bench.partitions.open_events() == 3, "conservation holds while a partition is being given up"
    assert {p.partition for p in bench.partitions.committable()} == {0, 1}, "a stop may commit it still"
    settle(flying)
    bench.engine.busy = False
    await asyncio.wait_for(revoking, 1)
    assert bench.steps == [("busy", 1), ("quiet", 2)]
    assert (bench.tally.released, bench.tally.open_events) == (0, 2)
    assert not waiting.released
    assert not other.released
    assert set(bench.partitions.owned) == {P1}
    assert {p.partition for p in bench.partitions.committable()} == {1}, "nor after it is over"
    assert bench.engine.held == {Hold.REBALANCE}, "until it is clear what is ours"
    assert bench.balanced


async def test_what_comes_back_goes_on_where_it_was_nothing_is_read_or_sent_twice() -> None:
    """Nobody else has committed meanwhile: what waits is still to be sent, what was answered late counts."""
    bench = Bench(drain_s=0.05)
    await bench.own(P0)
    first, second, third = bench.open(0, 1, 2)
    bench.partitions.owned[P0].last_read = 2
    settle(second)
    before = bench.partitions.owned[P0]
    bench.engine.busy = True
    await bench.partitions.revoked([P0])
    settle(first)
    await bench.own(P0)
    assert bench.partitions.owned == {P0: before}
    assert bench.kafka.sought[-1] == (P0, 3), "reading goes on behind what was read"
    assert bench.engine.held == set()
    assert (bench.tally.released, bench.engine.dropped) == (0, 0)
    assert before.watermark == 2
    settle(third)
    assert before.watermark == 3
    assert bench.balanced


async def test_what_comes_back_before_anything_was_ever_committed_goes_on_too() -> None:
    """No commit was confirmed, and `latest` is further by now: beginning there would lose what is open."""
    bench = Bench("latest")
    await bench.own(P0)
    [kept] = bench.open(100)
    await bench.partitions.revoked([P0])
    kept.progress.committed = None
    bench.kafka.commits.clear()
    bench.kafka.first_end[P0] = (0, 150)
    await bench.own(P0)
    assert not kept.released
    assert bench.partitions.owned[P0].watermark == 100


async def test_what_is_not_assigned_again_is_released_at_once() -> None:
    """Somebody else sends it from now on; a verdict that comes late settles nothing here."""
    bench = Bench(drain_s=0.05)
    await bench.own(P0, P1)
    [flying], [other] = bench.open(0), bench.open(0, partition=P1)
    bench.engine.busy = True
    await bench.partitions.revoked([P0, P1])
    await bench.partitions.assigned([P1])
    assert flying.released
    assert (bench.tally.released, bench.engine.dropped) == (1, 1)
    assert bench.engine.held == {Hold.REBALANCE}, "what is kept may be somebody else's by now"
    settle(flying)
    assert bench.tally.settled.total() == 0
    await bench.partitions.restore()
    assert not other.released
    assert bench.engine.held == set()
    assert bench.balanced


@pytest.mark.parametrize(
    "commit",
    [(1, encode(1, [], b"somebody")), (0, ""), (1, "by hand"), None],
    ids=["another process", "no metadata", "not ours", "gone"],
)
async def test_what_somebody_else_has_committed_is_not_gone_on_with(commit: tuple[int, str] | None) -> None:
    """The partition was in other hands meanwhile: what was open is released, and it begins at that commit."""
    bench = Bench()
    await bench.own(P0)
    first, old = bench.open(0, 1)
    settle(first)
    await bench.partitions.revoked([P0])
    if commit is None:
        del bench.kafka.commits[P0]
    else:
        bench.kafka.commits[P0] = commit
    await bench.own(P0)
    offset = commit[0] if commit else 0
    assert old.released
    assert (bench.tally.released, bench.engine.dropped) == (1, 1)
    assert bench.kafka.sought[-1] == (P0, offset)
    [new] = bench.open(1)
    settle(old)
    assert bench.partitions.owned[P0].open_offsets == 1, "a verdict of the old epoch is none of the new one's"
    settle(new)
    assert bench.partitions.owned[P0].watermark == 2
    assert bench.engine.held == set()
    assert bench.balanced


async def test_what_is_kept_waits_while_the_broker_does_not_say_whose_commit_it_is() -> None:
    """Nothing of it is sent or released on a guess."""
    bench = Bench()
    await bench.own(P0)
    [kept] = bench.open(0)
    await bench.partitions.revoked([P0])
    await bench.partitions.assigned([P0])
    bench.kafka.fail = True
    for _ in range(3):
        with pytest.raises(BrokerError):
            await bench.partitions.restore()
        assert bench.partitions.unrestored
        assert bench.engine.held == {Hold.REBALANCE}
        assert not kept.released
        assert bench.balanced
    bench.kafka.fail = False
    await bench.partitions.restore()
    assert not kept.released
    assert bench.engine.held == set()


@pytest.mark.usefixtures("impatient")
async def test_what_is_kept_is_sent_though_a_new_partitions_beginning_is_not_known_yet() -> None:
    """Whose commits they are is known for all at once; a log's bounds may take longer."""
    bench = Bench()
    await bench.own(P0)
    [kept] = bench.open(0)
    await bench.partitions.revoked([P0])
    await bench.partitions.assigned([P0, P1])

    async def fail() -> None:
        raise BrokerError("no answer")

    bench.kafka.meanwhile = fail
    await bench.partitions.restore()
    assert bench.engine.held == set()
    assert set(bench.partitions.owned) == {P0}
    assert not kept.released
    assert bench.partitions.unrestored
    bench.kafka.meanwhile = None
    await asyncio.sleep(0.05)
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P0, P1}
    assert bench.kafka.sought.count((P0, 0)) == 2, "what goes on is not sought again"


async def test_a_rebalance_while_the_commits_are_asked_for_decides_nothing() -> None:
    """Neither goes the kept work on, nor is it released: the answer is of an assignment that is over."""
    bench = Bench()
    await bench.own(P0)
    [kept] = bench.open(0)
    await bench.partitions.revoked([P0])
    await bench.partitions.assigned([P0])

    async def rebalance() -> None:
        bench.kafka.while_committed = None
        await bench.partitions.revoked([P0])
        await bench.partitions.assigned([P0])

    bench.kafka.while_committed = rebalance
    await bench.partitions.restore()
    assert bench.partitions.owned == {}
    assert bench.engine.held == {Hold.REBALANCE}
    assert not kept.released
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P0}
    assert bench.engine.held == set()


async def test_a_rebalance_that_leaves_nothing_ends_the_hold_too() -> None:
    """Else what another partition brings later would never be sent."""
    bench = Bench()
    await bench.own(P0)
    bench.open(0)
    await bench.partitions.revoked([P0])
    await bench.partitions.assigned([])
    assert bench.engine.held == set()
    assert bench.tally.released == 1
    assert not bench.partitions.unrestored


@pytest.mark.parametrize("again", [(), (P0,), (P1,), (P0, P1)])
async def test_the_hold_of_a_rebalance_ends_with_its_restore(again: tuple[Partition, ...]) -> None:
    """Whatever the member has got; also when a second rebalance comes before the first is restored."""
    bench = Bench()
    await bench.own(P0)
    bench.open(0)
    for assigned in ((P0, P1), again):
        await bench.partitions.revoked([P0, P1])
        await bench.partitions.assigned(assigned)
    if bench.partitions.unrestored:
        assert bench.engine.held == {Hold.REBALANCE}
        await bench.partitions.restore()
    assert bench.engine.held == set()
    assert set(bench.partitions.owned) == set(again)
    assert bench.balanced


async def test_a_revoke_waits_no_longer_than_it_may() -> None:
    """The whole group stands still meanwhile."""
    bench = Bench(drain_s=0.2)
    await bench.own(P0)
    bench.open(0)
    bench.engine.busy = True
    began = monotonic()
    await bench.partitions.revoked([P0])
    assert 0.2 <= monotonic() - began < 1.0


async def test_a_revoke_of_nothing_asks_nothing() -> None:
    """As the first join does."""
    bench = Bench()
    await bench.partitions.revoked([])
    await bench.partitions.revoked([P0])
    assert bench.steps == []
    assert bench.engine.dropped == 0


async def test_a_partition_that_was_away_begins_a_new_epoch() -> None:
    """What was released may be admitted again."""
    bench = Bench()
    await bench.own(P0)
    [old] = bench.open(0)
    await bench.rebalance(P1)
    await bench.rebalance(P0)
    [new] = bench.open(0)
    settle(old)
    settle(new)
    assert bench.partitions.owned[P0].watermark == 1
    assert bench.balanced


@pytest.mark.parametrize("step", ["in the revoke", "after the revoke", "before the restore", "in the restore"])
async def test_a_stop_in_the_middle_of_a_rebalance_releases_everything_once(step: str) -> None:
    """What is being given up or kept, too."""
    bench = Bench(drain_s=5.0)
    await bench.own(P0, P1)
    bench.open(0, 1)
    bench.open(0, partition=P1)
    released = []

    async def stop() -> None:
        released.append(bench.partitions.release_all())

    async with asyncio.timeout(2):
        if step == "in the revoke":
            bench.engine.busy = True
            revoking = asyncio.create_task(bench.partitions.revoked([P0]))
            await asyncio.sleep(0.03)
            await stop()
            bench.engine.busy = False
            await revoking
            assert bench.steps == [("busy", 0), ("quiet", None)], "a commit of what was handed back"
        else:
            await bench.partitions.revoked([P0, P1])
        if step == "after the revoke":
            await stop()
        await bench.partitions.assigned([P0, P1])
        if step == "before the restore":
            await stop()
        if step == "in the restore":
            bench.kafka.while_committed = stop
            await bench.partitions.restore()
    assert released == [3]
    assert bench.tally.released == 3
    assert bench.tally.open_events == bench.partitions.open_events() == 0
    assert bench.balanced


async def test_the_engine_is_told_how_many_of_all_partitions_are_ours_and_the_flags_of_their_commits() -> None:
    """So large a part of the quota is ours; and a flood stop that an earlier process began goes on."""
    bench = Bench()
    bench.kafka.commits = {P0: (3, encode(3, [], b"an-other", 5)), P1: (4, "")}
    await bench.own(P0, P1)
    assert bench.engine.shares == [(2, 2)]
    assert bench.engine.flags == [5, 0]
    await bench.rebalance(P0)
    assert bench.engine.shares == [(2, 2), (1, 2)]
    assert bench.engine.flags == [5, 0], "what goes on brings nothing new"


async def test_a_topic_that_was_made_anew_begins_at_its_beginning_whatever_was_committed() -> None:
    """What was open is released and accounted for; the old commit does not count for the new log."""
    bench = Bench()
    bench.kafka.commits[P0] = (50, "")
    await bench.partitions.assigned([P0])
    await bench.partitions.restore()
    progress = bench.partitions.owned[P0]
    ticket = Ticket(Raw(50), progress, bench.tally, now_ms=1)
    progress.start(50, ticket)
    ticket.admit(1)
    bench.tally.received[EventType.TRACK] += 1
    bench.partitions.begin_anew(P0)
    assert bench.tally.released == 1
    assert bench.tally.unaccounted(bench.partitions.open_events()) == 0
    assert bench.engine.dropped == 1
    await bench.partitions.restore()
    assert bench.kafka.sought[-1] == (P0, 0)
    assert bench.partitions.owned[P0].watermark == 0
    assert bench.partitions.owned[P0].changes, "the old commit is replaced at once"


async def test_records_that_expire_while_reading_waits_are_counted_when_reading_jumps_over_them() -> None:
    """Back pressure held the reading, and retention overtook it; gaps that lie within the log are no loss."""
    bench = Bench()
    await bench.partitions.assigned([P0])
    await bench.partitions.restore()
    bench.partitions.note_beginnings({P0: (30, 100), P1: (5, 100)})
    assert bench.partitions.owned[P0].next_offset == 0, "what was read ahead may still come"
    bench.partitions.note_jump(P0, 40)
    assert bench.partitions.expiry.expired == 30
    assert bench.partitions.owned[P0].next_offset == 30


async def test_a_position_beyond_what_expired_counts_that_alone_as_lost() -> None:
    """Up to the log's beginning it is lost, from there to where reading stands never handed out."""
    bench = Bench()
    await bench.partitions.assigned([P0])
    await bench.partitions.restore()
    progress = bench.partitions.owned[P0]
    bench.partitions.note_beginnings({P0: (30, 100)})
    bench.partitions.note_position(P0, 42)
    assert bench.partitions.expiry.expired == 30
    assert progress.next_offset == 42
    assert progress.changes, "it is to be committed"
    bench.partitions.note_position(P0, 41)
    assert progress.next_offset == 42, "a position never takes anything back"


async def test_a_gap_within_the_log_is_no_loss() -> None:
    """Compaction and transaction markers leave offsets out."""
    bench = Bench()
    await bench.partitions.assigned([P0])
    await bench.partitions.restore()
    bench.partitions.note_beginnings({P0: (0, 100)})
    bench.partitions.note_jump(P0, 40)
    assert bench.partitions.expiry.expired == 0


async def test_a_revoke_whose_commit_fails_in_an_unforeseen_way_leaves_nothing_half_done() -> None:
    """The client swallows what a callback raises: what was given up is still kept or released by the assignment."""
    bench = Bench()
    await bench.own(P0, P1)
    bench.open(0)
    bench.open(0, partition=P1)

    async def fail(_: Iterable[Progress]) -> bool:
        raise RuntimeError("unforeseen")

    bench.kafka.commits[P0] = (0, encode(0, [], TAG))
    bench.partitions._commit = fail
    with pytest.raises(RuntimeError):
        await bench.partitions.revoked([P0, P1])
    assert not list(bench.partitions.committable())
    await bench.own(P0)
    assert (bench.tally.released, bench.tally.open_events) == (1, 1)
    assert bench.engine.held == set()
    assert bench.balanced


async def test_a_revoke_never_takes_longer_than_the_group_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is never answered is given up."""
    monkeypatch.setattr(partitions, "REVOKE_COMMITS_S", 0.1)
    bench = Bench(drain_s=0.1)
    await bench.own(P0)

    async def hang(_: Iterable[Progress]) -> bool:
        await asyncio.sleep(60)
        return True

    bench.partitions._commit = hang
    async with asyncio.timeout(5):
        await bench.partitions.revoked([P0])
    assert not list(bench.partitions.committable())


async def test_what_a_map_calls_open_and_the_log_has_lost_at_its_very_end_expired() -> None:
    """Nothing lies behind it that could be read: where reading stands is the only sign."""
    bench = Bench()
    bench.kafka.commits[P0] = (98, encode(98, [1, 1], TAG))
    await bench.own(P0)
    progress = bench.partitions.owned[P0]
    assert (progress.watermark, progress.next_offset) == (98, 100)
    bench.partitions.note_beginnings({P0: (100, 100)})
    bench.partitions.note_position(P0, 100)
    assert progress.watermark == 100
    assert bench.partitions.expiry.expired == 1
