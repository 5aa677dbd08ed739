"""Commits: when one is due, one at a time, and what a failed one leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from consumer.errors import BrokerError
from consumer.kafka.offset_map import decode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.worker import commits as module
from consumer.worker.commits import MIN_INTERVAL_S, Answer, Commits, due

TAG = b"a-writer"
P0 = Partition("events", 0)


class Work:
    """An open record."""

    open = 1
    held_bytes = 0


class Kafka:
    """Takes commits, or refuses them; keeps what it was told."""

    def __init__(self) -> None:
        self.taken: list[dict[Partition, tuple[int, str]]] = []
        self.refuse = False
        self.slow_s = 0.0
        self.at_once = self.most_at_once = 0

    async def commit(self, positions: Mapping[Partition, tuple[int, str]]) -> None:
        """As `Source.commit`."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.slow_s)
        self.at_once -= 1
        if self.refuse:
            raise BrokerError("no coordinator")
        self.taken.append(dict(positions))


class Bench:
    """Commits with everything around them."""

    def __init__(self, interval_s: float = 60.0) -> None:
        self.kafka = Kafka()
        self.progress = Progress("events", 0, 10)
        self.owned = [self.progress]
        self.settled = 0
        self.in_flight = 4
        self.flags = 0
        self.commits = Commits(
            self.kafka,
            tag=TAG,
            interval_s=interval_s,
            owned=lambda: self.owned,
            settled=lambda: self.settled,
            in_flight=lambda: self.in_flight,
            flags=lambda: self.flags,
        )
        for offset in range(10, 30):
            self.progress.start(offset, Work())

    def settle(self, *offsets: int) -> None:
        """Finish records of one event each."""
        for offset in offsets:
            self.progress.finish(offset)
            self.settled += 1

    async def commit(self) -> bool:
        """Commit what is new."""
        return await self.commits.commit([self.progress])


@pytest.fixture
def bench() -> Bench:
    """Commits that come by themselves only after as many settlements as are in flight."""
    return Bench()


@pytest.fixture
async def running(bench: Bench) -> AsyncIterator[Bench]:
    """The same, with its task."""
    task = asyncio.create_task(bench.commits.run())
    yield bench
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("settled", "in_flight", "elapsed_s", "is_due"),
    [
        (0, 0, 0.99, False),
        (0, 0, 1.0, True),
        (0, 8, 0.1, False),
        (7, 8, 0.1, False),
        (8, 8, 0.1, True),
        (1, 0, 0.1, True),
        (1, 8, 1.0, True),
    ],
)
def test_a_commit_is_due_after_its_interval_or_as_many_events_as_are_in_flight(
    settled: int, in_flight: int, elapsed_s: float, *, is_due: bool
) -> None:
    """So a crash repeats no more than a multiple of what is in flight, at any rate."""
    assert due(settled, in_flight, elapsed_s, 1.0) is is_due


async def test_a_commit_says_the_watermark_and_what_is_finished_beyond_it(bench: Bench) -> None:
    """A restart goes on with exactly the rest."""
    bench.settle(10, 12, 13)
    assert await bench.commit()
    [(offset, metadata)] = [taken[P0] for taken in bench.kafka.taken]
    told = decode(metadata, offset)
    assert offset == 11
    assert told is not None
    assert (told.tag, told.runs) == (TAG, (1, 2))
    assert bench.progress.committed == 11


async def test_nothing_new_is_nothing_to_commit_and_counts_as_done(bench: Bench) -> None:
    """Kafka is not asked; an idle topic costs nothing."""
    assert await bench.commit()
    bench.settle(10)
    assert await bench.commit()
    assert await bench.commit()
    assert len(bench.kafka.taken) == 1


async def test_a_partition_without_a_known_offset_is_left_out(bench: Bench) -> None:
    """There is nothing that could be said of it."""
    unknown = Progress("events", 1)
    unknown.changes = 1
    bench.settle(10)
    assert await bench.commits.commit([unknown, bench.progress])
    assert [set(taken) for taken in bench.kafka.taken] == [{P0}]


async def test_a_commit_that_was_not_confirmed_is_repeated(bench: Bench) -> None:
    """It keeps what is new, counts, and says so."""
    bench.settle(10)
    bench.kafka.refuse = True
    assert not await bench.commit()
    assert bench.commits.results[Answer.CONFIRMED] == 0
    bench.kafka.refuse = False
    assert await bench.commit()
    assert bench.kafka.taken[0][P0][0] == bench.progress.committed == 11
    assert bench.commits.results == {"confirmed": 1, "failed": 1}


async def test_what_is_settled_during_a_commit_is_new_for_the_next(bench: Bench) -> None:
    """Confirmed is what went out, not what has come since."""
    bench.settle(10)
    bench.kafka.slow_s = 0.05
    committing = asyncio.create_task(bench.commit())
    await asyncio.sleep(0.01)
    bench.settle(11)
    await committing
    assert bench.progress.committed == 11
    await bench.commit()
    assert [taken[P0][0] for taken in bench.kafka.taken] == [11, 12]


