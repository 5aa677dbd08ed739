"""Partitions: where each begins, and how it is given up with work in flight."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import pytest

from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.errors import BrokerError
from consumer.kafka.offset_map import encode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, Record
from consumer.mapping.result import Mapped
from consumer.outcomes import EventType, Outcome, Reason
from consumer.segment.events import Event
from consumer.worker import partitions
from consumer.worker.admission import Admission
from consumer.worker.partitions import Partitions, StartFrom
from consumer.worker.polling import Polling

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
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """As `Source.committed`."""
        if self.fail:
            raise BrokerError("no answer")
        return {p: self.commits[p] for p in partitions if p in self.commits}

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """As `Source.bounds`."""
        if self.meanwhile is not None:
            await self.meanwhile()
        return {p: self.first_end[p] for p in partitions}

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """As `Source.offsets_at`."""
        self.asked_times.append(time_ms)
        return {p: self.by_time[p] for p in partitions}

    def seek(self, partition: Partition, offset: int) -> None:
        """As `Source.seek`."""
        self.sought.append((partition, offset))


@dataclass
class Engine:
    """The delivery engine, as far as a revoke sees it."""

    busy: bool = False
    dropped: int = 0

    def drop_closing(self) -> None:
        """Forget what is not in flight."""
        self.dropped += 1

    def busy_with(self, progresses: Sequence[Progress]) -> bool:
        """Whether something is in flight."""
        assert progresses
        return self.busy


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
            self.kafka, self.engine, start_from=start_from, drain_s=drain_s, tally=self.tally, commit=self._commit
        )

    async def _commit(self, progresses: Iterable[Progress]) -> bool:
        for progress in progresses:
            assert progress.closing
            self.steps.append(("busy" if self.engine.busy else "quiet", progress.watermark))
        return True

    async def own(self, *partitions: Partition) -> None:
        """Have these assigned and restored."""
        await self.partitions.assigned(partitions)
        await self.partitions.restore()

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
    assert bench.partitions.expired == 0


async def test_start_from_a_time_begins_at_its_first_record_or_at_the_end() -> None:
    """When all records are older, nothing of the past is read."""
    bench = Bench(datetime(2026, 1, 1, tzinfo=UTC))
    bench.kafka.by_time = {P0: 55, P1: None}
    await bench.own(P0, P1)
    assert bench.kafka.asked_times == [1_767_225_600_000]
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
    assert bench.partitions.expired == 2 + 5
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

    async def rebalance() -> None:
        bench.kafka.meanwhile = None
        await bench.partitions.revoked([P0])
        await bench.partitions.assigned([P1])

    bench.kafka.meanwhile = rebalance
    await bench.partitions.restore()
    assert bench.partitions.owned == {}
    assert bench.kafka.sought == []
    assert bench.partitions.unrestored
    await bench.partitions.restore()
    assert set(bench.partitions.owned) == {P1}
    assert bench.partitions.rebalances == 2


class Reader:
    """A first poll in the middle of which the assignment comes, with a record of it; then what is put in."""

    def __init__(self, partitions: Partitions) -> None:
        self.waiting: deque[list[Record]] = deque()
        self._partitions = partitions

    async def start(self, assignments: Partitions) -> None:
        """Join; the assignment takes its time."""
        assert assignments is self._partitions

    async def poll(self, max_records: int) -> Mapping[Partition, Sequence[Record]]:
        """As `Source.poll`."""
        assert max_records > 0
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
    polling = Polling(reader, bench.partitions, admission, tally=bench.tally, max_open_events=10, max_open_bytes=10_000)
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


async def test_a_revoke_commits_waits_for_what_is_in_flight_commits_again_and_releases_the_rest() -> None:
    """What was answered in time is committed; the rest is read again by whoever has the partition next."""
    bench = Bench(drain_s=5.0)
    await bench.own(P0, P1)
    done, flying, waiting, other = (*bench.open(0, 1, 2), *bench.open(0, partition=P1))
    settle(done)
    bench.engine.busy = True
    progress = bench.partitions.owned[P0]
    revoking = asyncio.create_task(bench.partitions.revoked([P0]))
    await asyncio.sleep(0.05)
    assert not revoking.done()
    assert progress.closing
    assert flying.closing
    assert bench.engine.dropped == 1
    assert bench.partitions.open_events() == 3, "conservation holds while a partition is being given up"
    settle(flying)
    bench.engine.busy = False
    await asyncio.wait_for(revoking, 1)
    assert bench.steps == [("busy", 1), ("quiet", 2)]
    assert (bench.tally.released, bench.tally.open_events) == (1, 1)
    assert waiting.released
    assert not other.released
    assert set(bench.partitions.owned) == {P1}
    assert bench.tally.unaccounted(bench.partitions.open_events()) == 0


async def test_a_verdict_after_the_release_settles_nothing() -> None:
    """The event is somebody else's by then."""
    bench = Bench(drain_s=0.05)
    await bench.own(P0)
    [flying] = bench.open(0)
    bench.engine.busy = True
    await bench.partitions.revoked([P0])
    settle(flying)
    assert (bench.tally.released, bench.tally.settled.total()) == (1, 0)
    assert bench.tally.unaccounted(bench.partitions.open_events()) == 0


