"""The flood stop, through the whole engine: what is refused is set aside, and goes when it is over."""

import asyncio

from consumer.delivery.flood import Flood
from consumer.delivery.gate import GateState
from consumer.delivery.lane import Delivery
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import ACCEPTED, Refused, Verdict
from tests.delivery.conftest import Bench, Box, Engine
from tests.delivery.virtual_loop import run_virtually

REFUSED = Refused(Reason.REFUSED, "Pendo answered 400")
WINDOW = 20
VISITORS = 200


class Schema:
    """A Pendo that refuses nine visitors in ten, until it is mended."""

    def __init__(self) -> None:
        self.mended = False

    async def post(self, body: bytes) -> tuple[Verdict, int]:
        """One request."""
        await asyncio.sleep(0.05)
        good = self.mended or int(body) % 10 == 0
        return (ACCEPTED, 200) if good else (REFUSED, 400)


async def _story(bench: Bench, box: Box, schema: Schema, *, restarted: bool) -> tuple[int, GateState, float]:
    engine = Engine(flood=Flood(0.5, WINDOW), limit=8)
    senders = engine.senders(schema.post, box)
    if restarted:
        senders.begin_flood()
    running = asyncio.create_task(senders.run())
    for number in range(VISITORS):
        request = Request(Route.SEGMENTIO, f"visitor:{number}", b"%d" % number)
        senders.add(Delivery(request, bench.ticket(), EventType.TRACK, None, None))
    await asyncio.sleep(3_600)
    letters, state = len(box.letters), senders.gate.state
    schema.mended = True
    mended = asyncio.get_running_loop().time()
    while bench.tally.open_events:
        await asyncio.sleep(1)
    took_s = asyncio.get_running_loop().time() - mended
    running.cancel()
    return letters, state, took_s


def test_a_topic_of_which_nine_in_ten_are_refused_does_not_drain_into_the_dead_letter_topic() -> None:
    """The window costs letters, the hour after it none; when Pendo is mended, all that was set aside is delivered."""
    bench, box, schema = Bench(), Box(), Schema()
    letters, state, took_s = run_virtually(_story(bench, box, schema, restarted=False))
    assert state is GateState.FLOOD
    assert WINDOW / 2 <= letters <= WINDOW
    assert len(box.letters) == letters
    delivered = bench.tally.settled[EventType.TRACK, Outcome.DELIVERED, Reason.NONE]
    assert delivered + letters == VISITORS
    assert took_s < 150, "a probe's longest delay, and a round"


def test_a_flood_stop_that_was_restored_dead_letters_nothing() -> None:
    """Its window is empty, but it is on from the first event."""
    bench, box, schema = Bench(), Box(), Schema()
    letters, state, _ = run_virtually(_story(bench, box, schema, restarted=True))
    assert (letters, state) == (0, GateState.FLOOD)
    assert not box.letters
