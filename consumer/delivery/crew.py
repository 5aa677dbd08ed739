"""The crew of one route: it sends as many requests at once as the gate lets go.

Deliveries come in through `add`. In which order heads go is decided by `lanes`, whether one may go by the `gate`. What
one request carries, and what follows from its answer, is for `senders` and `callers`.

There is no task a request: an answer acts on its own delivery and sends the next one, in the same turn of the loop.
"""

import asyncio
from abc import ABC, abstractmethod
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
Told = TypeVar("Told")
"""What an answer says."""


class Crew(ABC, Generic[Turn, Told]):
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
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = inf
        self._running = False
        self._stopping = False
        # It is looked for work in the loop's next turn; or just now.
        self._woken = False
        self._looking = False
        self._quiet = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()

    @abstractmethod
    def add(self, delivery: Delivery) -> None:
        """Queue a delivery, and see to it that it is looked for work when it may go."""

    @abstractmethod
    def _judged(self) -> Turn | None:
        """What goes next; what need not go is settled on the way."""

    @abstractmethod
    def _draw(self, turn: Turn, told: Told, began: float, now: float) -> int | str:
        """Act on its answer; the status, or `timeout` or `connection`."""

    @abstractmethod
    def _send(self, turn: Turn, now: float) -> None:
        """Send it; its answer is handed to `_answered`, once."""

    def _wait_s(self, now: float) -> float:
        """Seconds until a request may go; 0 when one may, infinite when only an answer can change it."""
        return self.gate.wait_s(now, ready=bool(self.lanes.ready))

    def is_sated(self) -> bool:
        """Whether more lies ready than is sent in the next moment: what is read beside it would only take room."""
        return False

    async def run(self) -> None:
        """Send until cancelled.

        Raises:
            Exception: What follows from an answer failed, which is a bug.
        """
        self._running = True
        self.wake()
        try:
            await self._broken
        finally:
            self._running = False

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

    def wake(self) -> None:
        """Look for work in the loop's next turn."""
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._on_woken)

    def _on_woken(self) -> None:
        self._woken = False
        try:
            self._send_all(self._loop.time())
        except Exception as error:  # noqa: BLE001  # raised by `run`
            self._break(error)

    def _answered(self, turn: Turn, began: float, told: Told) -> None:
        """An answer came, or none in time."""
        if not self._running:
            return
        now = self._loop.time()
        try:
            self.requests[self._draw(turn, told, began, now)] += 1
            self.durations.observe(now - began)
            if not self._woken and not self._looking:
                self._send_all(now)
            if self._stopping and not self.gate.in_flight:
                self._quiet.set()
        except Exception as error:  # noqa: BLE001  # raised by `run`
            self._break(error)

    def _break(self, error: Exception) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    def _send_all(self, now: float) -> None:
        """Send what may go now."""
        gate = self.gate
        self._looking = True
        while (turn := self._take(now)) is not None:
            gate.begin(now)
            self._send(turn, now)
            if gate.in_flight >= gate.limit.value:
                break  # the answer that makes room comes back here
        self._looking = False

    def _take(self, now: float) -> Turn | None:
        """What may be sent now; else see to it that it is looked again when something may."""
        if self._stopping or not self._running:
            return None
        lanes = self.lanes
        if lanes.retries:
            lanes.wake_due(now)
        wait_s = self._wait_s(now)
        turn = self._judged() if wait_s == 0.0 else None
        if turn is None and wait_s != inf:  # else the answer that opens the gate comes back here
            due = lanes.next_due()
            if wait_s:
                due = now + wait_s if due is None else min(now + wait_s, due)
            if due is not None:
                self._wake_at(due)
        return turn

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
        self.wake()
