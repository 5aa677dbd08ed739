"""Consequences: what a verdict does to its event, its lane, the letters and the memory.

A head and Pendo's verdict on it go in; nothing is waited for. What the verdict means for the route as a whole has been
told to the gate before; whether a failing head is poison is decided by the poison clock.
"""

from time import time
from typing import Final, assert_never

from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lanes import Delivery, Lane, Lanes
from consumer.delivery.letters import Letters, letter_of
from consumer.delivery.memory import Memory, Stamp
from consumer.delivery.poison import Poison, Trouble
from consumer.delivery.retry import Backoff
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
    """

    __slots__ = ("_backoff", "_gate", "_lanes", "_letters", "_memory", "_poison", "_route", "_suspects", "ages")

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
        self.ages: dict[EventType, Histogram] = {}
        self._route = route
        self._gate = gate
        self._lanes = lanes
        self._memory = memory
        self._backoff = backoff
        self._poison = poison
        self._letters = letters
        # Heads that met 401 or 403, with their lanes, until another lane's head has told whose fault it is.
        self._suspects: list[tuple[Lane, Delivery]] = []

    def suppress(self, lane: Lane, reason: Reason, stamp: Stamp) -> None:
        """A head that need not be sent leaves its lane."""
        delivery = lane.queue[0]
        if reason is Reason.UNCHANGED:
            self._memory.note(delivery.request, stamp, delivered=False)
        delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, reason)
        self._lanes.advance(lane)

    def draw(
        self, lane: Lane, sent: Request, stamp: Stamp, verdict: Verdict, status: int | str, *, began: float, now: float
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
        gate, lanes = self._gate, self._lanes
        delivery = lane.queue[0]
        if isinstance(verdict, Locked):
            verdict = self._about_the_record(delivery, verdict, status)
        doubted = gate.in_doubt
        left = gate.flood.active and self._something_is_left()
        changed = gate.end(now, lane.key, verdict, began=began, lanes=len(lanes), left=left)
        match verdict:
            case Accepted():
                # Whoever owns the record by now: what Pendo has is known.
                self._memory.note(sent, stamp)
                if delivery.ticket.released:
                    self._memory.doubt(sent)
                delivery.ticket.settle(delivery.type, _DELIVERED, _NO_REASON)
                self._observe_age(delivery)
                lanes.advance(lane, succeeded=True)
            case OptedOut():
                delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, Reason.OPTED_OUT)
                lanes.advance(lane, succeeded=True)
            case Refused():
                self._refused(lane, delivery, verdict, status)
            case Later():
                self._memory.doubt(sent)
                self._failed(lane, delivery, verdict, status, now)
            case Locked():
                self._locked(lane, delivery, status, now)
            case _:
                assert_never(verdict)
        if doubted is not gate.in_doubt:
            self._on_doubt(delivery, status, now)
        if changed:
            self._on_gate_change(delivery, status, now)

    def _something_is_left(self) -> bool:
        """Whether a probe could go that has not been refused since probes were last accepted."""
        lanes = self._lanes
        return bool(lanes.ready) or len(lanes.aside) > self._gate.flood.round_refused

    def _refused(self, lane: Lane, delivery: Delivery, verdict: Refused, status: int | str) -> None:
        if delivery.ticket.released:
            self._lanes.advance(lane)
        elif self._gate.flood.active:
            self._lanes.set_aside(lane)
        else:
            self._park(delivery, verdict.reason, verdict.message, status)
            self._lanes.advance(lane)

    def _failed(self, lane: Lane, delivery: Delivery, verdict: Later, status: int | str, now: float) -> None:
        if delivery.ticket.released:
            self._lanes.advance(lane)
            return
        trouble = _trouble(delivery, status)
        gate = self._gate
        if lane.failing_since is None:
            lane.failing_since = now
        self._poison.count(lane, trouble, answered=gate.answered, accepted=gate.accepted, throttled=verdict.throttled)
        if self._poison.hopeless(lane):
            # It need not be waited for: from now on it loses a head as often as it is too long.
            lane.hopeless = True
            if delivery.ticket.progress.crowd is lane:
                delivery.ticket.progress.crowd = None
        if self._poison.exhausted(lane, trouble, now, self._lanes.healed_at):
            self._give_up(lane, Reason.EXHAUSTED)
        elif self._hopeless(lane) and self._stands_in_the_way(lane):
            self._give_up(lane, Reason.BLOCKING)
        else:
            delay_s = self._backoff.delay_s(delivery.attempts) if verdict.after_s is None else verdict.after_s
            self._lanes.retry(lane, now + delay_s, ordered=verdict.after_s is not None)

    def _locked(self, lane: Lane, delivery: Delivery, status: int | str, now: float) -> None:
        if delivery.ticket.released:
            self._lanes.advance(lane)
            return
        _trouble(delivery, status).locked_at = now
        if self._gate.in_doubt:
            self._lanes.set_aside(lane)
            self._suspects.append((lane, delivery))
        else:
            self._wait(lane, delivery, now)

    def _wait(self, lane: Lane, delivery: Delivery, now: float) -> None:
        # A stall acquits: what was answered in it says nothing of the record. But its own delay stays when the gate
        # opens: if the record itself is forbidden, it would close it again.
        if delivery.trouble is not None:
            delivery.trouble.locked_at = None
        self._lanes.retry(lane, now + self._backoff.delay_s(delivery.attempts), ordered=True)

    def _about_the_record(self, delivery: Delivery, verdict: Locked, status: int | str) -> Verdict:
        """A second 401 or 403, after a later request of another lane has passed, is about the record itself.

        But not while the credential itself is in question: then it may be wrong again.
        """
        gate, trouble = self._gate, delivery.trouble
        locked_at = None if trouble is None or verdict.stall is not Stall.CREDENTIALS else trouble.locked_at
        suspended = gate.in_doubt or gate.state in (GateState.STALLED, GateState.CIRCUIT)
        if locked_at is None or suspended or gate.passed_at <= locked_at:
            return verdict
        return Refused(Reason.FORBIDDEN, f"Pendo answered {status} to it twice, but not to others in between")

    def _on_doubt(self, delivery: Delivery, status: int | str, now: float) -> None:
        """The doubt has begun, or is over: then its suspects go again, after a stall each after its own delay."""
        seen = {"route": self._route, "status": status, "position": position(delivery.ticket.record)}
        if self._gate.in_doubt:
            log.warning("Pendo refused the credential for one event: trying it with another before going on", **seen)
            return
        suspects, self._suspects = self._suspects, []
        for lane, suspect in suspects:
            if not lane.aside or lane.queue[0] is not suspect:
                continue
            if self._gate.stall is not None:
                self._wait(lane, suspect, now)
            else:
                self._lanes.wake(lane)
        if self._gate.stall is None:
            log.info("the credential is good: the event that it was refused for is tried again", **seen)

    def relieve(self) -> bool:
        """A partition cannot be read on: give up what stands in its way and is hopeless.

        Returns:
            Whether something else stands there that fails, of which only others' passing can tell what it is.
        """
        undecided = False
        for lane in self._lanes.waiting():
            if not self._stands_in_the_way(lane):
                continue
            if self._hopeless(lane):
                self._give_up(lane, Reason.BLOCKING)
            else:
                undecided = True
        return undecided

    def _hopeless(self, lane: Lane) -> bool:
        """Whether the lane has failed often enough while others passed, and its head has too."""
        trouble = lane.queue[0].trouble
        return trouble is not None and trouble.counted > 0 and self._poison.hopeless(lane)

    def _stands_in_the_way(self, lane: Lane) -> bool:
        """Whether a head that has failed holds up its partition, while what is behind it goes through.

        If most of what is behind it is unfinished too, it is an outage, and nothing is given up.
        """
        progress = lane.queue[0].ticket.progress
        crowds = progress.crowd is lane or len(lane.queue) >= self._lanes.max_length
        if self._gate.probing or progress.released or not (progress.pressed or crowds):
            return False
        return progress.finished_beyond > progress.open_records_count - len(lane.queue)

    def _give_up(self, lane: Lane, reason: Reason) -> None:
        delivery = lane.queue[0]
        status = "" if delivery.trouble is None else delivery.trouble.status
        log.warning(
            "an event is given up: it fails while others pass",
            reason=reason,
            status=status,
            position=position(delivery.ticket.record),
            attempts=delivery.attempts,
        )
        self._park(delivery, reason, f"kept failing while others passed, last with {status}", status)
        self._lanes.conclude_waiting(lane)

    def _park(self, delivery: Delivery, reason: Reason, message: str, status: int | str) -> None:
        letter = letter_of(delivery, reason, message, status)
        self._letters.park(letter, delivery.ticket)

    def _observe_age(self, delivery: Delivery) -> None:
        ages = self.ages.get(delivery.type)
        if ages is None:
            ages = self.ages[delivery.type] = Histogram(AGE_BUCKETS_S)
        ages.observe(max(time() - delivery.ticket.arrived_ms / 1000, 0.0))

    def _on_gate_change(self, delivery: Delivery, status: int | str, now: float) -> None:
        seen = {"route": self._route, "status": status, "position": position(delivery.ticket.record)}
        match self._gate.state:
            case GateState.OPEN:
                self._lanes.wake_all(now)
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


def _trouble(delivery: Delivery, status: int | str) -> Trouble:
    trouble = delivery.trouble
    if trouble is None:
        trouble = delivery.trouble = Trouble()
    trouble.status = status
    return trouble
