"""Rebalances, one after another, under traffic: `released` explains what is read again, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
import pytest

from consumer.config.load import load
from consumer.delivery.engine import Shared, memory_of, senders_of
from consumer.delivery.lease import Lease
from consumer.delivery.routes import Routes
from consumer.delivery.tally import Tally
from consumer.errors import BrokerError
from consumer.kafka.cluster import Cluster
from consumer.kafka.letterbox import Letterbox
from consumer.kafka.offset_map import decode, encode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, Record
from consumer.mapping.router import Router
from consumer.pendo.endpoints import route_table
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import Accepted, Later, Verdict
from consumer.sandbox.simulator_faults import Latency
from consumer.worker.admission import Admission
from consumer.worker.commits import Commits
from consumer.worker.partitions import Partitions
from consumer.worker.polling import Polling
from consumer.worker.pressure import Pressure
from tests.e2e.pipe import Pipe, Running, event
from tests.support.awaited import Answering, ByTasks

REBALANCES = 100
PARTITIONS = [Partition("events", number) for number in range(4)]
GROWTH = 25
"""Records that each partition gets before each rebalance: more than are delivered until the next."""
RECORDS = GROWTH * (REBALANCES + 1)
USERS = 25
"""In each partition."""
OURS, THEIRS = b"a-writer", b"an-other"
ANSWER_S = 0.006
"""At most: far less than a revoke waits, where it waits."""


@dataclass
class Raw:
    """A record."""

    offset: int
    partition: int
    topic: str = "events"
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """A track event whose messageId is the record's position."""
        user = f"{self.partition}-{self.offset % USERS}"
        self.value = orjson.dumps(event(f"{self.partition}@{self.offset}", user))


class OneRecord:
    """What stands behind an offset that another member reads."""

    open = 1
    held_bytes = 0


class Group:
    """A group of two members: ours, as the source shows it, and another that lives between two lines of a test.

    Attributes:
        delivered: How often each event was taken by Pendo, whoever sent it.
        end: Of every log; it grows.
        unanswered: What our member has on the wire.
        flying: What it had there at the last commit before partitions were taken from it, or at their loss.
    """

    def __init__(self, chance: Random) -> None:
        self.delivered: Counter[str] = Counter()
        self._chance = chance
        self._commits: dict[Partition, tuple[int, str]] = {}
        self._ours: Collection[Partition] = ()
        self._positions: dict[Partition, int] = {}
        self._joining = True
        self._revoking = False
        self.end = 0
        self.unanswered: set[str] = set()
        self.flying: set[str] = set()

    @property
    def partition_count(self) -> int:
        """As `Source.partition_count`."""
        return len(PARTITIONS)

    async def start(self, assignments: Partitions) -> None:
        """As `Source.start`: a test assigns."""

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """As `Source.positions`."""
        return {partition: self._positions[partition] for partition in partitions}

    def prefetched_bytes(self, partitions: int) -> int:
        """As `Source.prefetched_bytes`."""
        return 1_000 * partitions

    async def poll(
        self, max_records: int, partitions: Collection[Partition] = ()
    ) -> Mapping[Partition, Sequence[Record]]:
        """As `Source.poll`."""
        await asyncio.sleep(0.001)
        batches: dict[Partition, Sequence[Record]] = {}
        for partition in partitions or self._ours:
            first = self._positions.get(partition, self.end)
            until = min(first + min(max_records, 40), self.end)
            if first < until:
                batches[partition] = [Raw(offset, partition.partition) for offset in range(first, until)]
                self._positions[partition] = until
        return batches

    async def commit(self, positions: Mapping[Partition, tuple[int, str]]) -> None:
        """As `Source.commit`."""
        if self._revoking:
            self.flying |= self.unanswered
        await asyncio.sleep(self._chance.random() * 0.002)
        if self._joining:
            raise BrokerError("a commit: not a member of the group at present")
        for partition, (offset, metadata) in positions.items():
            assert offset >= self._commits.get(partition, (0, ""))[0], "a commit never goes back"
            self._commits[partition] = (offset, metadata)

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """As `Source.committed`."""
        await asyncio.sleep(0)
        return {p: self._commits[p] for p in partitions if p in self._commits}

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """As `Source.bounds`."""
        await asyncio.sleep(0)
        return dict.fromkeys(partitions, (0, self.end))

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """As `Source.offsets_at`."""
        raise NotImplementedError(partitions, time_ms)

    def seek(self, partition: Partition, offset: int) -> None:
        """As `Source.seek`."""
        self._positions[partition] = offset

    async def rebalance(self, members: Partitions, ours: Collection[Partition]) -> None:
        """Everything is revoked; we get some, and the other member works on the rest for a while."""
        self.end += GROWTH
        self._revoking = True
        await members.revoked(sorted(self._ours))
        self._revoking, self._joining, self._ours = False, True, ()
        self.flying |= self.unanswered
        for partition in PARTITIONS:
            if partition not in ours and self._chance.random() < 0.7:  # else it only had it
                self._work_elsewhere(partition)
        # As the client does: reading begins at the commit before the callback has been called.
        self._ours = ours
        self._positions = {partition: self._commits.get(partition, (0, ""))[0] for partition in ours}
        self._joining = False
        await members.assigned(sorted(ours))

    def _work_elsewhere(self, partition: Partition) -> None:
        offset, metadata = self._commits.get(partition, (0, ""))
        theirs = Progress.restored(*partition, offset, decode(metadata, offset))
        for read in range(offset, min(offset + 10, self.end)):
            if theirs.start(read, OneRecord()) and self._chance.random() < 0.8:  # the rest is left open
                self.delivered[f"{partition.partition}@{read}"] += 1
                theirs.finish(read)
        watermark = theirs.watermark
        assert watermark is not None
        self._commits[partition] = (watermark, encode(watermark, theirs.runs(), THEIRS))