async def test_a_revoke_waits_no_longer_than_it_may() -> None:
    """The whole group stands still meanwhile."""
    bench = Bench(drain_s=0.2)
    await bench.own(P0)
    bench.open(0)
    bench.engine.busy = True
    began = monotonic()
    await bench.partitions.revoked([P0])
    assert 0.2 <= monotonic() - began < 1.0
    assert bench.tally.released == 1


async def test_a_revoke_of_nothing_asks_nothing() -> None:
    """As the first join does."""
    bench = Bench()
    await bench.partitions.revoked([])
    await bench.partitions.revoked([P0])
    assert bench.steps == []
    assert bench.engine.dropped == 0


async def test_a_partition_that_comes_back_begins_a_new_epoch() -> None:
    """What was released may be admitted again."""
    bench = Bench()
    await bench.own(P0)
    [old] = bench.open(0)
    await bench.partitions.revoked([P0])
    bench.kafka.commits[P0] = (0, "")
    await bench.own(P0)
    [new] = bench.open(0)
    settle(old)
    settle(new)
    assert bench.partitions.owned[P0].watermark == 1
    assert bench.tally.unaccounted(bench.partitions.open_events()) == 0


async def test_a_stop_in_the_middle_of_a_revoke_releases_everything_once() -> None:
    """What is being given up, too."""
    bench = Bench(drain_s=5.0)
    await bench.own(P0, P1)
    bench.open(0, 1)
    bench.open(0, partition=P1)
    bench.engine.busy = True
    revoking = asyncio.create_task(bench.partitions.revoked([P0]))
    await asyncio.sleep(0.03)
    assert bench.partitions.release_all() == 3
    assert bench.tally.released == 3
    assert bench.tally.open_events == bench.partitions.open_events() == 0
    bench.engine.busy = False
    await asyncio.wait_for(revoking, 1)
    assert bench.tally.released == 3


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
    assert bench.partitions.expired == 30
    assert bench.partitions.owned[P0].next_offset == 30


async def test_a_gap_within_the_log_is_no_loss() -> None:
    """Compaction and transaction markers leave offsets out."""
    bench = Bench()
    await bench.partitions.assigned([P0])
    await bench.partitions.restore()
    bench.partitions.note_beginnings({P0: (0, 100)})
    bench.partitions.note_jump(P0, 40)
    assert bench.partitions.expired == 0


async def test_a_revoke_whose_commit_fails_in_an_unforeseen_way_still_releases() -> None:
    """The client swallows what a callback raises: nothing may be left half-way."""
    bench = Bench()
    await bench.partitions.assigned([P0])
    await bench.partitions.restore()

    async def fail(_: Iterable[Progress]) -> bool:
        raise RuntimeError("unforeseen")

    bench.partitions._commit = fail
    with pytest.raises(RuntimeError):
        await bench.partitions.revoked([P0])
    assert not list(bench.partitions.progresses())


async def test_a_revoke_never_takes_longer_than_the_group_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is never answered is given up, and the partition is released."""
    monkeypatch.setattr(partitions, "REVOKE_COMMITS_S", 0.1)
    bench = Bench(drain_s=0.1)
    await bench.partitions.assigned([P0])
    await bench.partitions.restore()

    async def hang(_: Iterable[Progress]) -> bool:
        await asyncio.sleep(60)
        return True

    bench.partitions._commit = hang
    async with asyncio.timeout(5):
        await bench.partitions.revoked([P0])
    assert not list(bench.partitions.progresses())
