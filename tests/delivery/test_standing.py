"""Where an open record's events wait, for what; and how one is taken out of its lane."""

import asyncio
from typing import Any

import pytest

from consumer.delivery.gate import GateState
from consumer.delivery.lane import Delivery
from consumer.delivery.lanes import Lanes
from consumer.delivery.lease import Hold
from consumer.delivery.letters import skipped_letter
from consumer.delivery.routes import Routes
from consumer.delivery.standing import REMEDIES, Standing, Wait, hash_of
from consumer.kafka.cluster import Cluster
from consumer.kafka.letterbox import Letterbox
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import Later, Locked, Refused, Stall, Verdict
from tests.delivery.conftest import Bench, Box, Engine
from tests.delivery.virtual_loop import run_virtually


class Scene:
    """Senders before a Pendo that answers as it is told, and the routes around them."""

    def __init__(self, verdict: Verdict | None, *, max_delay_s: float = 60.0) -> None:
        self.bench = Bench()
        self.verdict = verdict
        self.letterbox = Letterbox("dead", {}, Cluster({}))
        engine = Engine(limit=2, random=lambda: 1.0, max_delay_s=max_delay_s)
        self.senders = engine.senders(self._post, self.letterbox)
        self.routes = Routes({Route.SEGMENTIO: self.senders}, self.letterbox, engine.lease)

    async def _post(self, _: bytes) -> tuple[Verdict, int]:
        await asyncio.sleep(0.1)
        if self.verdict is None:
            await asyncio.Event().wait()
        assert self.verdict is not None
        return self.verdict, 500

    def say(self, lane: str, account: str | None = None, state: int = 0) -> Delivery:
        """One more event."""
        request = Request(Route.SEGMENTIO, f"visitor:{lane}", b"{}", account, state)
        delivery = Delivery(request, self.bench.ticket(), EventType.TRACK, None, None)
        self.senders.add(delivery)
        return delivery

    def standing(self, delivery: Delivery) -> Standing:
        """Where it stands."""
        [found] = self.routes.standings(delivery.ticket)
        return found


def live(story: Any) -> None:
    """In virtual time, with the senders running."""

    async def main() -> None:
        running: list[asyncio.Task[None]] = []

        def begin(scene: Scene) -> Scene:
            running.append(asyncio.create_task(scene.senders.run()))
            return scene

        await story(begin)
        for task in running:
            task.cancel()

    run_virtually(main())


def test_what_is_on_the_wire_what_waits_for_it_and_what_waits_for_its_turn_are_told() -> None:
    """With the position in front, and a name that holds no person."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(None))
        first, second, other, third = scene.say("ann"), scene.say("ann"), scene.say("bea"), scene.say("cyd")
        await asyncio.sleep(1)
        assert scene.standing(first).wait is scene.standing(other).wait is Wait.ANSWER
        behind = scene.standing(second)
        assert (behind.wait, behind.behind, behind.front) == (Wait.VISITOR, 1, "t-0@0")
        assert scene.standing(third).wait is Wait.TURN
        assert behind.lane == hash_of("visitor:ann")
        assert "ann" not in str(behind.to_json())

    live(story)


def test_a_head_that_fails_says_how_often_and_with_what() -> None:
    """And what to do."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(Later()))
        failing = scene.say("ann")
        await asyncio.sleep(0.5)
        told = scene.standing(failing).to_json()
        assert (told["waits_for"], told["attempts"], told["status"]) == ("retry", 1, "500")
        assert told["first_attempt_ms"] > 0
        assert told["remedy"] == REMEDIES[Wait.RETRY]

    live(story)


@pytest.mark.parametrize(
    ("verdict", "wait", "state"),
    [
        (Locked(Stall.CREDENTIALS), Wait.CREDENTIALS, GateState.STALLED),
        (Locked(Stall.ENDPOINT), Wait.ENDPOINT, GateState.STALLED),
        (Later(), Wait.CIRCUIT, GateState.CIRCUIT),
        (Refused(Reason.REFUSED, "no"), Wait.FLOOD, GateState.FLOOD),
    ],
)
def test_a_closed_route_is_what_everything_waits_for(verdict: Verdict, wait: Wait, state: GateState) -> None:
    """Whatever each of them has been through."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(verdict, max_delay_s=5))
        if wait is Wait.FLOOD:
            scene.senders.begin_flood()
        deliveries = [scene.say(f"v{number}") for number in range(12)]
        await asyncio.sleep(60)
        assert scene.senders.gate.state is state
        waits = {scene.standing(delivery).wait for delivery in deliveries}
        assert wait in waits <= {wait, Wait.ANSWER}

    live(story)


def test_a_hold_goes_before_everything() -> None:
    """An operator's pause above all."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(None))
        scene.routes.hold(Hold.OPERATOR)
        waiting = scene.say("ann")
        assert scene.standing(waiting).wait is Wait.PAUSED
        scene.routes.free(Hold.OPERATOR)
        scene.routes.hold(Hold.REBALANCE)
        assert scene.standing(waiting).wait is Wait.REBALANCE

    live(story)


