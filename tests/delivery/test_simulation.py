"""The delivery engine under random trouble: whatever happens in whichever order, each of its promises holds.

Events of three partitions arrive while the destination's mood changes, partitions are taken away and given back, an
operator pauses and goes on. At every quiet moment the checks below look at the whole engine. A seed tells all.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from random import Random
from typing import NamedTuple, assert_never

import pytest
from structlog.testing import capture_logs

from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lanes import Delivery, Lane, Lanes, Run
from consumer.delivery.retry import Backoff
from consumer.delivery.senders import TIMER_RESOLUTION_S, Senders
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket, release
from consumer.errors import UnreachableError
from consumer.kafka.dead_letter import DeadLetter
from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import ACCEPTED, OPTED_OUT, Accepted, Later, Locked, Refused, Stall, Verdict
from tests.delivery.conftest import FakeRecord
from tests.delivery.virtual_loop import VirtualLoop, run_virtually

SEEDS = 150
CHUNK = 50
PARTITIONS = 3
SETTLE_S = 3_000.0
"""After the faults have stopped: the longest `Retry-After` and the longest probe delay have long passed by then."""
LATE_S = 2 * TIMER_RESOLUTION_S


class Mood(Enum):
    """What the destination's failures look like."""

    LATER = auto()
    THROTTLED = auto()
    LOCKED = auto()
    OUTAGE = auto()
    SLOW = auto()
    MIXED = auto()


class Spec(NamedTuple):
    """One event in a partition's log."""

    lane: str
    account: str | None
    state: int


@dataclass(eq=False)
class Arrival:
    """An admitted event, until the destination has given its last word.

    Attributes:
        number: Its place in the order of admission.
        delivery: How it travels.
    """

    number: int
    delivery: Delivery

    def precedes(self, other: "Arrival") -> bool:
        """Whether it must be answered for good before the other may go."""
        return self.number < other.number and self.conflicts(other) and not self.delivery.ticket.closing

    def conflicts(self, other: "Arrival") -> bool:
        """Whether the two must never be on the wire together: one lane, or two versions of one account."""
        mine, theirs = self.delivery.request, other.delivery.request
        versions = mine.account is not None and mine.account == theirs.account and mine.state_hash != theirs.state_hash
        return mine.lane == theirs.lane or versions


class Destination:
    """Pendo in changing moods; it checks the order of what it is sent, and remembers what it ended."""

    def __init__(self, chance: Random) -> None:
        self.faulty = True
        self.arrivals: dict[bytes, Arrival] = {}
        self.ended: set[tuple[int, int]] = set()
        self._chance = chance
        self._flying: list[Arrival] = []
        self.change_mood()

    def change_mood(self) -> None:
        """From now on other failures, more or fewer of them."""
        self._mood = self._chance.choice(list(Mood))
        failing = self._chance.choice([0.0, 0.1, 0.6, 1.0])
        self._failing = 1.0 if self._mood is Mood.OUTAGE else failing

    async def post(self, body: bytes) -> tuple[Verdict, int]:
        """One request."""
        arrival = self.arrivals[body]
        self._check_order(arrival)
        self._flying.append(arrival)
        await asyncio.sleep(self._latency_s())
        self._flying.remove(arrival)
        failing = self.faulty and self._chance.random() < self._failing
        verdict = self._failure() if failing else ACCEPTED
        if not isinstance(verdict, Later | Locked):
            del self.arrivals[body]
            record = arrival.delivery.ticket.record
            self.ended.add((record.partition, record.offset))
        return verdict, 200 if isinstance(verdict, Accepted) else 500

    def _check_order(self, arrival: Arrival) -> None:
        assert not arrival.delivery.ticket.closing, "sent though its partition is being given up"
        rivals = [other.number for other in self._flying if other.conflicts(arrival)]
        assert not rivals, f"{arrival.number} goes beside {rivals}"
        older = [other.number for other in self.arrivals.values() if other.precedes(arrival)]
        assert not older, f"{arrival.number} overtakes {older}"

    def _latency_s(self) -> float:
        slow_s = 9.0 if self.faulty and self._mood is Mood.SLOW else 0.05
        return self._chance.choice([0.001, 0.05, 0.05, 0.3, slow_s])

    def _failure(self) -> Verdict:
        choice = self._chance.choice
        match self._mood:
            case Mood.LATER:
                return Later(choice([None, None, 0.001, 3.0, 300.0]))
            case Mood.THROTTLED:
                return Later(choice([None, 0.5, 20.0]), throttled=True)
            case Mood.LOCKED:
                return Locked(choice(list(Stall)))
            case Mood.OUTAGE:
                raise UnreachableError("timeout", "no answer in time")
            case Mood.SLOW | Mood.MIXED:
                return self._any_failure()
            case _:
                assert_never(self._mood)

    def _any_failure(self) -> Verdict:
        refused = Refused(Reason.REFUSED, "Pendo answered 400")
        throttled = [Later(after_s, throttled=True) for after_s in (None, 4.0)]
        failures: list[Verdict] = [Later(), Later(2.0), *throttled, Locked(Stall.ENDPOINT), OPTED_OUT, refused]
        return self._chance.choice(failures)


