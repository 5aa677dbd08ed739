"""The pulse: after a standstill nothing is sent until a commit has shown whose the partitions are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

from consumer.delivery.lease import Hold, Lease
from consumer.worker.pulse import BEAT_S, RETRY_S, WORST_OF_S, Pulse
from tests.delivery.virtual_loop import VirtualLoop, run_virtually

SESSION_S = 10.0
TERM_S = 0.8 * SESSION_S


def virtually(story: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a virtual clock."""

    @wraps(story)
    def test() -> None:
        run_virtually(story())

    return test


class Bench:
    """A pulse with its lease, and commits that are confirmed or not."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.lease = Lease(SESSION_S)
        self.confirms = True
        self.proofs = 0
        self.freed: list[Hold] = []
        self.meanwhile: Callable[[], object] | None = None
        self.pulse = Pulse(self.lease, prove=self._prove, free=self.freed.append)

    async def _prove(self) -> bool:
        self.proofs += 1
        await asyncio.sleep(0.01)
        if self.meanwhile is not None:
            self.meanwhile()
        return self.confirms

    def allowed(self) -> bool:
        """Whether requests may go."""
        return self.lease.allows(self.loop.time())

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beat, from the first beat on."""
        task = asyncio.create_task(self.pulse.run())
        await asyncio.sleep(1.5 * BEAT_S)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@virtually
async def test_a_process_that_runs_keeps_its_lease_without_a_commit() -> None:
    """Its heartbeats say enough."""
    bench = Bench()
    async with bench.beating():
        for _ in range(100):
            await asyncio.sleep(1)
            assert bench.allowed()
        assert bench.lease.held == set()
        assert bench.proofs == 0


@virtually
async def test_after_a_standstill_nothing_is_sent_until_a_commit_is_confirmed() -> None:
    """Others may have taken over the partitions; and whoever runs first after waking must know."""
    bench = Bench()
    bench.confirms = False
    async with bench.beating():
        bench.loop.jump(TERM_S + BEAT_S)
        assert not bench.allowed(), "before the pulse itself has run"
        await asyncio.sleep(10 * RETRY_S)
        assert bench.lease.held == {Hold.ASLEEP}
        assert bench.freed == []
        bench.confirms = True
        await asyncio.sleep(2 * RETRY_S)
        assert bench.freed == [Hold.ASLEEP], "the senders must be woken: nobody else would"
        assert bench.allowed()
        await asyncio.sleep(10 * RETRY_S)
        assert bench.freed == [Hold.ASLEEP]


@virtually
async def test_a_short_standstill_costs_nothing() -> None:
    """The group waits longer than that."""
    bench = Bench()
    async with bench.beating():
        bench.loop.jump(TERM_S - 2 * BEAT_S)
        assert bench.allowed()
        await asyncio.sleep(1)
        assert bench.proofs == 0


@virtually
async def test_a_commit_that_began_before_a_standstill_shows_nothing() -> None:
    """It may have been answered long ago: the partitions can have gone to others since."""
    bench = Bench()

    def stand_still_once() -> None:
        bench.meanwhile = None
        bench.loop.jump(TERM_S)

    async with bench.beating():
        bench.loop.jump(TERM_S + BEAT_S)
        bench.meanwhile = stand_still_once
        await asyncio.sleep(0.5 * RETRY_S)
        assert bench.proofs == 1
        assert bench.freed == []
        assert not bench.allowed()
        await asyncio.sleep(2 * RETRY_S)
        assert bench.proofs == 2
        assert bench.freed == [Hold.ASLEEP]
        assert bench.allowed()


@virtually
async def test_the_commit_is_asked_for_now_and_then_not_all_the_time() -> None:
    """A broker that is away must not be flooded."""
    bench = Bench()
    bench.confirms = False
    async with bench.beating():
        bench.loop.jump(TERM_S + BEAT_S)
        await asyncio.sleep(60)
        assert 40 <= bench.proofs <= 60


@virtually
async def test_the_worst_lag_is_shown_long_enough_to_be_scraped_and_then_forgotten() -> None:
    """A blocked loop evicts the member from its group: the figure says how near it came to that."""
    bench = Bench()
    async with bench.beating():
        bench.loop.jump(3.0)
        for _ in range(int(WORST_OF_S)):
            await asyncio.sleep(1)
            assert 3.0 - BEAT_S <= bench.pulse.lag_s <= 3.0
        await asyncio.sleep(2 * WORST_OF_S)
        assert bench.pulse.lag_s < 0.01
