"""The senders: the crew of a route that takes one event a request.

A head that the memory finds need be sent goes out as it is; its verdict goes to the consequences.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from consumer.delivery.consequences import Consequences
from consumer.delivery.crew import Crew
from consumer.delivery.gate import Gate
from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.letters import Letters
from consumer.delivery.memory import FACT, Memory, Stamp, stamp_of
from consumer.delivery.poison import Poison
from consumer.delivery.retry import Backoff
from consumer.errors import UnreachableError
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import NO_ANSWER, Verdict

Post = Callable[[bytes], Awaitable[tuple[Verdict, int]]]
"""Sends a body on this route; raises `UnreachableError`."""

READY_PER_SENDER: Final = 8
"""Heads ready beside each that may be in flight. More would be sent no sooner, and be out of the processor's caches."""
MIN_READY: Final = 2000
"""Half of it is more than goes out until reading looks again."""
MAX_SUPPRESSED: Final = 100
"""Repeats may come by the ten thousand; the loop must get its turn in between."""

Turn = tuple[Lane, Request, Stamp]
"""A lane whose head is to go, what goes out of it, and how new that is."""


class Senders(Crew[Turn]):
    """One route's senders."""

    def __init__(
        self,
        route: Route,
        *,
        gate: Gate,
        memory: Memory,
        backoff: Backoff,
        poison: Poison,
        max_lane: int,
        post: Post,
        letters: Letters,
    ) -> None:
        lanes = Lanes(max_lane)
        consequences = Consequences(
            route, gate=gate, lanes=lanes, memory=memory, backoff=backoff, poison=poison, letters=letters
        )
        super().__init__(route, gate=gate, lanes=lanes, memory=memory, consequences=consequences)
        self._post = post
        self._enough = max(MIN_READY, READY_PER_SENDER * gate.limit.maximum)
        self._sated = False

    def add(self, delivery: Delivery) -> None:
        """Queue a delivery, and wake a sender for it if it may go."""
        if self.lanes.add(delivery) and self._idle and not self._at_limit:
            self._wake_one()

    def is_sated(self) -> bool:
        """See `Crew.is_sated`; from enough on until half of it is gone, so that reading goes in strides.

        Callers never are: the more lies there, the more goes in one call.
        """
        self._sated = len(self.lanes.ready) >= (self._enough // 2 if self._sated else self._enough)
        return self._sated

    async def _send_forever(self) -> None:
        clock, post = self._loop.time, self._post
        while True:
            began = clock()
            turn = self._take(began)
            if turn is None:
                await self._wait()
                continue
            lane, sent, stamp = turn
            verdict: Verdict
            status: int | str
            try:
                verdict, status = await post(sent.body)
            except UnreachableError as error:
                verdict, status = NO_ANSWER, error.kind
            now = clock()
            self._answered(status, now - began)
            self.consequences.draw(lane, sent, stamp, verdict, status, began, now)
            if self._stopping and not self.gate.in_flight:
                self._quiet.set()

    def _judged(self) -> Turn | None:
        """The next head that need be sent; those that need not are settled on the way."""
        probing, lanes = self.gate.probing, self.lanes
        suppressed = 0
        while (lane := lanes.take_probe(self.gate.chance) if probing else lanes.take()) is not None:
            delivery = lane.queue[0]
            request = delivery.request
            stamp = FACT if request.state is None else stamp_of(request, delivery.ticket)
            sent = self._memory.judge(request, stamp)
            if isinstance(sent, Request):
                return lane, sent, stamp
            self.consequences.suppress(lane, sent, stamp)
            suppressed += 1
            if suppressed == MAX_SUPPRESSED:
                self._yield()
                break
        return None
