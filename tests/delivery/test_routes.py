"""Routes: which holds forgive retry windows, what a held process does not decide, and which bit is whose."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from consumer.delivery.lease import Hold, Lease
from consumer.delivery.routes import Routes
from consumer.kafka.cluster import Cluster
from consumer.kafka.letterbox import Letterbox
from consumer.outcomes import Reason
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import ACCEPTED, Later, Verdict
from tests.delivery.conftest import Bench as Records
from tests.delivery.conftest import Box, Engine
from tests.delivery.virtual_loop import run_virtually

WINDOW_S = 900
"""As `Engine.poison` is made."""
BAD = b"bad"
BITS = {"segmentio": 0, "track": 1, "metadata": 2, "bulkdelete": 3}
"""A promise across versions: a flood stop goes on when another version restores the commit."""


class Bench:
    """One route, to a destination that takes all but one visitor's events."""

    def __init__(self) -> None:
        self.lease = Lease(1e9)
        self.box = Box()
        self.records = Records()
        self.senders = Engine(lease=self.lease).senders(self._post, self.box)
        self.routes = Routes({Route.SEGMENTIO: self.senders}, Letterbox("dead", {}, Cluster({})), self.lease)

    async def _post(self, body: bytes) -> tuple[Verdict, int]:
        return (Later(), 500) if body == BAD else (ACCEPTED, 200)

    def add(self, visitor: str, body: bytes = b"{}") -> None:
        """Queue an event."""
        delivery = self.records.delivery(visitor)
        delivery.request.body = body
        self.senders.add(delivery)

    @asynccontextmanager
    async def failing(self) -> AsyncIterator[None]:
        """One visitor's event fails, while others' pass all the time."""
        sending = asyncio.create_task(self.senders.run())
        passing = asyncio.create_task(self._pass())
        self.add("bad", BAD)
        try:
            yield
        finally:
            for task in (sending, passing):
                task.cancel()
            await asyncio.wait([sending, passing])

    async def _pass(self) -> None:
        while True:
            for number in range(5):
                self.add(f"good{number}")
            await asyncio.sleep(2)

    async def hold(self, why: Hold, every_s: float, times: int) -> None:
        """Hold sending for a moment, again and again."""
        for _ in range(times):
            await asyncio.sleep(every_s)
            self.routes.hold(why)
            await asyncio.sleep(1)
            self.routes.free(why)


def test_an_event_that_keeps_failing_is_exhausted_though_rebalances_come_faster_than_its_window() -> None:
    """A group whose pods come and go would else keep poison for ever."""

    async def story() -> list[Reason]:
        bench = Bench()
        async with bench.failing():
            await bench.hold(Hold.REBALANCE, WINDOW_S / 3, times=4)
            return [letter.reason for letter in bench.box.letters]

    assert run_virtually(story()) == [Reason.EXHAUSTED]


@pytest.mark.parametrize("why", [Hold.PAUSED, Hold.ASLEEP])
def test_a_window_begins_anew_after_nothing_was_sent_for_what_may_be_long(why: Hold) -> None:
    """Over a weekend's pause every window has run out, and nobody had a chance."""

    async def story() -> tuple[int, list[Reason]]:
        bench = Bench()
        async with bench.failing():
            await bench.hold(why, WINDOW_S / 3, times=6)
            during = len(bench.box.letters)
            await asyncio.sleep(WINDOW_S + 100)
            return during, [letter.reason for letter in bench.box.letters]

    assert run_virtually(story()) == (0, [Reason.EXHAUSTED])


@pytest.mark.parametrize("why", list(Hold))
def test_nothing_is_given_up_while_sending_is_held(why: Hold) -> None:
    """Nobody else passes then, and the partition may be somebody else's; afterwards it is."""

    async def story() -> tuple[bool, list[Reason], list[Reason]]:
        bench = Bench()
        async with bench.failing():
            await asyncio.sleep(WINDOW_S / 2)
            bench.records.progress.pressed = True
            bench.routes.hold(why)
            undecided = bench.routes.relieve()
            held = [letter.reason for letter in bench.box.letters]
            bench.routes.free(why)
            bench.routes.relieve()
            return undecided, held, [letter.reason for letter in bench.box.letters]

    assert run_virtually(story()) == (False, [], [Reason.BLOCKING])


def test_every_route_has_its_bit() -> None:
    """A new one goes behind the others."""
    assert {route.value: bit for bit, route in enumerate(Route)} == BITS


@pytest.mark.parametrize("name", BITS)
async def test_a_flood_stop_travels_as_its_routes_bit_and_is_taken_over_by_that_route_alone(name: str) -> None:
    """Whoever restores the commit, of this version or of another."""
    routes = {Route(n): Bench().senders for n in BITS}
    whole = Routes(routes, Letterbox("dead", {}, Cluster({})), Lease(30))
    assert whole.flags == 0
    whole.take_over(1 << BITS[name] | 1 << 20)
    assert {route.value for route, senders in routes.items() if senders.gate.flood.active} == {name}
    assert whole.flags == 1 << BITS[name]
