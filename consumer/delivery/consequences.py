"""Consequences: what a verdict does to its event, its lane, the letters and the memory.

A head and Pendo's verdict on it go in; nothing is waited for. What the verdict means for the route as a whole has been
told to the gate before; whether a failing head is poison is decided by the poison clock.
"""

from collections import defaultdict
from time import time
from typing import Final, assert_never

from consumer.delivery.daily import Days
from consumer.delivery.gate import Gate
from consumer.delivery.gate_changes import GateChanges
from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.letters import Letters, letter_of
from consumer.delivery.memory import Memory, Stamp
from consumer.delivery.poison import Failing, Poison, Trouble
from consumer.delivery.relief import Relief
from consumer.delivery.retry import Backoff
from consumer.delivery.suspects import Suspects
from consumer.metrics import AGE_BUCKETS_S, Histogram
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import Accepted, Later, Locked, OptedOut, Refused, Verdict

# Looking a member up in its enum takes as long as a small function.
_DELIVERED: Final = Outcome.DELIVERED
_NO_REASON: Final = Reason.NONE


class Consequences:
    """Acts on verdicts.

    Attributes:
        ages: Seconds from a record's arrival to its acceptance, by event type.
        days: What was delivered on each day, by name.
        relief: Gives up what blocks a partition.
    """

    __slots__ = (
        "_backoff",
        "_changes",
        "_gate",
        "_lanes",
        "_letters",
        "_memory",
        "_poison",
        "_route",
        "_suspects",
        "ages",
        "days",
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
        self.days = Days()
        self.relief = Relief(gate=gate, lanes=lanes, poison=poison, letters=letters)
        self._suspects = Suspects(route, gate=gate, lanes=lanes, backoff=backoff)
        self._changes = GateChanges(route, gate=gate, lanes=lanes)
        self._route = route
        self._gate = gate
        self._lanes = lanes
        self._memory = memory
        self._backoff = backoff
        self._poison = poison
        self._letters = letters

    def suppress(self, lane: Lane, reason: Reason, stamp: Stamp) -> None:
        """A head that need not be sent leaves its lane."""
        self.settle_suppressed(lane.queue[0], reason, stamp)
        self._lanes.advance(lane)

    def settle_suppressed(self, delivery: Delivery, reason: Reason, stamp: Stamp) -> None:
        """A delivery that need not be sent has its end."""
        if reason is Reason.UNCHANGED:
            self._memory.note(delivery.request, stamp, delivered=False)
        delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, reason, delivery.index)

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
        if delivery.ticket.traced:
            delivery.ticket.attempted(delivery.index, self._route, status, now - began)
        if isinstance(verdict, Locked):
            verdict = self._suspects.judge(delivery, verdict, status)
        doubted = gate.doubt.active
        changed = gate.end(now, lane.key, verdict, began, self._lanes)
        match verdict:
            case Accepted():
                self._accepted(lane, delivery, sent, stamp)
            case OptedOut():
                delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, Reason.OPTED_OUT, delivery.index)
                lane.failing = None
                self._lanes.advance(lane)
            case Later() | Locked() | Refused():
                self._not_accepted(lane, sent, verdict, status, began, now)
            case _:
                assert_never(verdict)
        if doubted is not gate.doubt.active:
            self._suspects.on_doubt(delivery, status, now)
        if changed:
            self._changes.note(delivery, status, now)

    def _accepted(self, lane: Lane, delivery: Delivery, sent: Request, stamp: Stamp) -> None:
        # Whoever owns the record by now: what Pendo has is known.
        self._memory.note(sent, stamp)
        ticket = delivery.ticket
        if ticket.progress.released:
            self._memory.forget_values(sent)
        ticket.settle(delivery.type, _DELIVERED, _NO_REASON, delivery.index)
        now_s = time()
        self.days.count(delivery.type, delivery.request.name, now_s)
        age_s = now_s - ticket.arrived_ms / 1000
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
        trouble = note_attempt(delivery, status, now - began)
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


def note_attempt(delivery: Delivery, status: int | str, took_s: float) -> Trouble:
    """Count an attempt that was not accepted."""
    trouble = delivery.trouble
    if trouble is None:
        trouble = delivery.trouble = Trouble(int((time() - took_s) * 1000))
    trouble.attempts += 1
    trouble.status = status
    return trouble