class Letterbox:
    """Takes dead letters, and tells later that they are safe."""

    def __init__(self, chance: Random) -> None:
        self.acknowledged = 0
        self._chance = chance
        self._parked: list[tuple[DeadLetter, Ticket]] = []

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Take a letter."""
        self._parked.append((letter, owner))

    async def run(self) -> None:
        """Acknowledge, sooner or later."""
        while True:
            await asyncio.sleep(self._chance.choice([0.1, 10.0]))
            parked, self._parked = self._parked, []
            for letter, owner in parked:
                owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason)
                self.acknowledged += 1


class World:
    """Partitions on one side, a destination on the other, the engine between them.

    Attributes:
        states: Which the gate went through, as far as somebody looked.
    """

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)
        self.tally = Tally()
        self.logs: list[list[Spec]] = [[] for _ in range(PARTITIONS)]
        self.progress = [Progress("t", partition, 0) for partition in range(PARTITIONS)]
        self.destination = Destination(chance)
        self.letterbox = Letterbox(chance)
        self.states: set[GateState] = set()
        self.senders = Senders(
            Route.SEGMENTIO,
            gate=Gate(
                limit=chance.choice([1, 2, 8, 32]), max_probe_delay_s=chance.choice([1, 5, 60]), random=chance.random
            ),
            backoff=Backoff(chance.choice([1, 60]), chance.random),
            post=self.destination.post,
            letters=self.letterbox,
        )
        self._visitors = [f"visitor:{number}" for number in range(chance.choice([1, 3, 12, 40]))]
        self._admitted = 0

    def produce(self) -> None:
        """A few events arrive."""
        for _ in range(self.chance.randint(1, 10)):
            partition = self.chance.randrange(PARTITIONS)
            account = self.chance.choice([None, None, "a", "b"])
            state = self.chance.randint(1, 2) if account else 0
            self.logs[partition].append(Spec(self.chance.choice(self._visitors), account, state))
            self._admit(partition, len(self.logs[partition]) - 1)

    def _admit(self, partition: int, offset: int) -> None:
        ticket = Ticket(FakeRecord(partition=partition, offset=offset), self.progress[partition], self.tally, 2_000)
        if not self.progress[partition].start(offset, ticket):
            return
        ticket.admit(1)
        self.tally.received[EventType.TRACK] += 1
        self._admitted += 1
        body = str(self._admitted).encode()
        ticket.hold(body)
        lane, account, state = self.logs[partition][offset]
        delivery = Delivery(Request(Route.SEGMENTIO, lane, body, account, state), ticket, EventType.TRACK, None, None)
        self.destination.arrivals[body] = Arrival(self._admitted, delivery)
        self.senders.add(delivery)

    async def rebalance(self) -> None:
        """A partition is taken away, drained for a while, and comes back at once, at its commit."""
        partition = self.chance.randrange(PARTITIONS)
        old = self.progress[partition]
        old.closing = True
        self.senders.drop_closing()
        deadline = _now() + self.chance.choice([0, 0.1, 2])
        while _now() < deadline and any(d.ticket.progress is old for d in self.senders.lanes.in_flight()):
            await asyncio.sleep(0.01)
        release(old, self.tally)
        watermark = old.watermark
        assert watermark is not None
        finished = OffsetMap(b"a-writer", 0, tuple(old.runs()))
        self.progress[partition] = Progress.restored("t", partition, watermark, finished)
        for offset in range(watermark, len(self.logs[partition])):
            self._admit(partition, offset)

    async def happen(self) -> None:
        """One random event, and perhaps some time."""
        dice = self.chance.random()
        if dice < 0.55:
            self.produce()
        elif dice < 0.6:
            await self.rebalance()
        elif dice < 0.7:
            self.destination.change_mood()
        elif dice < 0.74:
            self.senders.pause(paused=self.chance.random() < 0.5)
        elif dice < 0.77:
            self.senders.probe_now()
        if self.chance.random() < 0.7:
            await asyncio.sleep(self.chance.choice([0, 0.001, 0.05, 1, 15]))

    async def settle(self) -> None:
        """The trouble is over: all that is open comes to its end."""
        self.destination.faulty = False
        self.senders.pause(paused=False)
        deadline = _now() + SETTLE_S
        while self.tally.open_events and _now() < deadline:
            await asyncio.sleep(10)

    async def live(self) -> None:
        """The whole story."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self.senders.run(self.senders.gate.limit))]
            running.append(tasks.create_task(self.letterbox.run()))
            for _ in range(self.chance.choice([20, 80])):
                await self.happen()
            await self.settle()
            for task in running:
                task.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()


