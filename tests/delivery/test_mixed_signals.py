"""Mixed signals: Pendo, or some of the events, fail in ways that are neither an outage nor a single bad event.

Each story runs the real engine of one route, with pressure as the worker has it, through minutes to hours of virtual
time; the destination and the letterbox are made up. What is asserted are the promises, not how they are kept.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from structlog.testing import capture_logs

from consumer.delivery.gate import GateState
from consumer.delivery.lane import Delivery
from consumer.delivery.memory import Memory
from consumer.errors import UnreachableError
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import ACCEPTED, Later, Locked, Stall, Verdict, verdict_of
from consumer.worker.pressure import Pressure
from tests.delivery.conftest import Bench, Box, Engine
from tests.delivery.virtual_loop import run_virtually

MAX_OPEN: Final = 10_000
LATENCY_S: Final = 0.05
TICK_S: Final = 0.1
TRICKLE: Final = 50
"""Records of a partition that must wait which are read all the same, to find out what is poison."""
FORBIDDEN: Final = Locked(Stall.CREDENTIALS)


class Event(NamedTuple):
    """One event of the log."""

    lane: str
    account: str | None = None
    state: int = 0
    identity: int = 0


class Story:
    """One partition that is read as fast as the engine takes it, and a Pendo that answers as it is told.

    Attributes:
        now: Virtual seconds since the beginning.
        bench: What became of the events.
        box: Dead letters.
        accepted: By lane.
        posts: Requests by lane.
        states: Which the gate was seen in.
        doubts: Ticks at which it was in doubt.
        at_once: The most requests at once that there were.
        most_open: The most events that were open.
    """

    def __init__(self, answer: Callable[["Story", str], Verdict], *, memory: Memory | None = None) -> None:
        self.chance = Random(5)
        self.bench = Bench()
        self.box = Box()
        self.accepted: Counter[str] = Counter()
        self.posts: Counter[str] = Counter()
        self.states: set[GateState] = set()
        self.doubts = 0
        self.most_open = 0
        self.at_once = 0
        self._answer = answer
        self._running: asyncio.Task[None] | None = None
        self._pressure = Pressure(MAX_OPEN)
        self._began = asyncio.get_running_loop().time()
        engine = Engine(random=self.chance.random, max_lane=self._pressure.max_lane)
        if memory is not None:
            engine.memory = memory
        self.senders = engine.senders(self.post, self.box)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return asyncio.get_running_loop().time() - self._began

    @property
    def progress(self) -> Progress:
        """Of the one partition."""
        return self.bench.progress

    async def post(self, body: bytes) -> tuple[Verdict, int]:
        """One request."""
        lane = body.decode()
        self.posts[lane] += 1
        self.at_once = max(self.at_once, self.senders.gate.in_flight)
        await asyncio.sleep(LATENCY_S * (0.5 + self.chance.random()))
        verdict = self._answer(self, lane)
        if verdict is ACCEPTED:
            self.accepted[lane] += 1
        return verdict, 200 if verdict is ACCEPTED else 500

    async def read(self, events: Iterator[Event], for_s: float, *, rate: float = 0.0) -> None:
        """Read and deliver for so long, at most so many a second; 0 is as fast as it goes."""
        if self._running is None:
            # Once: a request that is cancelled would count as in flight for ever.
            self._running = asyncio.create_task(self.senders.run())
        until = self.now + for_s
        due = 0.0
        while self.now < until and not self._running.done():
            due += rate * TICK_S if rate else MAX_OPEN
            due -= self._poll(events, int(due))
            self._look()
            await asyncio.sleep(TICK_S)

    async def settle(self, for_s: float) -> None:
        """Deliver what is open, and read no more."""
        await self.read(iter(()), for_s)

    def _poll(self, events: Iterator[Event], wanted: int) -> int:
        waits = self._pressure.waiting({Partition("t", 0): self.progress}, full=False)
        if waits:
            wanted = TRICKLE if self.senders.relieve() else 0
        room = min(wanted, int(1.1 * MAX_OPEN) - self.bench.tally.open_events)
        read = 0
        for _, event in zip(range(room), events, strict=False):
            self._admit(event)
            read += 1
        return read

    def _admit(self, event: Event) -> None:
        body = event.lane.encode()
        request = Request(Route.SEGMENTIO, f"visitor:{event.lane}", body, event.account, event.state, event.identity)
        self.senders.add(Delivery(request, self.bench.ticket(), EventType.TRACK, None, None))

    def _look(self) -> None:
        self.states.add(self.senders.gate.state)
        self.doubts += self.senders.gate.doubt.active
        self.most_open = max(self.most_open, self.bench.tally.open_events)

    def settled(self, outcome: Outcome) -> int:
        """Events with this outcome."""
        return sum(n for (_, o, _), n in self.bench.tally.settled.items() if o is outcome)

    def reasons(self) -> Counter[Reason]:
        """Of the dead letters."""
        return Counter(letter.reason for letter in self.box.letters)


def crowd(chance: Random, visitors: int) -> Iterator[Event]:
    """Events of so many visitors, without an end."""
    while True:
        yield Event(f"v{chance.randrange(visitors)}")


def healthy(_story: Story, _lane: str) -> Verdict:
    """All is well."""
    return ACCEPTED


async def throughput(answer: Callable[[Story, str], Verdict], limit: int) -> tuple[float, Story]:
    """Events a second of a backlog, with at most so many requests at once."""
    story = Story(answer)
    story.senders.gate.limit.maximum = limit
    story.senders.gate.limit.value = min(limit, story.senders.gate.limit.value)
    for_s = 40.0
    await story.read(crowd(Random(1), 5_000), for_s)
    return story.accepted.total() / for_s, story


def mostly_failing(story: Story, _lane: str) -> Verdict:
    """Six of ten requests fail, whosever they are."""
    return Later() if story.chance.random() < 0.6 else ACCEPTED


def test_sixty_percent_random_failures_slow_it_down_and_cost_no_event() -> None:
    """No lane is poison, no partition stops; each event takes two and a half requests, at the limit the gate allows."""
    with capture_logs():
        failing_s, story = run_virtually(throughput(mostly_failing, 256))
        healthy_s, _ = run_virtually(throughput(healthy, story.senders.gate.limit.value))
    assert not story.box.letters
    assert story.states == {GateState.OPEN}
    assert failing_s >= 0.35 * healthy_s


async def bot(*, failing: bool) -> Story:
    """Thirty events in a hundred are one visitor's, who fails always, or is just very busy."""
    story = Story(lambda _, lane: Later() if failing and lane == "bot" else ACCEPTED)
    chance = Random(2)

    def events() -> Iterator[Event]:
        for event in crowd(chance, 2_000):
            yield Event("bot") if chance.random() < 0.3 else event

    await story.read(events(), for_s=900, rate=40)
    return story


