"""A world for the engine to live in: partitions that are read, lost and given back, and a Pendo that has its moods.

A seed goes in; out comes a world whose Pendo checks the order of what it is sent and how new it is, and whose
letterbox checks that nothing is given up without cause. It knows the engine's parts, but not how they do it.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import Any, Final, NamedTuple, assert_never

from consumer.delivery.crew import Crew
from consumer.delivery.flood import Flood
from consumer.delivery.gate import GateState
from consumer.delivery.lane import Delivery
from consumer.delivery.lease import TERM_SHARE, Hold, Lease
from consumer.delivery.memory import MAX_AHEAD_MS, Memory
from consumer.delivery.poison import Poison
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket, release
from consumer.errors import UnreachableError
from consumer.kafka.dead_letter import DeadLetter
from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route, State
from consumer.pendo.verdicts import ACCEPTED, OPTED_OUT, Accepted, Later, Locked, OptedOut, Refused, Stall, Verdict
from consumer.worker.pressure import Pressure
from tests.delivery.conftest import Engine, FakeRecord
from tests.delivery.virtual_loop import VirtualLoop

PARTITIONS: Final = 3
POLL: Final = 10
MAX_OPEN: Final = 60
MOST_OPEN: Final = 2 * MAX_OPEN
"""However full it is: a few more may have to be read to find out what is poison."""
SESSION_S: Final = 30.0
SETTLE_S: Final = 3_000.0
"""After the faults have stopped: the longest `Retry-After` and the longest probe delay have long passed by then."""
ARRIVED_MS: Final = 1_000_000
FIELDS: Final = ("email", "name", "plan")

Stamp = tuple[int, int, int]


class Mood(Enum):
    """What the destination's failures look like."""

    LATER = auto()
    THROTTLED = auto()
    LOCKED = auto()
    OUTAGE = auto()
    SLOW = auto()
    MIXED = auto()
    FORBIDDEN = auto()
    POISON = auto()
    FLOOD = auto()


class Spec(NamedTuple):
    """One event in a partition's log.

    Attributes:
        lane: Whose it is.
        account: For a group its account.
        values: What an identify or group says; None for a track.
        at_ms: When it happened; None when it does not say so.
        identity: The same for its repeats; 0 without a messageId.
        poor: Whether Pendo fails on it, or forbids it, when it is in the mood.
    """

    lane: str
    account: str | None
    values: tuple[tuple[str, int], ...] | None
    at_ms: int | None
    identity: int
    poor: bool

    @property
    def key(self) -> str:
        """Whose metadata it writes."""
        return self.lane if self.account is None else f"account:{self.account}"

    def stamp(self, partition: int, offset: int) -> Stamp:
        """How new what it says is."""
        at_ms = ARRIVED_MS if self.at_ms is None else self.at_ms
        return min(at_ms, ARRIVED_MS + MAX_AHEAD_MS), partition, offset


@dataclass(eq=False)
class Arrival:
    """An admitted event.

    Attributes:
        number: Its place in the order of admission.
        delivery: How it travels.
        spec: What it says.
        over: Whether it was accepted or parked.
        locked: How often it was answered with 403.
        tried: How many others had been answered for their own sake at its first attempt.
        last: The last answer to it.
    """

    number: int
    delivery: Delivery
    spec: Spec
    over: bool = False
    locked: int = 0
    tried: int = -1
    last: Verdict | None = None

    @property
    def open(self) -> bool:
        """Whether it stands in the way of what came later."""
        ticket = self.delivery.ticket
        return not self.over and not ticket.released and ticket.open > 0

    @property
    def stamp(self) -> Stamp:
        """How new it is."""
        record = self.delivery.ticket.record
        return self.spec.stamp(record.partition, record.offset)

    @property
    def place(self) -> tuple[int, int]:
        """Where its record lies."""
        record = self.delivery.ticket.record
        return record.partition, record.offset

    def precedes(self, other: "Arrival") -> bool:
        """Whether it must be answered for good before the other may go."""
        return self.number < other.number and self.conflicts(other) and self.open

    def conflicts(self, other: "Arrival") -> bool:
        """Whether the two must never be on the wire together: one lane, or two versions of one account."""
        mine, theirs = self.delivery.request, other.delivery.request
        versions = mine.account is not None and mine.account == theirs.account and mine.state_hash != theirs.state_hash
        return mine.lane == theirs.lane or versions