def test_a_version_of_an_account_waits_for_the_one_before() -> None:
    """The hot account."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(None))
        scene.say("ann", "acme", 1)
        second = scene.say("bea", "acme", 2)
        await asyncio.sleep(1)
        assert scene.standing(second).wait is Wait.ACCOUNT

    live(story)


def test_an_event_of_which_only_the_letter_is_left_says_so() -> None:
    """The dead-letter topic is what holds it."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(Refused(Reason.REFUSED, "no")))
        refused = scene.say("ann")
        await asyncio.sleep(1)
        assert scene.standing(refused).wait is Wait.LETTER

    live(story)


def test_a_skipped_record_is_a_letter_and_what_stood_behind_it_goes() -> None:
    """The head that failed, and one that was never sent."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(Later()))
        head, behind = scene.say("ann"), scene.say("ann")
        await asyncio.sleep(0.5)
        assert scene.routes.skip(head.ticket, "ada") == (1, 0)
        await asyncio.sleep(0.05)
        assert scene.standing(head).wait is Wait.LETTER
        assert scene.standing(behind).wait is Wait.ANSWER
        letters = [letter for letter, _ in scene.letterbox._letters]
        assert [(each.reason, each.attempts, each.status) for each in letters] == [("operator", 1, "500")]
        assert letters[0].message == "skipped by an operator (ada)"

    live(story)


def test_what_is_on_the_wire_cannot_be_skipped() -> None:
    """Its answer may be an acceptance."""

    async def story(begin: Any) -> None:
        scene = begin(Scene(None))
        head, behind = scene.say("ann"), scene.say("ann")
        await asyncio.sleep(0.5)
        assert scene.routes.skip(head.ticket, "ada") == (0, 1)
        assert scene.routes.skip(behind.ticket, "ada") == (1, 0)
        assert scene.standing(head).wait is Wait.ANSWER
        letters = [letter for letter, _ in scene.letterbox._letters]
        assert [(each.attempts, each.status, each.first_attempt_ms) for each in letters] == [(0, None, None)]

    live(story)


@pytest.mark.parametrize("place", ["ready", "retrying", "aside", "waiting for its account", "behind"])
def test_a_delivery_can_be_taken_out_wherever_it_waits(bench: Bench, place: str) -> None:
    """And the lanes are as if it had never been there."""
    lanes = Lanes(100)
    first = bench.delivery("first", "acme", 1)
    lanes.add(first)
    taken = lanes.take()
    assert taken is not None
    delivery = bench.delivery("v", "acme", 2)
    if place == "behind":
        lanes.add(bench.delivery("v"))
    lanes.add(delivery)
    [lane] = [each for each in lanes if each.key == "visitor:v"]
    if place in {"retrying", "aside"}:
        lanes.ready.remove(lane)
        if place == "retrying":
            lanes.retry(lane, 5.0, asked=False)
        else:
            lanes.set_aside(lane)
    if place == "waiting for its account":
        assert lanes.take() is None
    assert not lanes.withdraw(taken, first), "it is on the wire"
    assert lanes.withdraw(lane, delivery)
    assert delivery.run is not None
    assert delivery.run.count == 0
    rest = [] if place != "behind" else [lane]
    assert list(lanes.ready) == rest
    assert (list(lanes.aside), lanes.waiting()) == ([], [])
    lanes.advance(taken)
    assert [each.key for each in lanes] == [each.key for each in rest]


def test_a_skipped_letter_settles_its_record(bench: Bench) -> None:
    """Once its topic has it."""
    box = Box()
    delivery = bench.delivery("v")
    box.park(skipped_letter(delivery, "ada"), delivery.ticket)
    assert bench.tally.settled == {(EventType.TRACK, Outcome.DEAD_LETTERED, Reason.OPERATOR): 1}
