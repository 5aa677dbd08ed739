"""Consequences: what a verdict does beyond its event, to the memory and to who is under suspicion."""

from collections.abc import Collection

import pytest

from consumer.delivery import circuit
from consumer.delivery.consequences import Consequences
from consumer.delivery.gate import GateState
from consumer.delivery.lane import Delivery
from consumer.delivery.lanes import Lanes
from consumer.delivery.memory import Memory, stamp_of
from consumer.delivery.retry import Backoff
from consumer.delivery.ticket import release
from consumer.outcomes import EventType, Reason
from consumer.pendo.requests import Request, Route, State
from consumer.pendo.verdicts import ACCEPTED, Later, Locked, Stall, Verdict
from tests.delivery.conftest import Bench, Box, Engine

FORBIDDEN = Locked(Stall.CREDENTIALS)


class Desk:
    """Draws the consequences of verdicts, one request after another."""

    def __init__(self, bench: Bench) -> None:
        engine = Engine(random=lambda: 0.5)
        self.bench = bench
        self.box = Box()
        self.gate = engine.gate()
        self.lanes = Lanes(1_000)
        self.memory = Memory(ids=10, message_ids=10, suppress_unchanged=True)
        self.now = 1_000.0
        self.consequences = Consequences(
            Route.SEGMENTIO,
            gate=self.gate,
            lanes=self.lanes,
            memory=self.memory,
            backoff=Backoff(60, lambda: 0.5),
            poison=engine.poison,
            letters=self.box,
        )

    def add(self, visitor: str, plan: int = 0) -> Delivery:
        """An identify."""
        lane = f"visitor:{visitor}"
        request = Request(Route.SEGMENTIO, lane, b"{}", state=State(lane, None, ("plan",), (plan,), _strip))
        delivery = Delivery(request, self.bench.ticket(), EventType.IDENTIFY, None, None)
        self.lanes.add(delivery)
        return delivery

    def answer(self, visitor: str, verdict: Verdict) -> None:
        """The visitor's head goes, and is answered a second later."""
        lane = self.lanes._lanes[f"visitor:{visitor}"]
        self.lanes._leave_aside(lane)
        if lane in self.lanes.ready:
            self.lanes.ready.remove(lane)
        lane.in_flight = 1
        began, self.now = self.now + 0.5, self.now + 1
        self.gate.begin(began)
        head = lane.queue[0]
        stamp = stamp_of(head.request, head.ticket)
        self.consequences.draw(lane, head.request, stamp, verdict, 403, began, self.now)


def _strip(body: bytes, _gone: Collection[str]) -> bytes:
    return body


@pytest.fixture
def desk(bench: Bench) -> Desk:
    """A desk."""
    return Desk(bench)


def _judged(desk: Desk, delivery: Delivery) -> Request | Reason:
    return desk.memory.judge(delivery.request, stamp_of(delivery.request, delivery.ticket))


def test_after_a_failure_of_unknown_fate_nothing_counts_as_unchanged(desk: Desk) -> None:
    """Pendo may have taken the other plan: the old one must be sent again."""
    desk.add("v", plan=1)
    desk.answer("v", ACCEPTED)
    desk.add("v", plan=2)
    again = desk.add("v", plan=1)
    assert _judged(desk, again) is Reason.UNCHANGED
    desk.answer("v", Later())
    assert _judged(desk, again) is again.request


def test_what_was_accepted_after_a_release_is_no_ground_for_unchanged(desk: Desk) -> None:
    """Whoever has the partition now may have written since."""
    first = desk.add("v", plan=1)
    desk.add("v", plan=1)
    release(first.ticket.progress, desk.bench.tally)
    desk.answer("v", ACCEPTED)
    desk.bench.progress.released = False
    again = desk.add("v", plan=1)
    assert _judged(desk, again) is again.request


def _lock_and_pass(desk: Desk, visitor: str, other: str) -> None:
    desk.add(visitor)
    desk.add(other)
    desk.answer(visitor, FORBIDDEN)
    desk.answer(other, ACCEPTED)


def test_a_second_403_after_another_passed_is_forbidden(desk: Desk) -> None:
    """The first one could have been the credential."""
    _lock_and_pass(desk, "bad", "good")
    assert not desk.box.letters
    desk.answer("bad", FORBIDDEN)
    assert [letter.reason for letter in desk.box.letters] == [Reason.FORBIDDEN]