def test_a_failing_bot_with_a_third_of_the_traffic_costs_the_others_nothing() -> None:
    """Its events are given up, for they stand in the way of everybody else's; nobody else's are."""
    with capture_logs():
        story = run_virtually(bot(failing=True))
    others = story.accepted.total()
    assert others >= 0.95 * 900 * 40 * 0.7
    assert set(story.reasons()) <= {Reason.BLOCKING, Reason.EXHAUSTED}
    assert {letter.lane for letter in story.box.letters} == {"visitor:bot"}
    assert story.states == {GateState.OPEN}


def test_a_busy_healthy_lane_is_never_given_up() -> None:
    """Not even when its events come faster than they can go, one by one."""
    with capture_logs():
        story = run_virtually(hot_lane())
    assert not story.box.letters
    assert story.accepted["hot"] > 500


async def hot_lane() -> Story:
    """Two of three events are one visitor's, of whose requests some fail."""
    story = Story(lambda story, lane: Later() if lane == "hot" and story.chance.random() < 0.05 else ACCEPTED)
    chance = Random(2)

    def events() -> Iterator[Event]:
        for event in crowd(chance, 2_000):
            yield Event("hot") if chance.random() < 0.66 else event

    await story.read(events(), for_s=200)
    return story


async def ten_bad_visitors() -> tuple[Story, list[int]]:
    """Each has one event in a thousand; all of theirs fail, always."""
    bad = {f"bad{number}" for number in range(10)}
    story = Story(lambda _, lane: Later() if lane in bad else ACCEPTED)
    chance = Random(3)

    def events() -> Iterator[Event]:
        for event in crowd(chance, 2_000):
            yield Event(f"bad{chance.randrange(10)}") if chance.random() < 0.01 else event

    stream = events()
    passed = []
    for _ in range(40):
        before = story.accepted.total()
        await story.read(stream, for_s=30, rate=50)
        passed.append(story.accepted.total() - before)
    return story, passed


def test_ten_bad_visitors_never_stop_a_partition() -> None:
    """In every half minute the others are delivered; nobody but the ten loses an event."""
    with capture_logs():
        story, passed = run_virtually(ten_bad_visitors())
    assert min(passed) >= 0.9 * 30 * 50
    assert {str(letter.lane)[:11] for letter in story.box.letters} == {"visitor:bad"}
    assert story.states == {GateState.OPEN}


async def a_day_with(answer: Callable[[Story, str], Verdict], for_s: float, settle_s: float) -> Story:
    """Five events a second, then time to settle."""
    story = Story(answer)
    await story.read(crowd(Random(4), 300), for_s, rate=5)
    await story.settle(settle_s)
    return story


