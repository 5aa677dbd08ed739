"""The gate against destinations of every kind, on a virtual clock: what it lets through, and what it spares them.

Each world is a small loop of discrete events over one route's real gate, lanes and consequences; only time and Pendo
are made up. Every bound that is asserted says where it comes from.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import pairwise
from math import inf
from random import Random
from typing import Final, NamedTuple

import pytest

from consumer.delivery import circuit
from consumer.delivery.bucket import Bucket
from consumer.delivery.consequences import Consequences
from consumer.delivery.flood import ROUND, Flood
from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.lease import Lease
from consumer.delivery.limit import FLOOR, Limit
from consumer.delivery.memory import FACT, Memory
from consumer.delivery.poison import Poison
from consumer.delivery.retry import Backoff
from consumer.delivery.schedule import MIN_PROBE_DELAY_S
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import DeadLetter
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import ACCEPTED, NO_ANSWER, Later, Refused, Verdict
from tests.delivery.conftest import Bench

MAXIMUM: Final = 128
"""`delivery.max_concurrency` as it is shipped; likewise the other settings."""
MAX_DELAY_S: Final = 60.0
MIN_EVENTS: Final = 200
SHARE: Final = 0.5
TIMEOUT_S: Final = 10.0
LATENCY_S: Final = 0.1
REFUSED: Final = Refused(Reason.REFUSED, "Pendo answered 400")
RESOLUTION_S: Final = 0.001
"""A timer fires a little late."""

Answer = tuple[float, Verdict]
"""How long it takes, and what it is."""


class Asked(NamedTuple):
    """What Pendo sees of a request when it arrives.

    Attributes:
        now: The virtual time.
        in_flight: Requests on the wire, this one included.
        attempt: Which of this event it is, counted from 1.
        number: Of the event.
    """

    now: float
    in_flight: int
    attempt: int
    number: int


Pendo = Callable[[Asked], Answer]


class Figures(NamedTuple):
    """What a stretch of time brought.

    Attributes:
        mean_in_flight: Over the time.
        max_in_flight: At any moment.
        accepted_s: Events accepted a second.
        asked_s: Requests a second.
        failed_share: Of the answers.
        round_trip_s: The mean of the answers.
    """

    mean_in_flight: float
    max_in_flight: int
    accepted_s: float
    asked_s: float
    failed_share: float
    round_trip_s: float


class World:
    """One route, a backlog that never ends, and Pendo.

    Attributes:
        pendo: How it answers from now on.
        gate: The real one.
        lanes: Likewise.
        letters: Dead letters so far.
        began: When each request went.
        now: The virtual time.
    """

    def __init__(self, pendo: Pendo, *, quota: float | None = None, visitors: int = 2_000) -> None:
        chance = Random(1)
        self.pendo = pendo
        self.gate = Gate(
            limit=Limit(MAXIMUM),
            lease=Lease(10),
            flood=Flood(SHARE, MIN_EVENTS),
            bucket=Bucket(quota),
            max_probe_delay_s=MAX_DELAY_S,
            random=chance.random,
        )
        self.lanes = Lanes(max_length=1_000)
        self.letters: list[DeadLetter] = []
        self.began: list[float] = []
        self.now = 1_000.0
        self._backoff = Backoff(MAX_DELAY_S, chance.random)
        self._consequences = Consequences(
            Route.SEGMENTIO,
            gate=self.gate,
            lanes=self.lanes,
            memory=Memory(ids=0, message_ids=0, suppress_unchanged=False),
            backoff=self._backoff,
            poison=Poison(900, 5),
            letters=self,
        )
        self._bench = Bench()
        self._visitors = visitors
        self._events = 0
        self._wire: list[tuple[float, int, float, Lane, Verdict]] = []
        self._max_in_flight = 0
        self._clear()

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Take a dead letter."""
        self.letters.append(letter)
        owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason)

    def run(self, for_s: float) -> Figures:
        """Let time pass; returns what it brought."""
        self._clear()
        until = self.now + for_s
        while True:
            self._fill()
            due = min(self._start_requests(), self._wire[0][0] if self._wire else inf, until)
            self._in_flight_s += self.gate.in_flight * (due - self.now)
            self.now = due
            if due == until:
                return self._figures(for_s)
            while self._wire and self._wire[0][0] <= due:
                self._answer()

    def _fill(self) -> None:
        while len(self.lanes) < self._visitors:
            self._events += 1
            request = Request(Route.SEGMENTIO, f"visitor:{self._events}", b"{}")
            self.lanes.add(Delivery(request, self._bench.ticket(), EventType.TRACK, None, str(self._events)))

    def _start_requests(self) -> float:
        """As senders do; returns when to look again, if nothing happens before."""
        gate, lanes = self.gate, self.lanes
        while True:
            lanes.wake_due(self.now)
            wait_s = gate.wait_s(self.now, ready=bool(lanes.ready))
            next_due = lanes.next_due() or inf
            if wait_s:
                return inf if wait_s == inf else min(self.now + wait_s, next_due) + RESOLUTION_S
            lane = lanes.take_probe(gate.chance) if gate.probing else lanes.take()
            if lane is None:
                return next_due + RESOLUTION_S
            self._send(lane)

    def _send(self, lane: Lane) -> None:
        gate = self.gate
        gate.begin(self.now)
        self.began.append(self.now)
        self._max_in_flight = max(self._max_in_flight, gate.in_flight)
        delivery = lane.queue[0]
        attempt = 1 if delivery.trouble is None else delivery.trouble.attempts + 1
        number = int(delivery.message_id or 0)
        took_s, verdict = self.pendo(Asked(self.now, gate.in_flight, attempt, number))
        if took_s >= TIMEOUT_S:
            took_s, verdict = TIMEOUT_S, NO_ANSWER
        heappush(self._wire, (self.now + took_s, len(self.began), self.now, lane, verdict))

    def _answer(self) -> None:
        _, _, began, lane, verdict = heappop(self._wire)
        self._answers += 1
        self._accepted += verdict is ACCEPTED
        self._failed += isinstance(verdict, Later)
        self._took_s += self.now - began
        request = lane.queue[0].request
        self._consequences.draw(lane, request, FACT, verdict, 200, began, self.now)

    def _clear(self) -> None:
        self._answers = self._accepted = self._failed = self._max_in_flight = 0
        self._in_flight_s = self._took_s = 0.0
        self.began.clear()

    def _figures(self, for_s: float) -> Figures:
        answers = max(self._answers, 1)
        return Figures(
            self._in_flight_s / for_s,
            self._max_in_flight,
            self._accepted / for_s,
            len(self.began) / for_s,
            self._failed / answers,
            self._took_s / answers,
        )


