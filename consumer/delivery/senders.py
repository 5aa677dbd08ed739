"""The senders of one route: a fixed set of tasks that take a head, pass the gate, send, and act on the verdict.

Deliveries come in through `add`; their tickets are settled here, or their dead letters parked. What a verdict means was
decided by `pendo/`, in which order heads go by `lanes`, and whether one may go by the `gate`.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from math import inf
from time import time
from typing import Final, Protocol, assert_never

from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lanes import Delivery, Lane, Lanes
from consumer.delivery.retry import Backoff
from consumer.delivery.ticket import Ticket
from consumer.errors import UnreachableError
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.records import position
from consumer.log import get_logger
from consumer.metrics import AGE_BUCKETS_S, DURATION_BUCKETS_S, Histogram
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import NO_ANSWER, Accepted, Later, Locked, OptedOut, Refused, Stall, Verdict

log = get_logger(__name__)

Post = Callable[[bytes], Awaitable[tuple[Verdict, int]]]
"""Sends a body on this route; raises `UnreachableError`."""

TIMER_RESOLUTION_S: Final = 0.001
"""uvloop's: a timer for less than half of it would fire at once, before the time has come."""

_REMEDIES: Final = {
    Stall.CREDENTIALS: "Pendo refuses the credential: nothing is delivered until it is replaced; records stay in Kafka",
    Stall.ENDPOINT: "this is not Pendo's endpoint: check pendo.region, data_url and proxy; records stay in Kafka",
}


class Letters(Protocol):
    """Where dead letters go."""

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Take a letter; the owner is settled when it is safe."""


class Senders:
    """One route's senders.

    Attributes:
        route: The way into Pendo.
        gate: Decides when a request may go.
        lanes: Decide in which order.
        requests: Answers by status; `timeout` and `connection` where there was none.
        durations: Seconds a request took.
        ages: Seconds from a record's arrival to its acceptance, by event type.
    """

    def __init__(self, route: Route, *, gate: Gate, backoff: Backoff, post: Post, letters: Letters) -> None:
        self.route = route
        self.gate = gate
        self.lanes = Lanes()
        self.requests: Counter[int | str] = Counter()
        self.durations = Histogram(DURATION_BUCKETS_S)
        self.ages: dict[EventType, Histogram] = {}
        self._backoff = backoff
        self._post = post
        self._letters = letters
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = inf
        self._stopping = False
        self._quiet = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def add(self, delivery: Delivery) -> None:
        """Queue a delivery, and wake a sender for it if it may go."""
        if self.lanes.add(delivery) and self._idle:
            self._wake()

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

    def drop_closing(self) -> None:
        """Forget deliveries whose partition is closing."""
        self.lanes.drop_closing()
        self._wake()

    def pause(self, *, paused: bool) -> None:
        """An operator's hand: start no request, or go on."""
        self.gate.paused = paused
        self._wake()

    def probe_now(self) -> None:
        """The credential changed: try it at once."""
        self.gate.probe_now()
        self._wake()

    async def _send_forever(self) -> None:
        while True:
            lane = self._take()
            if lane is None:
                turn = self._loop.create_future()
                self._idle.append(turn)
                await turn
            else:
                await self._attempt(lane)

    def _take(self) -> Lane | None:
        """The next lane whose head may be sent now; else see to it that somebody is woken when one may."""
        if self._stopping:
            return None
        gate, lanes = self.gate, self.lanes
        now = self._loop.time()
        lanes.wake_due(now)
        wait_s = gate.wait_s(now, ready=bool(lanes.ready))
        lane = None
        if wait_s == 0.0:
            lane = lanes.take_probe() if gate.probing else lanes.take()
        if lane is not None:
            gate.begin(now)
        if self._idle or lane is None:
            self._see_to_the_rest(now, wait_s)
        return lane

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
            self._wake()
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
        self._wake()

    def _wake(self) -> None:
        """Wake as many idle senders as may find work; one at least, to find out when there will be some."""
        wanted = max(1, min(len(self.lanes.ready), self.gate.limit - self.gate.in_flight))
        while self._idle and wanted:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                wanted -= 1

    async def _attempt(self, lane: Lane) -> None:
        delivery = lane.queue[0]
        delivery.attempts += 1
        if delivery.attempts == 1:
            delivery.first_attempt_ms = int(time() * 1000)
        started = self._loop.time()
        status: int | str
        try:
            verdict, status = await self._post(delivery.request.body)
        except UnreachableError as error:
            verdict, status = NO_ANSWER, error.kind
        now = self._loop.time()
        self.requests[status] += 1
        self.durations.observe(now - started)
        self._conclude(lane, delivery, verdict, status, now)

    def _conclude(self, lane: Lane, delivery: Delivery, verdict: Verdict, status: int | str, now: float) -> None:
        """Act on a verdict, without waiting for anything."""
        gate_changed = self.gate.end(now, lane.key, verdict, lanes=len(self.lanes))
        match verdict:
            case Accepted():
                delivery.ticket.settle(delivery.type, Outcome.DELIVERED, Reason.NONE)
                self._observe_age(delivery)
                self.lanes.advance(lane)
            case OptedOut():
                delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, Reason.OPTED_OUT)
                self.lanes.advance(lane)
            case Refused():
                self._letters.park(_letter(delivery, verdict, status), delivery.ticket)
                self.lanes.advance(lane)
            case Later(after_s=after_s):
                self._try_again(lane, delivery, now, after_s, ordered=after_s is not None)
            case Locked():
                # Its own delay stays when the gate opens: if the record itself is forbidden, it would close it again.
                self._try_again(lane, delivery, now, None, ordered=True)
            case _:
                assert_never(verdict)
        if gate_changed:
            self._on_gate_change(delivery, status)
        if self._stopping and not self.gate.in_flight:
            self._quiet.set()

    def _try_again(self, lane: Lane, delivery: Delivery, now: float, after_s: float | None, *, ordered: bool) -> None:
        if delivery.ticket.closing:
            self.lanes.advance(lane)
            return
        delay_s = self._backoff.delay_s(delivery.attempts) if after_s is None else after_s
        self.lanes.retry(lane, now + delay_s, ordered=ordered)

    def _observe_age(self, delivery: Delivery) -> None:
        ages = self.ages.get(delivery.type)
        if ages is None:
            ages = self.ages[delivery.type] = Histogram(AGE_BUCKETS_S)
        ages.observe(max(time() - delivery.ticket.arrived_ms / 1000, 0.0))

    def _on_gate_change(self, delivery: Delivery, status: int | str) -> None:
        seen = {"route": self.route, "status": status, "position": position(delivery.ticket.record)}
        match self.gate.state:
            case GateState.OPEN:
                self.lanes.wake_all()
                log.info("Pendo answers again: delivering", **seen)
            case GateState.CIRCUIT:
                log.warning("Pendo is unreachable: keeping the records in Kafka and probing", **seen)
            case GateState.STALLED:
                log.error(_REMEDIES[self.gate.stall or Stall.ENDPOINT], **seen)
            case _:
                assert_never(self.gate.state)


def _letter(delivery: Delivery, verdict: Refused, status: int | str) -> DeadLetter:
    return DeadLetter(
        record=delivery.ticket.record,
        type=delivery.type,
        reason=verdict.reason,
        stage=Stage.DELIVER,
        error="RefusedError",
        message=verdict.message,
        index=delivery.index,
        message_id=delivery.message_id,
        lane=delivery.request.lane,
        status=str(status),
        attempts=delivery.attempts,
        first_attempt_ms=delivery.first_attempt_ms,
    )
