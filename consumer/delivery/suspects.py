"""Suspects: heads that met 401 or 403, until others have shown whether the credential is wrong or they are.

Such heads go in; they come out as forbidden, or go back to their lanes to be tried again. Whether the route is in
doubt or stalled is the gate's to say.
"""

from typing import Final

from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.poison import Together, Trouble
from consumer.delivery.retry import Backoff
from consumer.kafka.records import position
from consumer.log import get_logger
from consumer.outcomes import Reason
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import Locked, Refused, Stall, Verdict

log = get_logger(__name__)

MAX_LISTED: Final = 20
"""Positions in a log line: a call alone may carry five hundred."""


class Suspects:
    """One route's."""

    __slots__ = ("_backoff", "_gate", "_lanes", "_route", "_set_aside")

    def __init__(self, route: Route, *, gate: Gate, lanes: Lanes, backoff: Backoff) -> None:
        self._route = route
        self._gate = gate
        self._lanes = lanes
        self._backoff = backoff
        self._set_aside: list[tuple[Lane, Delivery]] = []

    def judge(self, head: Delivery, verdict: Locked, status: int | str, *, alone: bool = True) -> Verdict:
        """A second 401 or 403, after a later request of another lane has passed, is about the record itself.

        But not while the credential itself is in question: then it may be wrong again. And the first must have been
        about it, not about others of its call: else the second, of what goes alone now, may be the credential's.
        """
        gate, trouble = self._gate, head.trouble
        locked_at = None if trouble is None or verdict.stall is not Stall.CREDENTIALS else trouble.locked_at
        suspended = gate.doubt.active or gate.state in (GateState.STALLED, GateState.CIRCUIT)
        if locked_at is None or suspended or gate.passed_at < locked_at:
            return verdict
        if alone and trouble is not None and trouble.locked_with.left > 1:
            return verdict
        return Refused(Reason.FORBIDDEN, f"Pendo answered {status} to it twice, but not to others in between")

    def take(self, lane: Lane, trouble: Trouble, now: float, together: Together | None = None) -> None:
        """A head that met 401 or 403 waits: in a doubt until it is over, else for its own delay.

        Args:
            lane: Its lane.
            trouble: Its own.
            now: Seconds of the loop's clock.
            together: What went in the same call; None when it went alone.
        """
        lock(lane, together or Together(1), now)
        if self._gate.doubt.active:
            self._lanes.set_aside(lane)
            self._set_aside.append((lane, lane.queue[0]))
        else:
            self._wait(lane, trouble, now)

    def _wait(self, lane: Lane, trouble: Trouble, now: float) -> None:
        # A stall acquits: what was answered in it says nothing of the record. But its own delay stays when the gate
        # opens: if the record itself is forbidden, it would close it again.
        for delivery in lane.queue:
            if delivery.trouble is not None:
                delivery.trouble.locked_at = None
        self._lanes.retry(lane, now + self._backoff.delay_s(trouble.attempts), asked=True)

    def on_doubt(self, head: Delivery, status: int | str, now: float) -> None:
        """The doubt has begun, or is over: then all go again, after a stall each after its own delay."""
        if self._gate.doubt.active:
            log.warning(
                "Pendo refused the credential for one event: trying it with another before going on",
                route=self._route,
                status=status,
                position=position(head.ticket.record),
            )
            return
        suspects, self._set_aside = self._set_aside, []
        for lane, suspect in suspects:
            if not lane.aside or lane.queue[0] is not suspect:
                continue
            if self._gate.stall is not None and suspect.trouble is not None:
                self._wait(lane, suspect.trouble, now)
            else:
                self._lanes.wake(lane)
        if self._gate.stall is None:
            log.info(
                "the credential is good: the events that it was refused for are tried again",
                route=self._route,
                positions=[position(suspect.ticket.record) for _, suspect in suspects[:MAX_LISTED]],
                suspects=len(suspects),
            )


def lock(lane: Lane, together: Together, now: float) -> None:
    """What is in flight of a lane met 401 or 403: others must pass from now on before that says anything of it."""
    for delivery in lane.queue[: max(lane.in_flight, 1)]:
        if delivery.trouble is not None:
            delivery.trouble.locked_at = now
            delivery.trouble.locked_with = together