def test_one_forbidden_event_among_good_ones_is_dead_lettered_without_a_stall() -> None:
    """The others go on; the route never stalls."""
    with capture_logs():
        story = run_virtually(a_day_with(lambda _, lane: FORBIDDEN if lane == "v7" else ACCEPTED, 600, 120))
    assert set(story.reasons()) == {Reason.FORBIDDEN}
    assert {letter.lane for letter in story.box.letters} == {"visitor:v7"}
    assert story.states == {GateState.OPEN}
    assert story.bench.tally.open_events == 0


def _always(verdict: Verdict) -> Callable[[Story, str], Verdict]:
    return lambda _story, _lane: verdict


def test_a_redirect_or_a_page_stalls_and_counts_as_nothing() -> None:
    """A captive portal answers 200 to anything."""
    for status, headers, body in ((302, {"Location": "/login"}, b""), (200, {"Content-Type": "text/html"}, b"<html>")):
        verdict = verdict_of(status, headers, body)
        with capture_logs():
            story = run_virtually(a_day_with(_always(verdict), 60, 10))
        assert story.senders.gate.state is GateState.STALLED
        assert not story.bench.tally.settled
        assert story.posts.total() < 60


def test_a_wrong_key_dead_letters_nothing_and_heals_when_it_is_mended() -> None:
    """Events wait in Kafka and in the lanes; probes are few."""
    with capture_logs():
        story = run_virtually(a_day_with(lambda s, _: FORBIDDEN if 60 < s.now < 1_860 else ACCEPTED, 1_900, 600))
    assert GateState.STALLED in story.states
    assert not story.box.letters
    assert story.bench.tally.open_events == 0


def test_a_key_that_fails_time_and_again_dead_letters_next_to_nothing() -> None:
    """What met the first failure and not yet a good key again is no proof against the event."""
    with capture_logs():
        story = run_virtually(a_day_with(lambda s, _: FORBIDDEN if s.now % 30 > 15 else ACCEPTED, 600, 1_200))
    assert GateState.STALLED in story.states
    assert len(story.box.letters) <= 5
    assert story.bench.tally.open_events == 0


def no_answer(story: Story, _lane: str) -> Verdict:
    """An hour's outage, after a minute."""
    if 60 < story.now < 3_660:
        raise UnreachableError("connection", "refused")
    return ACCEPTED


def test_an_hours_outage_costs_no_event_and_heals_by_itself() -> None:
    """Nothing is given up, though every head has failed and the buffer is full; it is bounded."""
    with capture_logs():
        story = run_virtually(a_day_with(no_answer, 3_700, 600))
    assert not story.box.letters
    assert GateState.CIRCUIT in story.states
    assert story.senders.gate.state is GateState.OPEN
    assert story.bench.tally.open_events == 0
    assert story.most_open <= 1.1 * MAX_OPEN


async def page_loads() -> Story:
    """Every event is a group; accounts by Zipf's law, and seldom other traits than before."""
    story = Story(healthy)
    chance = Random(6)
    accounts = [f"a{number}" for number in range(500)]
    weights = list(accumulate(1 / (rank + 1) ** 1.1 for rank in range(500)))
    version = Counter[str]()

    def events() -> Iterator[Event]:
        while True:
            [account] = chance.choices(accounts, cum_weights=weights)
            version[account] += chance.random() < 0.001
            yield Event(f"v{chance.randrange(20_000)}", account, version[account])

    await story.read(events(), for_s=15)
    return story


def test_no_account_becomes_a_serial_queue() -> None:
    """The largest has a seventh of the traffic; one after another, its groups alone would allow 140 a second."""
    with capture_logs():
        story = run_virtually(page_loads())
    assert story.accepted.total() / 15 >= 1_000


async def twenty_thousand_repeats() -> tuple[int, Story]:
    """Of one event that was delivered; how often the loop gets its turn while they are gone through."""
    story = Story(healthy, memory=Memory(ids=10, message_ids=10, suppress_unchanged=False))
    await story.read(iter([Event("v", identity=1)]), for_s=1)
    running = asyncio.create_task(story.senders.run())
    for number in range(20_000):
        story._admit(Event(f"v{number % 50}", identity=1))
    turns = 0
    while story.bench.tally.open_events and turns < 10_000:
        turns += 1
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    return turns, story


def test_repeats_by_the_ten_thousand_leave_the_loop_its_turns() -> None:
    """Heartbeats share the loop; none of the repeats is sent."""
    turns, story = run_virtually(twenty_thousand_repeats())
    assert story.posts.total() == 1
    assert story.settled(Outcome.SUPPRESSED) == 20_000
    assert turns >= 50