def check_every_lane_is_in_exactly_one_place(lanes: Lanes) -> None:
    """In flight, ready, waiting for its retry, or waiting for an older version of its account."""
    waiting = (lane for runs in lanes._runs.values() for run in runs for lane in run.waiting)
    retrying = (lane for due, _, lane in lanes._retries if lane.due == due)
    flying = (lane for lane in lanes._lanes.values() if lane.in_flight)
    places = Counter(id(lane) for place in (waiting, retrying, flying, lanes.ready) for lane in place)
    assert places == dict.fromkeys(map(id, lanes._lanes.values()), 1)


def check_runs_count_their_deliveries(lanes: Lanes) -> None:
    """A count that is too high would block an account for ever, one too low would let versions overtake."""
    deliveries = (delivery for lane in lanes._lanes.values() for delivery in lane.queue)
    standing = Counter(id(delivery.run) for delivery in deliveries if delivery.run is not None)
    assert {id(run): run.count for runs in lanes._runs.values() for run in runs} == standing


def check_conservation(tally: Tally, progress: Sequence[Progress]) -> None:
    """Nothing vanishes, nothing is counted twice, and memory is accounted for to the byte."""
    tickets = [ticket for partition in progress for ticket in partition.open_records()]
    really_open = sum(ticket.open for ticket in tickets)
    assert tally.unaccounted(really_open) == 0
    assert tally.open_events == really_open
    assert tally.open_bytes == sum(ticket.held_bytes for ticket in tickets)


def check_nobody_sleeps_over_work(senders: Senders, now: float, next_timer: float | None) -> None:
    """Where a sender is idle, the loop wakes up by the time at which a request may go."""
    if any(not turn.done() for turn in senders._idle):
        wanted = _may_go_at(senders.gate, senders.lanes, now)
        wakes = inf if next_timer is None else next_timer
        assert wanted == inf or wakes <= wanted + LATE_S, f"idle until {wakes}, a request may go at {wanted}"


def _may_go_at(gate: Gate, lanes: Lanes, now: float) -> float:
    """When the next request may go; infinite when only a verdict or an arrival can change it."""
    sendable = any(_stands_first(lanes, lane) for lane in lanes.ready)
    due = inf if (found := lanes.next_due()) is None else found
    wait_s = gate.wait_s(now, ready=bool(lanes.ready))
    if sendable or (due < inf and (gate.probing or wait_s)):
        return now + wait_s
    return due if wait_s == 0.0 else inf


def _stands_first(lanes: Lanes, lane: Lane) -> bool:
    run: Run | None = lane.queue[0].run
    return run is None or lanes._runs[run.account][0] is run


def check_all_is_settled(world: World) -> None:
    """The end: nothing is open, everything is committed, and the destination had its say about every record."""
    assert world.tally.open_events == 0, "not settled though the trouble is over"
    assert len(world.senders.lanes) == 0
    assert [p.watermark for p in world.progress] == [len(log) for log in world.logs]
    records = {(partition, offset) for partition, log in enumerate(world.logs) for offset in range(len(log))}
    assert world.destination.ended == records


async def simulate(seed: int) -> World:
    """Live through one seed's story with all checks on."""
    world = World(seed)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)

    def check(next_timer: float | None) -> None:
        check_every_lane_is_in_exactly_one_place(world.senders.lanes)
        check_runs_count_their_deliveries(world.senders.lanes)
        check_conservation(world.tally, world.progress)
        check_nobody_sleeps_over_work(world.senders, loop.time(), next_timer)
        world.states.add(world.senders.gate.state)

    loop.check_when_quiet(check)
    await world.live()
    check_all_is_settled(world)
    return world


def live_through(seed: int) -> World:
    """Simulate; a failure names the seed."""
    try:
        with capture_logs():
            return run_virtually(simulate(seed))
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_happens_order_holds_nothing_is_lost_and_nobody_sleeps_over_work(first: int) -> None:
    """Each chunk of seeds must have met every kind of trouble, else it proves nothing."""
    worlds = [live_through(seed) for seed in range(first, first + CHUNK)]
    assert set.union(*(world.states for world in worlds)) == set(GateState)
    assert sum(world.letterbox.acknowledged for world in worlds) > 0
    assert sum(world.tally.released for world in worlds) > 0
    assert sum(world.tally.settled.total() for world in worlds) > 100 * CHUNK


def test_a_seed_tells_the_same_story_each_time() -> None:
    """Else a failure could not be looked into."""
    first, second = (live_through(7) for _ in range(2))
    assert first.senders.requests == second.senders.requests
    assert first.tally.settled == second.tally.settled