async def test_commits_go_out_one_at_a_time(bench: Bench) -> None:
    """A slow older one would else overwrite a newer one, and offsets would go backwards."""
    bench.kafka.slow_s = 0.01

    async def settle_and_commit(offset: int) -> None:
        bench.settle(offset)
        assert await bench.commit()

    await asyncio.gather(*(settle_and_commit(offset) for offset in range(10, 15)))
    assert bench.kafka.most_at_once == 1
    offsets = [taken[P0][0] for taken in bench.kafka.taken]
    assert offsets == sorted(offsets)
    assert offsets[-1] == 15


async def test_as_many_settlements_as_are_in_flight_bring_a_commit(running: Bench) -> None:
    """Long before the interval; fewer bring none."""
    running.settle(10, 11, 12)
    await asyncio.sleep(4 * MIN_INTERVAL_S)
    assert running.kafka.taken == []
    running.settle(13)
    await asyncio.sleep(4 * MIN_INTERVAL_S)
    assert [taken[P0][0] for taken in running.kafka.taken] == [14]


async def test_commits_are_at_least_their_pause_apart(running: Bench) -> None:
    """A broker has better things to do."""
    running.in_flight = 0
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for offset in range(10, 30):
        running.settle(offset)
        await asyncio.sleep(0.01)
    await asyncio.sleep(2 * MIN_INTERVAL_S)
    assert 2 <= len(running.kafka.taken) <= (loop.time() - began_s) / MIN_INTERVAL_S + 1
    assert running.progress.committed == 30


async def test_the_interval_brings_a_commit_and_a_failed_one_comes_again() -> None:
    """However little was settled."""
    bench = Bench(interval_s=0.1)
    bench.in_flight = 1000
    task = asyncio.create_task(bench.commits.run())
    try:
        bench.settle(10)
        bench.kafka.refuse = True
        await asyncio.sleep(0.4)
        bench.kafka.refuse = False
        await asyncio.sleep(0.4)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert 1 <= bench.commits.results[Answer.FAILED] <= 3, "a failed commit waits for its interval"
    assert [taken[P0][0] for taken in bench.kafka.taken] == [11]


async def test_a_loop_whose_commit_failed_turns_on_however_long_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """It repeats the commit soon, and is not taken for dead meanwhile."""
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    bench = Bench(interval_s=600)
    bench.kafka.refuse = True
    bench.settle(10, 11, 12, 13)
    task = asyncio.create_task(bench.commits.run())
    try:
        for _ in range(4):
            await asyncio.sleep(0.1)
            assert bench.commits.idle_s() < 0.25
        assert bench.commits.results[Answer.FAILED] >= 2
        # More in flight by now: what failed is due all the same.
        bench.in_flight = 1000
        bench.kafka.refuse = False
        await asyncio.sleep(0.3)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert [taken[P0][0] for taken in bench.kafka.taken] == [14]


async def test_flags_travel_with_every_commit(bench: Bench) -> None:
    """Whoever goes on from it must know that a flood was stopped."""
    bench.settle(10)
    bench.flags = 5
    assert await bench.commit()
    [(offset, metadata)] = [taken[P0] for taken in bench.kafka.taken]
    told = decode(metadata, offset)
    assert told is not None
    assert told.flags == 5
    assert bench.progress.committed_flags == 5


async def test_a_change_of_flags_is_committed_at_once_though_nothing_was_settled(running: Bench) -> None:
    """Both ways: a flood that is over must not begin again at the next restart."""
    for flags, commits in ((1, 1), (0, 2)):
        running.flags = flags
        await asyncio.sleep(4 * MIN_INTERVAL_S)
        assert len(running.kafka.taken) == commits
        offset, metadata = running.kafka.taken[-1][P0]
        told = decode(metadata, offset)
        assert told is not None
        assert told.flags == flags


async def test_flags_that_could_not_be_committed_are_committed_later() -> None:
    """They stay new until a commit is confirmed."""
    bench = Bench(interval_s=0.1)
    bench.flags, bench.kafka.refuse = 1, True
    assert not await bench.commit()
    assert bench.progress.committed_flags == 0
    bench.kafka.refuse = False
    assert await bench.commit()
    assert bench.progress.committed_flags == 1


async def test_a_proof_commits_what_is_ours_though_nothing_is_new(bench: Bench) -> None:
    """Whether the group still takes it is what is asked."""
    bench.settle(10)
    assert await bench.commit()
    assert await bench.commits.prove()
    assert [taken[P0][0] for taken in bench.kafka.taken] == [11, 11]
    bench.kafka.refuse = True
    assert not await bench.commits.prove()


async def test_nothing_to_commit_proves_nothing() -> None:
    """A process that owns no partition, or has given them up, learns nothing about them."""
    bench = Bench()
    bench.owned = []
    assert await bench.commits.commit([])
    assert not await bench.commits.prove()
    assert bench.kafka.taken == []


async def test_a_loop_that_stands_still_shows(running: Bench) -> None:
    """Liveness asks how long ago it last turned."""
    await asyncio.sleep(3 * MIN_INTERVAL_S)
    assert running.commits.idle_s() < 2 * MIN_INTERVAL_S
    running.kafka.slow_s = 0.3
    running.settle(10, 11, 12, 13)
    await asyncio.sleep(0.3)
    assert running.commits.idle_s() > 0.15
