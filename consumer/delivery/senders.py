"""The senders: the crew of a route that takes one event a request.

A head that the memory finds need be sent goes out as it is; its verdict goes to the consequences.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from consumer.delivery.consequences import Consequences
from consumer.delivery.crew import Crew
from consumer.delivery.gate import Gate
from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.letters import Letters
from consumer.delivery.memory import FACT, Memory, Stamp, stamp_of
from consumer.delivery.poison import Poison
from consumer.delivery.retry import Backoff
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import Verdict


class Destination(Protocol):
    """Where a route's requests go."""

    def post(self, body: bytes, on_end: Callable[[Any], None]) -> None:
        """Send a body, and tell what its request ends with, once."""

    def judge(self, end: Any) -> tuple[Verdict, int | str]:  # noqa: ANN401  # what `post` tells
        """What an end means, and its status, or `timeout` or `connection`."""


AHEAD_S: Final = 0.05
"""For so long what lies ready is enough: half of it is more than goes out until reading looks again. More would be sent
no sooner, and be out of the processor's caches."""
ROUNDS: Final = 2
"""Or for so many requests as may be in flight, if that is more: half of it is one for each, should all be answered at
once."""
MIN_READY: Final = 250
"""Half of what a poll brings."""
MAX_READY: Final = 1500
"""At real latencies it is far less; where answers come at once it is the processor that says how many go out."""
MAX_SUPPRESSED: Final = 100
"""Repeats may come by the ten thousand; the loop must get its turn in between."""

Turn = tuple[Lane, Request, Stamp]
"""A lane whose head is to go, what goes out of it, and how new that is."""


class Senders(Crew[Turn, Any]):
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
        destination: Destination,
        letters: Letters,
    ) -> None:
        lanes = Lanes(max_lane)
        consequences = Consequences(
            route, gate=gate, lanes=lanes, memory=memory, backoff=backoff, poison=poison, letters=letters
        )
        super().__init__(route, gate=gate, lanes=lanes, memory=memory, consequences=consequences)
        self._post = destination.post
        self._judge = destination.judge
        self._sated = False

    def add(self, delivery: Delivery) -> None:
        """See `Crew.add`."""
        if self.lanes.add(delivery):
            self.wake()

    def is_sated(self) -> bool:
        """See `Crew.is_sated`; from enough on until half of it is gone, so that reading goes in strides.

        Callers never are: the more lies there, the more goes in one call.
        """
        limit = self.gate.limit
        enough = max(min(max(AHEAD_S * limit.answers_per_s, MIN_READY), MAX_READY), ROUNDS * limit.value)
        self._sated = len(self.lanes.ready) >= (enough / 2 if self._sated else enough)
        return self._sated

    def _send(self, turn: Turn, now: float) -> None:
        self._post(turn[1].body, partial(self._answered, turn, now))

    def _draw(self, turn: Turn, told: Any, began: float, now: float) -> int | str:  # noqa: ANN401  # for `judge`
        lane, sent, stamp = turn
        verdict, status = self._judge(told)
        self.consequences.draw(lane, sent, stamp, verdict, status, began, now)
        return status

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
                self.wake()
                break
        return None