class Wire(ByTasks):
    """Knows what is on it: from the call that sends until our member has been told of the answer."""

    def __init__(self, answering: Answering, unanswered: set[str]) -> None:
        super().__init__(answering)
        self._unanswered = unanswered

    def post(self, body: bytes, on_end: Callable[[Any], None]) -> None:
        """One request: it goes now."""
        message_id = _message_id(body)
        self._unanswered.add(message_id)

        def ended(end: Any) -> None:
            self._unanswered.discard(message_id)
            on_end(end)

        super().post(body, ended)


def _message_id(body: bytes) -> str:
    message_id: str = orjson.loads(body)["messageId"]
    return message_id


class Bench:
    """The real worker and engine between that group and a Pendo that fails now and then."""

    def __init__(self, seed: int, drain_s: float, message_ids: int) -> None:
        environ = {
            "KAFKA__BOOTSTRAP_SERVERS": "localhost:1",
            "KAFKA__TOPICS": "events",
            "PENDO__API_KEY": "k",
            "DELIVERY__MEMORY_MESSAGE_IDS": str(message_ids),
            "DELIVERY__MAX_RETRY_DELAY_S": "0.5",
        }
        settings = load(None, {f"PENDO_CONSUMER_{key}": value for key, value in environ.items()}).settings
        self.chance = Random(seed)
        self.group = Group(self.chance)
        self.tally = tally = Tally()
        letterbox = Letterbox("dead", {}, Cluster({}))
        lease, pressure = Lease(10.0), Pressure(1_000)
        shared = Shared(
            settings=settings,
            memory=memory_of(settings),
            lease=lease,
            max_lane=pressure.max_lane,
            letters=letterbox,
        )
        self.senders = senders_of(Route.SEGMENTIO, shared, Wire(self._post, self.group.unanswered))
        self.routes = routes = Routes({Route.SEGMENTIO: self.senders}, letterbox, lease)
        self.commits = Commits(
            self.group,
            tag=OURS,
            interval_s=0.1,
            owned=self._owned,
            settled=tally.settled.total,
            in_flight=routes.in_flight,
            flags=lambda: routes.flags,
        )
        self.partitions = Partitions(
            self.group,
            routes,
            start_from="earliest",
            drain_s=drain_s,
            tag=OURS,
            tally=tally,
            commit=self.commits.commit,
        )
        admission = Admission(
            envelope_path=(),
            mapper=Router(route_table(settings.routes), settings.segment.anonymous, with_values=False),
            outlets=routes.senders,
            letters=letterbox,
            tally=tally,
        )
        self.polling = Polling(
            self.group,
            self.partitions,
            admission,
            pressure=pressure,
            routes=routes,
            tally=tally,
            max_open_events=1_000,
            max_open_bytes=1_000_000,
        )

    def _owned(self) -> Iterable[Progress]:
        return self.partitions.owned.values()

    async def _post(self, body: bytes) -> tuple[Verdict, int]:
        await asyncio.sleep(self.chance.random() * ANSWER_S)
        if self.chance.random() < 0.02:  # now and then
            return Later(), 500
        self.group.delivered[_message_id(body)] += 1
        return Accepted(), 200

    @property
    def unaccounted(self) -> int:
        """Events that vanished or were settled twice."""
        return self.tally.unaccounted(self.partitions.open_events())

    async def run(self) -> None:
        """All rebalances, then to the end."""
        async with asyncio.TaskGroup() as tasks:
            parts = (self.polling.run(), self.commits.run(), self.senders.run())
            running = [tasks.create_task(part) for part in parts]
            for _ in range(REBALANCES):
                ours = {p for p in PARTITIONS if self.chance.random() < 0.6}  # of two members
                rebalancing = asyncio.create_task(self.group.rebalance(self.partitions, ours))
                while not rebalancing.done():
                    assert self.unaccounted == 0
                    await asyncio.sleep(0)
                await rebalancing
                await asyncio.sleep(self.chance.random() * 0.03)
                assert self.unaccounted == 0
            await self.group.rebalance(self.partitions, PARTITIONS)
            while any(p.watermark != RECORDS for p in _all(self.partitions)):
                await asyncio.sleep(0.01)
            for task in running:
                task.cancel()