def _always(took_s: float, verdict: Verdict = ACCEPTED) -> Pendo:
    return lambda _: (took_s, verdict)


def _least_gap_s(times: list[float]) -> float:
    return min(later - earlier for earlier, later in pairwise(times))


# ── what the limit finds out ──


def test_a_constant_destination_is_used_to_the_full() -> None:
    """After ten round trips all that is allowed is in flight, and stays so: Little's law gives the rate."""
    world = World(_always(LATENCY_S))
    world.run(1.0)
    figures = world.run(10)
    assert figures.mean_in_flight >= 0.99 * MAXIMUM
    assert figures.max_in_flight == MAXIMUM
    assert figures.accepted_s >= 0.99 * MAXIMUM / LATENCY_S
    assert figures.round_trip_s == pytest.approx(LATENCY_S)


def test_a_slow_destination_keeps_its_pace() -> None:
    """One that works off a hundred a second, one after another: more at once only wait longer, within the maximum."""
    world = World(lambda asked: (asked.in_flight / 100, ACCEPTED))
    world.run(20)
    figures = world.run(20)
    assert figures.accepted_s == pytest.approx(100, rel=0.02)
    assert figures.max_in_flight <= MAXIMUM
    assert figures.round_trip_s <= MAXIMUM / 100 + RESOLUTION_S


def test_a_jittery_destination_is_no_failing_one() -> None:
    """Median 50 ms, 99 % within half a second: nothing failed, so nothing is held back."""
    chance = Random(2)
    world = World(lambda _: (chance.lognormvariate(-3.0, 0.99), ACCEPTED))
    world.run(10)
    figures = world.run(20)
    assert figures.mean_in_flight >= 0.99 * MAXIMUM
    assert figures.accepted_s >= 0.95 * MAXIMUM / figures.round_trip_s


def test_a_destination_that_breaks_down_at_a_knee_recovers() -> None:
    """From 40 at once on each one more slows all down by a tenth: at 89 nothing is answered in time.

    The first start runs into it, and everything fails. The second, after the circuit, stops doubling at half of that,
    and finds the highest concurrency at which it is still answered: 88 or 89.
    """
    world = World(lambda asked: (LATENCY_S * 1.1 ** max(0, asked.in_flight - 40), ACCEPTED))
    first = world.run(60)
    assert first.max_in_flight == MAXIMUM
    assert first.failed_share > 0.1
    figures = world.run(300)
    assert figures.max_in_flight <= 95
    assert figures.failed_share <= 0.1
    assert figures.round_trip_s < TIMEOUT_S
    assert figures.accepted_s >= 0.9 * figures.mean_in_flight / TIMEOUT_S