@dataclass
class Written:
    """A field at Pendo: its value, and the stamp of the event that wrote it."""

    value: int
    stamp: Stamp


@dataclass
class Health:
    """One lane, as Pendo sees it: since when it fails, and how many others it had accepted by then."""

    since: float | None = None
    others: int = 0


class Destination:
    """Pendo in changing moods; it checks the order of what it is sent, and how new that is.

    Attributes:
        faulty: Whether it fails at all.
        arrivals: By number.
        ended: Positions whose event it took, or does not want.
        opted_out: The latter.
        fields: What it has, by visitor or account and field.
        confirmed: The newest stamp it has told us that it has.
        links: Pairs of visitor and account.
        identities: Of events that it took.
    """

    def __init__(self, chance: Random, lease: Lease) -> None:
        self.faulty = True
        self.arrivals: dict[int, Arrival] = {}
        self.ended: set[tuple[int, int]] = set()
        self.opted_out: set[tuple[int, int]] = set()
        self.fields: dict[tuple[str, str], Written] = {}
        self.confirmed: dict[tuple[str, str], Stamp] = {}
        self.links: set[tuple[str, str]] = set()
        self.identities: set[int] = set()
        self.health: dict[str, Health] = {}
        self.accepted = 0
        self.passed = 0
        self.remembers = True
        self._chance = chance
        self._lease = lease
        self._flying: list[Arrival] = []
        self.change_mood()

    def change_mood(self) -> None:
        """From now on other failures, more or fewer of them."""
        self._mood = self._chance.choice([*Mood, Mood.POISON, Mood.POISON, Mood.FORBIDDEN])
        failing = self._chance.choice([0.0, 0.1, 0.6, 1.0])
        self._failing = 1.0 if self._mood is Mood.OUTAGE else failing

    def post(self, body: bytes) -> Awaitable[tuple[Verdict, int]]:
        """One request: it goes now."""
        assert self._lease.allows(now()), f"sent though held by {self._lease.held}"
        saying = json.loads(body)
        arrival = self.arrivals[saying["n"]]
        self._check_order(arrival)
        self._check_newest(arrival, saying["fields"])
        if arrival.tried < 0:
            arrival.tried = self.passed
        self._flying.append(arrival)
        return self._verdict_later(arrival, saying)

    async def _verdict_later(self, arrival: Arrival, saying: dict[str, Any]) -> tuple[Verdict, int]:
        await asyncio.sleep(self._latency_s())
        self._flying.remove(arrival)
        try:
            verdict = self._verdict(arrival)
        except UnreachableError:
            verdict = Later()
            self._fail(arrival, verdict)
            if self._chance.random() < 0.5:
                self._write(arrival, saying["fields"])
            raise
        arrival.last = verdict
        self.passed += not isinstance(verdict, Later | Locked)
        if isinstance(verdict, Accepted):
            self._accept(arrival, saying["fields"])
        elif isinstance(verdict, OptedOut):
            self.ended.add(arrival.place)
            self.opted_out.add(arrival.place)
            arrival.over = True
            self.health.pop(arrival.spec.lane, None)
        elif isinstance(verdict, Later | Locked):
            self._fail(arrival, verdict)
        return verdict, 200 if isinstance(verdict, Accepted) else 500

    def _check_order(self, arrival: Arrival) -> None:
        assert not arrival.delivery.ticket.released, "sent though its partition was given up"
        rivals = [other.number for other in self._flying if other.conflicts(arrival)]
        assert not rivals, f"{arrival.number} goes beside {rivals}"
        older = [other.number for other in self.arrivals.values() if other.precedes(arrival)]
        assert not older, f"{arrival.number} overtakes {older}"

    def _check_newest(self, arrival: Arrival, saying: Collection[str]) -> None:
        for name in saying if self.remembers else ():
            newest = self.confirmed.get((arrival.spec.key, name))
            assert newest is None or newest <= arrival.stamp, f"{arrival.number} overwrites a newer {name}"

    def _accept(self, arrival: Arrival, saying: dict[str, int]) -> None:
        spec = arrival.spec
        self.accepted += 1
        arrival.over = True
        self.ended.add(arrival.place)
        self._write(arrival, saying)
        for name in saying:
            place = spec.key, name
            self.confirmed[place] = max(self.confirmed.get(place, arrival.stamp), arrival.stamp)
        if spec.identity:
            self.identities.add(spec.identity)
        self.health.pop(spec.lane, None)

    def _write(self, arrival: Arrival, saying: dict[str, int]) -> None:
        spec = arrival.spec
        for name, value in saying.items():
            self.fields[spec.key, name] = Written(value, arrival.stamp)
        if spec.account is not None:
            self.links.add((spec.lane, spec.account))

    def _fail(self, arrival: Arrival, verdict: Verdict) -> None:
        arrival.last = verdict
        if isinstance(verdict, Locked):
            arrival.locked += 1
        health = self.health.setdefault(arrival.spec.lane, Health())
        if isinstance(verdict, Later) and health.since is None:
            health.since = now()
            health.others = self.accepted

    def _latency_s(self) -> float:
        slow_s = 9.0 if self.faulty and self._mood is Mood.SLOW else 0.05
        return self._chance.choice([0.001, 0.05, 0.05, 0.3, slow_s])

    def _verdict(self, arrival: Arrival) -> Verdict:
        if not self.faulty:
            return ACCEPTED
        if self._mood is Mood.FORBIDDEN:
            return Locked(Stall.CREDENTIALS) if arrival.spec.poor else ACCEPTED
        if self._mood is Mood.POISON:
            return Later() if arrival.spec.poor else ACCEPTED
        return self._failure() if self._chance.random() < self._failing else ACCEPTED

    def _failure(self) -> Verdict:
        choice = self._chance.choice
        match self._mood:
            case Mood.LATER | Mood.POISON:
                return Later(choice([None, None, 0.001, 3.0, 300.0]))
            case Mood.THROTTLED:
                return Later(choice([None, 0.5, 20.0]), throttled=True)
            case Mood.LOCKED | Mood.FORBIDDEN:
                return Locked(choice(list(Stall)))
            case Mood.OUTAGE:
                raise UnreachableError("timeout", "no answer in time")
            case Mood.FLOOD:
                return Refused(Reason.REFUSED, "Pendo answered 400")
            case Mood.SLOW | Mood.MIXED:
                return self._any_failure()
            case _:
                assert_never(self._mood)

    def _any_failure(self) -> Verdict:
        refused = Refused(Reason.REFUSED, "Pendo answered 400")
        throttled = [Later(after_s, throttled=True) for after_s in (None, 4.0)]
        locked = [Locked(stall) for stall in Stall]
        failures: list[Verdict] = [Later(), Later(2.0), *throttled, *locked, OPTED_OUT, refused]
        return self._chance.choice(failures)