def test_a_trial_that_goes_in_the_very_moment_convicts_as_well(desk: Desk) -> None:
    """The loop's clock stands still within a turn: the sender that drew the first 403 may take the trial at once."""
    desk.add("bad")
    desk.add("good")
    desk.answer("bad", FORBIDDEN)
    desk.now -= 0.5
    desk.answer("good", ACCEPTED)
    desk.answer("bad", FORBIDDEN)
    assert [letter.reason for letter in desk.box.letters] == [Reason.FORBIDDEN]


def test_nobody_is_convicted_while_the_credential_is_in_doubt(desk: Desk) -> None:
    """It passed once, and may be wrong by now."""
    _lock_and_pass(desk, "suspect", "good")
    desk.add("new")
    desk.answer("new", FORBIDDEN)
    assert desk.gate.doubt.active
    desk.answer("suspect", FORBIDDEN)
    assert not desk.box.letters


def test_a_forbidden_event_is_no_proof_that_the_credential_is_good(desk: Desk) -> None:
    """Else one conviction would convict all who met a wrong key."""
    _lock_and_pass(desk, "bad", "good")
    passed_at = desk.gate.passed_at
    desk.answer("bad", FORBIDDEN)
    assert desk.gate.passed_at == passed_at
    assert desk.gate.state is GateState.OPEN


def test_a_stall_acquits_those_that_met_it(desk: Desk) -> None:
    """The key was wrong, is mended, and breaks again: whoever meets that first is as new as any."""
    for visitor in ("suspect", "second", "third", "good"):
        desk.add(visitor)
    for visitor in ("suspect", "second", "third"):
        desk.answer(visitor, FORBIDDEN)
    assert desk.gate.stall is Stall.CREDENTIALS
    desk.answer("good", ACCEPTED)
    assert desk.gate.state is GateState.OPEN
    desk.answer("third", FORBIDDEN)
    assert not desk.box.letters


# ── giving up ──


def _fail(desk: Desk, visitor: str, times: int) -> None:
    """So many failures that count, since another passes before each."""
    for _ in range(times):
        desk.add("good")
        desk.answer("good", ACCEPTED)
        desk.answer(visitor, Later())


def test_a_head_is_given_up_by_a_failure_that_counts(desk: Desk) -> None:
    """Its window is over and its attempts are used up, but just now others fail too: that one proves nothing."""
    for bystander in range(circuit.LANES):
        desk.add(str(bystander))
    desk.add("bad")
    _fail(desk, "bad", 6)
    desk.now += 900
    for verdict in (Later(), Later(1, throttled=True)):
        desk.add("good")
        desk.answer("good", Later())
        desk.answer("bad", verdict)
        assert not desk.box.letters
        desk.answer("good", ACCEPTED)
    desk.answer("bad", Later())
    assert [letter.reason for letter in desk.box.letters] == [Reason.EXHAUSTED]


@pytest.mark.parametrize("outage", ["circuit", "stall", "flood"])
def test_while_the_gate_probes_nothing_is_given_up(desk: Desk, outage: str) -> None:
    """However long it takes: a probe that fails says nothing of the event that it was."""
    desk.add("bad")
    _fail(desk, "bad", 6)
    desk.now += 900
    match outage:
        case "circuit":
            desk.gate._circuit.opened = True
        case "stall":
            desk.gate.stall = Stall.ENDPOINT
        case _:
            desk.gate.flood.begin()
    desk.gate.probing = True
    desk.gate.answered += 1
    desk.gate.accepted += 1
    desk.answer("bad", Later())
    assert not desk.box.letters


def test_others_deliveries_in_a_lane_are_no_reason_to_give_its_head_up(desk: Desk) -> None:
    """Nothing behind it is through: it may be an outage, however many of the lane are of another partition."""
    head = desk.add("bad")
    desk.add("behind")
    desk.bench = Bench()
    for _ in range(3):
        desk.add("bad")
    _fail(desk, "bad", 6)
    lane = desk.lanes._lanes["visitor:bad"]
    assert lane.failing is not None
    assert lane.failing.hopeless
    head.ticket.progress.pressed = True
    desk.consequences.relief.relieve()
    assert not desk.box.letters
    desk.answer("behind", ACCEPTED)
    desk.answer("bad", Later())
    assert [letter.reason for letter in desk.box.letters] == [Reason.BLOCKING]