@pytest.mark.parametrize("failure", [NO_ANSWER, Later(None, throttled=True)])
def test_what_is_deferred_at_high_concurrency_sets_the_limit(failure: Later) -> None:
    """A destination that takes fifty at once gets about fifty: at most a tenth of a window fails before it falls."""
    world = World(lambda asked: (LATENCY_S, ACCEPTED if asked.in_flight <= 50 else failure))
    world.run(30)
    figures = world.run(60)
    assert 0.9 * 50 <= figures.mean_in_flight <= 50 / 0.9
    assert figures.max_in_flight <= 50 / 0.9 + 2
    assert figures.failed_share <= 0.1
    assert figures.accepted_s >= 0.9 * 50 / LATENCY_S


class Metered:
    """It takes so many a second; whoever comes beyond is told to wait a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._at = 1_000.0

    def __call__(self, asked: Asked) -> Answer:
        """One request."""
        self._tokens = min(self._tokens + (asked.now - self._at) * self._rate, self._rate)
        self._at = asked.now
        if self._tokens < 1:
            return LATENCY_S / 5, Later(1.0, throttled=True)
        self._tokens -= 1
        return LATENCY_S, ACCEPTED


def test_a_rate_limit_with_a_retry_after_is_used_up_and_hardly_overrun() -> None:
    """Two lanes' 429 close the route for that second; so few are asked in vain, and few acceptances are missed."""
    world = World(Metered(100))
    world.run(30)
    figures = world.run(60)
    assert figures.accepted_s >= 0.9 * 100
    assert figures.asked_s <= 1.1 * 100
    assert world.gate.state is GateState.OPEN


@pytest.mark.parametrize("failure", [NO_ANSWER, Later(None, throttled=True)])
def test_what_is_deferred_and_then_succeeds_gets_through(failure: Later) -> None:
    """Each event fails once: half of all answers. The floor's eight stay busy, and every other request is accepted."""
    world = World(lambda asked: (LATENCY_S, ACCEPTED if asked.attempt > 1 else failure), visitors=200)
    world.run(30)
    figures = world.run(60)
    assert figures.mean_in_flight >= 0.95 * FLOOR
    assert figures.accepted_s >= 0.95 * FLOOR / LATENCY_S / 2
    assert world.letters == []


def test_a_few_dropped_requests_do_not_hold_up_the_rest() -> None:
    """Two in a hundred are never answered. That is below what lowers the limit: they only fill a part of it."""
    chance = Random(3)
    world = World(lambda _: (LATENCY_S if chance.random() > 0.02 else inf, ACCEPTED))
    world.run(60)
    figures = world.run(120)
    assert figures.mean_in_flight >= 0.95 * MAXIMUM
    assert figures.accepted_s >= 0.9 * MAXIMUM / (0.98 * LATENCY_S + 0.02 * TIMEOUT_S)
    assert world.gate.state is GateState.OPEN


def test_the_floor_stays_busy_when_most_answers_are_500() -> None:
    """Sixty in a hundred at random, for twenty minutes: no outage, no dead letter, and eight at once all the time."""
    chance = Random(4)
    world = World(lambda _: (LATENCY_S, ACCEPTED if chance.random() > 0.6 else NO_ANSWER))
    world.run(60)
    figures = world.run(1_200)
    assert figures.max_in_flight <= FLOOR + 2
    assert figures.mean_in_flight >= 0.99 * FLOOR
    assert figures.accepted_s >= 0.95 * 0.4 * FLOOR / LATENCY_S
    assert (world.gate.state, world.letters) == (GateState.OPEN, [])


