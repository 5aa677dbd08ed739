"""Consequences: what a verdict does to its event, its lane, the letters and the memory.

A head and Pendo's verdict on it go in; nothing is waited for. What the verdict means for the route as a whole has been
told to the gate before; whether a failing head is poison is decided by the poison clock.
"""

from collections import defaultdict
from math import inf
from time import time
from typing import Final, assert_never

from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lanes import Delivery, Lane, Lanes
from consumer.delivery.letters import Letters, letter_of
from consumer.delivery.memory import Memory, Stamp
from consumer.delivery.poison import Failing, Poison, Trouble
from consumer.delivery.relief import Relief
from consumer.delivery.retry import Backoff
from consumer.delivery.suspects import Suspects
from consumer.kafka.records import position
from consumer.log import get_logger
from consumer.metrics import AGE_BUCKETS_S, Histogram
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import Accepted, Later, Locked, OptedOut, Refused, Stall, Verdict

log = get_logger(__name__)

# Looking a member up in its enum takes as long as a small function.
_DELIVERED: Final = Outcome.DELIVERED
_NO_REASON: Final = Reason.NONE
_REMEDIES: Final = {
    Stall.CREDENTIALS: "Pendo refuses the credential: nothing is delivered until it is replaced; records stay in Kafka",
    Stall.ENDPOINT: "this is not Pendo's endpoint: check pendo.region, data_url and proxy; records stay in Kafka",
}


class Consequences:
    """Acts on verdicts.

    Attributes:
        ages: Seconds from a record's arrival to its acceptance, by event type.
        relief: Gives up what blocks a partition.
    """

    __slots__ = (
        "_backoff",
        "_closed_at",
        "_gate",
        "_lanes",
        "_letters",
        "_memory",
        "_poison",
        "_route",
        "_suspects",
        "ages",
        "relief",
    )

    def __init__(
        self,
        route: Route,
        *,
        gate: Gate,
        lanes: Lanes,
        memory: Memory,
        backoff: Backoff,
        poison: Poison,
        letters: Letters,
    ) -> None:
        self.ages: defaultdict[EventType, Histogram] = defaultdict(lambda: Histogram(AGE_BUCKETS_S))
        self.relief = Relief(gate=gate, lanes=lanes, poison=poison, letters=letters)
        self._suspects = Suspects(route, gate=gate, lanes=lanes, backoff=backoff)
        # When the gate closed; all of the past when it has not, or was closed by somebody else.
        self._closed_at = -inf
        self._route = route
        self._gate = gate
        self._lanes = lanes
        self._memory = memory
        self._backoff = backoff
        self._poison = poison
        self._letters = letters

    def suppress(self, lane: Lane, reason: Reason, stamp: Stamp) -> None:
        """A head that need not be sent leaves its lane."""
        delivery = lane.queue[0]
        if reason is Reason.UNCHANGED:
            self._memory.note(delivery.request, stamp, delivered=False)
        delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, reason)
        self._lanes.advance(lane)

    def draw(
        self, lane: Lane, sent: Request, stamp: Stamp, verdict: Verdict, status: int | str, began: float, now: float
    ) -> None:
        """Act on a verdict.

        Args:
            lane: Whose head was sent.
            sent: What went out of it.
            stamp: How new that is.
            verdict: Pendo's.
            status: The HTTP status, or `timeout` or `connection`.
            began: When the request went; seconds of the loop's clock.
            now: When it was answered.
        """
        gate, delivery = self._gate, lane.queue[0]
        if isinstance(verdict, Locked):
            verdict = self._suspects.judge(delivery, verdict, status)
        doubted = gate.doubt.active
        changed = gate.end(now, lane.key, verdict, began, self._lanes)
        match verdict:
            case Accepted():
                self._accepted(lane, delivery, sent, stamp)
            case OptedOut():
                delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, Reason.OPTED_OUT)
                lane.failing = None
                self._lanes.advance(lane)
            case Later() | Locked() | Refused():
                self._not_accepted(lane, sent, verdict, status, began, now)
            case _:
                assert_never(verdict)
        if doubted is not gate.doubt.active:
            self._suspects.on_doubt(delivery, status, now)
        if changed:
            self._on_gate_change(delivery, status, now)

    def _accepted(self, lane: Lane, delivery: Delivery, sent: Request, stamp: Stamp) -> None:
        # Whoever owns the record by now: what Pendo has is known.
        self._memory.note(sent, stamp)
        ticket = delivery.ticket
        if ticket.progress.released:
            self._memory.forget_values(sent)
        ticket.settle(delivery.type, _DELIVERED, _NO_REASON)
        age_s = time() - ticket.arrived_ms / 1000
        self.ages[delivery.type].observe(age_s if age_s > 0 else 0.0)
        lane.failing = None
        self._lanes.advance(lane)

    def _not_accepted(
        self,
        lane: Lane,
        sent: Request,
        verdict: Later | Locked | Refused,
        status: int | str,
        began: float,
        now: float,
    ) -> None:
        if isinstance(verdict, Later):
            self._memory.forget_values(sent)
        delivery = lane.queue[0]
        if delivery.ticket.progress.released:
            self._lanes.advance(lane)
            return
        trouble = delivery.trouble
        if trouble is None:
            trouble = delivery.trouble = Trouble(int((time() - (now - began)) * 1000))
        trouble.attempts += 1
        trouble.status = status
        match verdict:
            case Refused():
                self._refused(lane, trouble, verdict)
            case Later():
                self._failed(lane, trouble, verdict, now)
            case Locked():
                self._suspects.take(lane, trouble, now)
            case _:
                assert_never(verdict)

    def _refused(self, lane: Lane, trouble: Trouble, verdict: Refused) -> None:
        if self._gate.flood.active:
            self._lanes.set_aside(lane)
            return
        delivery = lane.queue[0]
        self._letters.park(letter_of(delivery, trouble, verdict.reason, verdict.message), delivery.ticket)
        self._lanes.advance(lane)

    def _failed(self, lane: Lane, trouble: Trouble, verdict: Later, now: float) -> None:
        gate = self._gate
        if lane.failing is None:
            lane.failing = Failing(now)
        counts = self._poison.count(
            lane.failing, trouble, answered=gate.answered, accepted=gate.accepted, throttled=verdict.throttled
        )
        if not (counts and self.relief.gives_up(lane, now)):
            delay_s = self._backoff.delay_s(trouble.attempts) if verdict.after_s is None else verdict.after_s
            self._lanes.retry(lane, now + delay_s, asked=verdict.after_s is not None)

    def _on_gate_change(self, delivery: Delivery, status: int | str, now: float) -> None:
        seen = {"route": self._route, "status": status, "position": position(delivery.ticket.record)}
        if self._gate.state is not GateState.OPEN and self._closed_at == -inf:
            self._closed_at = now
        match self._gate.state:
            case GateState.OPEN:
                self._lanes.excuse(self._closed_at, now)
                self._closed_at = -inf
                self._lanes.wake_all()
                self._lanes.wake_aside()
                log.info("Pendo answers again: delivering", **seen)
            case GateState.CIRCUIT:
                log.warning("Pendo is unreachable: keeping the records in Kafka and probing", **seen)
            case GateState.STALLED:
                log.error(_REMEDIES[self._gate.stall or Stall.ENDPOINT], **seen)
            case GateState.FLOOD:
                log.error(
                    "most events are refused: delivery is stopped but for probes, the events stay in Kafka. Look into "
                    "the dead-letter topic for the reason",
                    **seen,
                )
            case _:
                assert_never(self._gate.state)
