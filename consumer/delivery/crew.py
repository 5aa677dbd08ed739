"""The crew of one route: a fixed set of tasks, each of which sends one request at a time.

Deliveries come in through `add`. In which order heads go is decided by `lanes`, whether one may go by the `gate`. What
one request carries, and what follows from its answer, is for `senders` and `callers`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from math import inf
from typing import Final, Generic, TypeVar

from consumer.delivery.consequences import Consequences
from consumer.delivery.gate import Gate
from consumer.delivery.lane import Delivery
from consumer.delivery.lanes import Lanes
from consumer.delivery.memory import Memory
from consumer.delivery.tally import Counts
from consumer.log import get_logger
from consumer.metrics import DURATION_BUCKETS_S, Histogram
from consumer.pendo.requests import Route

log = get_logger(__name__)

TIMER_RESOLUTION_S: Final = 0.001
"""uvloop's: a timer for less than half of it would fire at once, before the time has come."""

Turn = TypeVar("Turn")
"""What one request carries, and whose it is."""


class Crew(ABC, Generic[Turn]):
    """One route's.

    Attributes:
        route: The way into Pendo.
        gate: Decides when a request may go.
        lanes: Decide in which order.
        requests: Answers by status; `timeout` and `connection` where there was none.
        durations: Seconds a request took.
        consequences: Act on verdicts.
    """

    def __init__(self, route: Route, *, gate: Gate, lanes: Lanes, memory: Memory, consequences: Consequences) -> None:
        self.route = route
        self.gate = gate
        self.lanes = lanes
        self.requests: Counts[int | str] = Counts()
        self.durations = Histogram(DURATION_BUCKETS_S)
        self.consequences = consequences
        self._memory = memory
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = inf
        self._stopping = False
        # The loop has its turn; nobody goes through repeats meanwhile.
        self._yielding = False
        self._quiet = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @abstractmethod
    def add(self, delivery: Delivery) -> None:
        """Queue a delivery, and see to it that somebody is woken for it when it may go."""

    @abstractmethod
    async def _send_forever(self) -> None:
        """Send one request after another."""

    @abstractmethod
    def _judged(self) -> Turn | None:
        """What goes next; what need not go is settled on the way."""

    def _wait_s(self, now: float) -> float:
        """Seconds until a request may go; 0 when one may, infinite when only an answer can change it."""
        return self.gate.wait_s(now, ready=bool(self.lanes.ready))

    def is_sated(self) -> bool:
        """Whether more lies ready than is sent in the next moment: what is read beside it would only take room."""
        return False

    @property
    def _turns(self) -> int:
        """How many requests stand ready."""
        return len(self.lanes.ready)

    async def run(self, senders: int) -> None:
        """Send until cancelled, with so many tasks."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(senders):
                tasks.create_task(self._send_forever(), name=f"{self.route} sender {number}")

    def stop(self) -> None:
        """Start no further request."""
        self._stopping = True

    async def drain(self, timeout_s: float) -> bool:
        """After `stop`: wait for what is in flight, at most `timeout_s`; whether all of it was answered."""
        try:
            async with asyncio.timeout(max(timeout_s, 0.0)):
                while self.gate.in_flight:
                    self._quiet.clear()
                    await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def drop_released(self) -> None:
        """Forget deliveries whose records went back to Kafka: somebody else may write from now on."""
        self._memory.forget_all_values()
        self.lanes.drop_released()
        self.wake()

    def forgive(self) -> None:
        """Nobody's retry window has run while nothing was sent."""
        self.lanes.excuse(-inf, self._loop.time())

    def relieve(self) -> bool:
        """A partition cannot be read on: give up what stands in its way; whether the rest shows only by reading on."""
        undecided = self.consequences.relief.relieve()
        self.wake()
        return undecided

    def begin_flood(self) -> None:
        """Somebody else was in a flood stop over what is ours now."""
        if not self.gate.flood.active:
            self.gate.begin_flood()
            log.error("a flood stop goes on that an earlier process began: delivery is stopped but for probes")

    def probe_now(self) -> None:
        """The credential changed: try it at once."""
        self.gate.probe_now()
        self.wake()

    def _take(self, now: float) -> Turn | None:
        """The next head that may be sent now; else see to it that somebody is woken when one may."""
        if self._stopping or self._yielding:
            return None
        gate, lanes = self.gate, self.lanes
        if lanes.retries:
            lanes.wake_due(now)
        wait_s = self._wait_s(now)
        turn = self._judged() if wait_s == 0.0 else None
        if turn is not None:
            gate.begin(now)
        if self._idle or turn is None:
            self._see_to_the_rest(now, wait_s)
        return turn

    def _yield(self) -> None:
        """Let the loop have its turn before anybody looks for work again."""
        self._yielding = True
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._yielding = False
        self.wake()

    async def _wait(self) -> None:
        """Wait until there may be work."""
        woken = self._loop.create_future()
        self._idle.append(woken)
        await woken

    def _answered(self, status: int | str, took_s: float) -> None:
        self.requests[status] += 1
        self.durations.observe(took_s)

    def _see_to_the_rest(self, now: float, wait_s: float) -> None:
        """Who has looked for work sees to what it leaves: heads that are ready, or the time when one may go.

        This is the one rule by which senders are woken; whoever is woken follows it in turn.
        """
        if wait_s == inf:
            return  # the answer that opens the gate brings its sender back here
        due = self.lanes.next_due()
        if wait_s:
            self._wake_at(now + wait_s if due is None else min(now + wait_s, due))
        elif self.lanes.ready:
            if not self._at_limit:
                self.wake()
        elif due is not None:
            self._wake_at(due)

    def _wake_at(self, due: float) -> None:
        if due >= self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        # Kept beside the timer: uvloop's handle for a time that has passed cannot tell it.
        self._timer_due = due
        self._timer = self._loop.call_at(due + TIMER_RESOLUTION_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_due = inf
        self.lanes.wake_due(self._loop.time())
        self.wake()

    @property
    def _at_limit(self) -> bool:
        """Whether only an answer makes room, which brings its sender back to look for work."""
        return self.gate.in_flight >= self.gate.limit.value

    def wake(self) -> None:
        """Wake as many idle senders as may find work; one at least, to find out when there will be some."""
        for _ in range(max(1, min(self._turns, self.gate.limit.value - self.gate.in_flight))):
            self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            woken = self._idle.popleft()
            if not woken.done():
                woken.set_result(None)
                return