class Letterbox:
    """Takes dead letters if there is cause for them, and tells later that they are safe.

    Attributes:
        reasons: Of those that it took.
        parked: Positions of their records.
    """

    def __init__(self, chance: Random, destination: Destination, poison: tuple[float, int]) -> None:
        self.reasons: Counter[Reason] = Counter()
        self.parked: set[tuple[int, int]] = set()
        self._chance = chance
        self._destination = destination
        self._window_s, self._min_attempts = poison
        self._waiting: list[tuple[DeadLetter, Ticket]] = []

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Take a letter."""
        destination = self._destination
        [arrival] = [a for a in destination.arrivals.values() if a.delivery.ticket is owner]
        health = destination.health.get(arrival.spec.lane, Health())
        self._check(letter, arrival, health)
        arrival.over = True
        self.reasons[letter.reason] += 1
        self.parked.add(arrival.place)
        self._waiting.append((letter, owner))

    def _check(self, letter: DeadLetter, arrival: Arrival, health: Health) -> None:
        destination = self._destination
        passed = destination.accepted - health.others
        match letter.reason:
            case Reason.REFUSED:
                assert isinstance(arrival.last, Refused)
            case Reason.FORBIDDEN:
                assert arrival.locked >= 2, "forbidden at the first 403"
                assert destination.passed > arrival.tried, "forbidden though nothing else passed"
            case Reason.EXHAUSTED:
                assert health.since is not None
                assert now() - health.since >= self._window_s
                assert letter.attempts >= self._min_attempts
                assert passed >= self._min_attempts, "given up though nothing else passed"
            case Reason.BLOCKING:
                assert passed >= self._min_attempts, "given up though nothing else passed"
            case _:
                raise AssertionError(letter.reason)

    async def run(self) -> None:
        """Acknowledge, sooner or later."""
        while True:
            await asyncio.sleep(self._chance.choice([0.1, 10.0]))
            waiting, self._waiting = self._waiting, []
            for letter, owner in waiting:
                owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason)


@dataclass
class Log:
    """One partition: its records, and how far it is read."""

    specs: list[Spec] = field(default_factory=list)
    read: int = 0


class World:
    """Partitions on one side, a destination on the other, the engine between them.

    Attributes:
        states: Which the gate went through, as far as somebody looked.
        seen: What else happened.
    """

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)
        self.tally = Tally()
        self.logs = [Log() for _ in range(PARTITIONS)]
        self.progress = [Progress("t", partition, 0) for partition in range(PARTITIONS)]
        self.lease = Lease(SESSION_S)
        self.destination = self._destination_of(chance)
        self.ids, self.message_ids = chance.choice([(0, 0), (3, 5), (1_000, 1_000), (1_000, 1_000)])
        self.destination.remembers = self.ids == 1_000  # all that there are
        self.memory = Memory(
            ids=self.ids, message_ids=self.message_ids, suppress_unchanged=chance.choice([True, False])
        )
        poison = chance.choice([(2.0, 2), (5.0, 2), (30.0, 3), (900.0, 5)])
        self.letterbox = self._letterbox_of(poison)
        self.states: set[GateState] = set()
        self.seen: Counter[str] = Counter()
        self.max_lane = chance.choice([2, 3, 6, 1_000])
        self.pressure = Pressure(MAX_OPEN)
        self.limit = chance.choice([1, 2, 8, 32])
        engine = Engine(
            limit=self.limit,
            random=chance.random,
            max_delay_s=chance.choice([1, 5, 60]),
            lease=self.lease,
            flood=Flood(0.5, chance.choice([10, 40])),
            memory=self.memory,
            poison=Poison(*poison),
            max_lane=self.max_lane,
            quota=chance.choice([None, None, None, 5.0]),
        )
        self.senders = self._crew_of(engine)
        self._visitors = [f"visitor:{number}" for number in range(chance.choice([1, 3, 12, 40]))]
        self._admitted = 0

    def _destination_of(self, chance: Random) -> Destination:
        return Destination(chance, self.lease)

    def _letterbox_of(self, poison: tuple[float, int]) -> Letterbox:
        return Letterbox(self.chance, self.destination, poison)

    def _crew_of(self, engine: Engine) -> Crew[Any, Any]:
        return engine.senders(self.destination.post, self.letterbox)

    def produce(self) -> None:
        """A few events arrive."""
        for _ in range(self.chance.randint(1, 10)):
            log = self.chance.choice(self.logs)
            repeat = log.specs and self.chance.random() < 0.15
            log.specs.append(self.chance.choice(log.specs) if repeat else self._spec())

    def _spec(self) -> Spec:
        chance = self.chance
        number = chance.randrange(len(self._visitors))
        account = chance.choice([None, None, "a", "b"])
        says = account is not None or chance.random() < 0.5
        values = tuple((name, chance.randint(1, 2)) for name in FIELDS if chance.random() < 0.6) if says else None
        at_ms = chance.choice([None, ARRIVED_MS - chance.randint(0, 99), ARRIVED_MS + 2 * MAX_AHEAD_MS])
        identity = chance.choice([0, chance.getrandbits(60)])
        poor = number == 0 or chance.random() < 0.02
        return Spec(self._visitors[number], account, values, at_ms, identity, poor)

    def read(self) -> None:
        """One poll: the partitions that need not wait are read on; those that must are relieved."""
        owned = {Partition("t", p.partition): p for p in self.progress}
        waiting = self.pressure.waiting(owned, full=False)
        for partition in owned:
            if partition not in waiting:
                self._read_on(partition.partition)
        if waiting and self.senders.relieve() and self.tally.open_events < MOST_OPEN - POLL:
            self.seen["trickled"] += 1
            self._read_on(self.chance.choice(sorted(waiting)).partition)

    def _read_on(self, partition: int) -> None:
        log = self.logs[partition]
        for offset in range(log.read, min(log.read + POLL, len(log.specs))):
            self._admit(partition, offset)

    def _admit(self, partition: int, offset: int) -> None:
        self.logs[partition].read = offset + 1
        record = FakeRecord(partition=partition, offset=offset, timestamp=ARRIVED_MS)
        ticket = Ticket(record, self.progress[partition], self.tally, 2 * ARRIVED_MS)
        if not self.progress[partition].start(offset, ticket):
            return
        ticket.admit(1)
        self.tally.received[EventType.TRACK] += 1
        self._admitted += 1
        spec = self.logs[partition].specs[offset]
        request = self._request_of(spec, self._admitted)
        ticket.count_body(request.body)
        delivery = Delivery(request, ticket, EventType.TRACK, None, None)
        self.destination.arrivals[self._admitted] = Arrival(self._admitted, delivery, spec)
        self.senders.add(delivery)

    def _request_of(self, spec: Spec, number: int) -> Request:
        return _request(spec, number)

    async def rebalance(self) -> None:
        """Nothing is sent until it is known whose each partition is; then it goes on, or is read from its commit."""
        self.lease.held.add(Hold.REBALANCE)
        deadline = now() + self.chance.choice([0, 0.1, 2])
        while now() < deadline and self.senders.gate.in_flight:
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.chance.choice([0, 0.05, 20]))
        for partition in range(PARTITIONS):
            if self.chance.random() < 0.5:
                self._begin_epoch(partition)
            else:
                self.seen["kept"] += self.progress[partition].open_records_count
        self.lease.held.discard(Hold.REBALANCE)
        self.senders.wake()

    def _begin_epoch(self, partition: int) -> None:
        old = self.progress[partition]
        watermark, finished = old.watermark, OffsetMap(b"a-writer", 0, tuple(old.runs()))
        assert watermark is not None
        release(old, self.tally)
        self.senders.drop_released()
        self.progress[partition] = Progress.restored("t", partition, watermark, finished)
        self.logs[partition].read = watermark
        if self.senders.gate.flood.active or self.chance.random() < 0.1:
            self.senders.begin_flood()

    def stand_still(self) -> None:
        """The process is stopped and goes on: what it does first, it does without knowing."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.jump(self.chance.choice([5, 40]))

    async def pulse(self) -> None:
        """Tick the lease, and get it back by a commit that takes its time."""
        while True:
            await asyncio.sleep(1)
            self.seen["asleep"] += self.lease.tick(now())
            if Hold.ASLEEP in self.lease.held:
                began = now()
                await asyncio.sleep(self.chance.choice([0.1, 2, TERM_SHARE * SESSION_S + 1]))
                if self.lease.confirm(began, now()):
                    self.senders.wake()

    async def happen(self) -> None:
        """One random event, and perhaps some time."""
        await self._happen(self.chance.random())
        self.read()
        if self.chance.random() < 0.7:
            await asyncio.sleep(self.chance.choice([0, 0.001, 0.05, 1, 15]))

    async def _happen(self, dice: float) -> None:
        quick: list[tuple[float, Callable[[], None]]] = [
            (0.55, self.produce),
            (0.65, self.destination.change_mood),
            (0.68, self._pause_or_free),
            (0.71, self.senders.probe_now),
            (0.73, self.stand_still),
        ]
        for below, act in quick:
            if dice < below:
                act()
                return
        if dice < 0.78:
            await self.rebalance()

    def _pause_or_free(self) -> None:
        if self.chance.random() < 0.5:
            self.lease.held.add(Hold.PAUSED)
        else:
            self._free()

    def _free(self) -> None:
        self.lease.held.discard(Hold.PAUSED)
        self.senders.wake()

    async def settle(self) -> None:
        """The trouble is over: all that is open comes to its end."""
        self.destination.faulty = False
        self._free()
        deadline = now() + SETTLE_S
        while self._unsettled() and now() < deadline:
            self.read()
            await asyncio.sleep(10)

    def _unsettled(self) -> bool:
        unread = any(log.read < len(log.specs) for log in self.logs)
        return unread or self.tally.open_events > 0

    async def live(self) -> None:
        """The whole story."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(task) for task in (self.senders.run(), self.letterbox.run(), self.pulse())]
            for _ in range(self.chance.choice([20, 80])):
                await self.happen()
            await self.settle()
            for task in running:
                task.cancel()


def _request(spec: Spec, number: int) -> Request:
    fields = dict(spec.values or ())
    body = json.dumps({"n": number, "fields": fields}).encode()
    state = None
    if spec.values is not None:
        state = State(spec.key, spec.at_ms, tuple(fields), tuple(map(hash, fields.values())), _strip)
    state_hash = hash(spec.values) if spec.account else 0
    return Request(Route.SEGMENTIO, spec.lane, body, spec.account, state_hash, spec.identity, state)


def _strip(body: bytes, gone: Collection[str]) -> bytes:
    saying = json.loads(body)
    saying["fields"] = {name: value for name, value in saying["fields"].items() if name not in gone}
    return json.dumps(saying).encode()


def now() -> float:
    return asyncio.get_running_loop().time()