@pytest.mark.parametrize("quota", [3, 30, 300])
def test_a_quota_is_kept_over_any_ten_seconds_and_used_up(quota: int) -> None:
    """Within a tenth, whatever the latency would allow."""
    world = World(_always(LATENCY_S / 2), quota=quota)
    world.run(5)
    world.run(60)
    began = world.began
    starts = range(0, len(began), max(1, quota // 10))
    within = [sum(1 for time in began[i : i + 12 * quota] if time < began[i] + 10) for i in starts]
    whole = [number for i, number in zip(starts, within, strict=True) if began[i] + 10 <= world.now]
    assert max(within) <= 1.1 * 10 * quota
    assert min(whole) >= 0.9 * 10 * quota


# ── outage ──


def _outage(failure: Answer, visitors: int) -> World:
    """Ten seconds of peace, then an hour's outage, in which nothing is given up; `began` is that hour's."""
    world = World(_always(LATENCY_S), visitors=visitors)
    world.run(10)
    world.pendo = lambda _: failure
    world.run(2 * TIMEOUT_S + circuit.AFTER_S)
    assert world.gate.state is GateState.CIRCUIT
    world.run(3_600)
    assert (world.gate.state, world.letters) == (GateState.CIRCUIT, [])
    assert _least_gap_s(world.began) >= MIN_PROBE_DELAY_S
    return world


@pytest.mark.parametrize("failure", [(0.001, NO_ANSWER), (inf, NO_ANSWER)])
@pytest.mark.parametrize("visitors", [5, 2_000])
def test_an_hours_outage_costs_a_probe_a_second_at_most(failure: Answer, visitors: int) -> None:
    """One at a time: none before the last has timed out. And nobody's retry clock runs, so no event is given up."""
    world = _outage(failure, visitors)
    assert len(world.began) <= 3_600 / max(MIN_PROBE_DELAY_S, min(failure[0], TIMEOUT_S)) + 1


def test_heads_that_have_all_failed_are_probed_ever_more_seldom() -> None:
    """A lonely visitor's event is tried about once a minute."""
    world = _outage((0.001, NO_ANSWER), visitors=1)
    assert 3_600 / MAX_DELAY_S - 1 <= len(world.began) <= 3_600 / (MAX_DELAY_S / 2) * 1.5


@pytest.mark.parametrize("failure", [(0.001, NO_ANSWER), (inf, NO_ANSWER)])
def test_after_an_outage_half_is_back_in_seconds_and_all_in_a_minute(failure: Answer) -> None:
    """A probe finds out, after a second and its timeout; doubling goes to half of what there was, then one by one."""
    world = _outage(failure, visitors=2_000)
    world.pendo = _always(LATENCY_S)
    world.run(MIN_PROBE_DELAY_S + TIMEOUT_S + 1)
    assert world.gate.state is GateState.OPEN
    assert world.run(5).accepted_s >= 0.5 * MAXIMUM / LATENCY_S
    world.run(40)
    assert world.run(5).accepted_s >= 0.99 * MAXIMUM / LATENCY_S


def test_a_lonely_visitors_event_goes_at_the_next_probe_after_an_outage() -> None:
    """At the latest after the longest delay."""
    world = _outage((0.001, NO_ANSWER), visitors=1)
    world.pendo = _always(LATENCY_S)
    assert world.run(MAX_DELAY_S + 1).accepted_s > 0


# ── flood ──


def _nine_in_ten_refused(asked: Asked) -> Answer:
    """By event, not by chance: the same is refused whenever it is tried."""
    return LATENCY_S, ACCEPTED if asked.number % 10 == 0 else REFUSED


def test_a_topic_of_which_nine_in_ten_are_refused_does_not_drain_into_the_dead_letters() -> None:
    """The window is what it costs: what is in flight by then is set aside, and so is every refused probe."""
    world = World(_nine_in_ten_refused)
    world.run(60)
    assert world.gate.state is GateState.FLOOD
    lost = len(world.letters)
    assert (1 - SHARE) * MIN_EVENTS <= lost <= MIN_EVENTS
    world.run(6 * 3_600)
    assert (world.gate.state, len(world.letters)) == (GateState.FLOOD, lost)


def test_probes_in_a_flood_are_few_and_what_is_accepted_is_delivered() -> None:
    """A round of twenty for each lucky probe, else further and further apart."""
    world = World(_nine_in_ten_refused)
    world.run(600)
    figures = world.run(6 * 3_600)
    assert figures.max_in_flight == 1
    assert 0 < figures.accepted_s < figures.asked_s <= ROUND / (MAX_DELAY_S / 2)


def test_after_a_restart_in_a_flood_nothing_is_dead_lettered() -> None:
    """The flag in the commit brings it back before the first request, however often the process starts again."""
    for _ in range(5):
        world = World(_nine_in_ten_refused)
        world.gate.begin_flood()
        figures = world.run(600)
        assert (world.gate.state, world.letters) == (GateState.FLOOD, [])
        assert figures.max_in_flight == 1


def test_when_pendo_is_mended_the_flood_ends_and_all_that_was_set_aside_goes() -> None:
    """At the latest one probe's delay and a round later; none of those events is lost."""
    world = World(_nine_in_ten_refused)
    world.run(600)
    lost = len(world.letters)
    assert world.lanes.aside
    world.pendo = _always(LATENCY_S)
    world.run(MAX_DELAY_S + (ROUND + 1) * LATENCY_S + 1)
    assert (world.gate.state, len(world.lanes.aside), len(world.letters)) == (GateState.OPEN, 0, lost)
    world.run(20)
    assert world.run(5).accepted_s >= 0.99 * MAXIMUM / LATENCY_S


def test_four_in_ten_refused_are_single_events_troubles() -> None:
    """Below the share each is dead-lettered, and the rest flows at full speed."""
    world = World(lambda asked: (LATENCY_S, REFUSED if asked.number % 10 < 4 else ACCEPTED))
    world.run(10)
    figures = world.run(20)
    assert figures.accepted_s >= 0.95 * 0.6 * MAXIMUM / LATENCY_S
    assert world.gate.state is GateState.OPEN