def _all(partitions: Partitions) -> Iterable[Progress]:
    return partitions.owned.values() if len(partitions.owned) == len(PARTITIONS) else [Progress("none", 0)]


EVERY_EVENT = {f"{partition.partition}@{offset}" for partition in PARTITIONS for offset in range(RECORDS)}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("message_ids", [0, 10_000], ids=["no window", "messageId window"])
async def test_100_rebalances_lose_nothing_and_repeat_nothing_that_was_answered_in_time(message_ids: int) -> None:
    """What was answered is committed before the partition goes, and what was only waiting was never sent."""
    bench = Bench(seed=6, drain_s=5.0, message_ids=message_ids)
    await bench.run()
    assert bench.group.delivered.keys() == EVERY_EVENT
    assert {m: n for m, n in bench.group.delivered.items() if n > 1} == {}
    assert bench.unaccounted == 0
    assert bench.tally.released > 0, "partitions went away with open work"
    assert bench.tally.open_events == 0
    assert bench.tally.open_bytes == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}, "none is left of all the rebalances"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("message_ids", [0, 10_000], ids=["no window", "messageId window"])
async def test_100_rebalances_that_do_not_wait_repeat_only_what_was_on_the_wire(message_ids: int) -> None:
    """HTTP knows no fence: the other member may send it too. A window of messageIds loses none of it."""
    bench = Bench(seed=7, drain_s=0.0, message_ids=message_ids)
    await bench.run()
    assert bench.group.delivered.keys() == EVERY_EVENT
    repeated = {m for m, n in bench.group.delivered.items() if n > 1}
    assert repeated, "requests were on the wire"
    assert repeated <= bench.group.flying
    assert bench.unaccounted == 0
    assert bench.tally.open_events == 0


async def _come_and_go(pipe: Pipe, first: Running) -> None:
    before = (await first.metrics()).sum("rebalances_total")
    async with pipe.service() as second:
        await second.until(lambda m: m.sum("events_settled_total") >= 20)  # it has its share
        assert await second.stop() == 0
        assert (await first.metrics()).sum("events_unaccounted") == 0
    # Else the next one might come before this one's leaving is noticed: one rebalance for both.
    await first.until(lambda m: m.sum("rebalances_total") >= before + 2)


@pytest.mark.apache
@pytest.mark.timeout(60)
async def test_a_second_member_that_comes_and_goes_costs_no_event_and_no_repeat(apache_pipe: Pipe) -> None:
    """Ten rebalances on a real group, under traffic: every request is answered in the time that a revoke waits."""
    pipe = apache_pipe
    pipe.simulator.latency = Latency(median_s=0.02)
    events, enough = 0, asyncio.Event()

    async def produce() -> None:
        nonlocal events
        while not enough.is_set():
            await pipe.produce([event(n, user=f"u{n % 200}") for n in range(events, events + 200)])
            events += 200
            await asyncio.sleep(0.2)

    async with pipe.service() as first:
        traffic = asyncio.create_task(produce())
        try:
            await first.until_settled(200)
            for _ in range(5):
                await _come_and_go(pipe, first)
        finally:
            enough.set()
            await traffic
        await first.until(lambda _: len(set(pipe.accepted())) >= events)
        metrics = await first.until(lambda m: m.sum("events_open") == 0 and m.sum("lag_records") == 0)
        assert metrics.sum("events_unaccounted") == 0
        assert metrics.sum("rebalances_total") >= 10  # two for each time
        received, settled = metrics.sum("events_received_total"), metrics.sum("events_settled_total")
        assert received == settled + metrics.sum("events_released_total")
    accepted = Counter(pipe.accepted())
    assert {m for m, n in accepted.items() if n > 1} == set()
    assert pipe.simulator.log.counts()["lane_overlaps"] == 0
