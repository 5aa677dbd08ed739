"""The gate of one route: may a request go now, and if not, when?

Every verdict is told to it; it answers `wait_s` and keeps the reason visible in `state`. It is handed the time and the
randomness and never waits itself. It does not know what is sent.

- *open*: up to `limit` requests at once, within the quota; `Retry-After` for two lanes closes the route for as long.
- *circuit*: Pendo is unreachable. One probe at a time: ready heads a second apart, failed ones further and further.
- *stalled*: the credential or the URL is wrong. Probed likewise; a changed credential is tried at once.
- *flood*: most events are refused. Probed likewise; after the first acceptance without a pause.

Circuit and stall end with the first answer that is about a request itself (accepted or refused). A first 401 or 403
does not stall the route: it is in *doubt*, until a request of another lane, the trial, has shown whose fault it is.
"""

from collections.abc import Callable, Collection
from enum import IntEnum
from math import inf
from typing import Final, assert_never

from consumer.delivery.backlog import Backlog
from consumer.delivery.bucket import Bucket
from consumer.delivery.circuit import Circuit
from consumer.delivery.doubt import Doubt
from consumer.delivery.flood import Flood
from consumer.delivery.lease import Lease
from consumer.delivery.limit import Limit
from consumer.delivery.schedule import MIN_PROBE_DELAY_S, Schedule
from consumer.delivery.throttle import Throttle
from consumer.outcomes import Reason
from consumer.pendo.verdicts import Accepted, Later, Locked, OptedOut, Refused, Stall, Verdict

_CLOSING_LANES: Final = 2
"""So many lanes' 429 close the route: of a call that carried hundreds no more need be told to the throttle."""


class GateState(IntEnum):
    """The values of the metric `gate_state`."""

    OPEN = 0
    CIRCUIT = 1
    STALLED = 2
    FLOOD = 3


_OPEN: Final = (GateState.OPEN, None)
"""State and stall as a rule: each answer asks for them, and Python 3.11 finds a member of an enum by a call."""


class Gate:
    """One route's gate.

    Attributes:
        stall: What an operator must mend, while stalled.
        doubt: Whether it is being found out which is wrong, the credential or the record that met 401 or 403.
        limit: Requests at once while open.
        bucket: Requests a second, when there is a quota.
        flood: The flood stop.
        probing: Whether the next request is a probe, for which a failed head need not wait.
        in_flight: Requests on the wire.
        answered: Answers so far, of whatever kind.
        accepted: Acceptances among them.
        passed_at: When the latest request went that was answered for its own sake; seconds of the loop's clock.
    """

    def __init__(
        self,
        *,
        limit: Limit,
        lease: Lease,
        flood: Flood,
        bucket: Bucket,
        max_probe_delay_s: float,
        random: Callable[[], float],
    ) -> None:
        self.stall: Stall | None = None
        self.doubt = Doubt()
        self.limit = limit
        self.bucket = bucket
        self.flood = flood
        # Kept beside what it follows from (circuit, stall, doubt, flood): every request asks.
        self.probing = False
        self.in_flight = 0
        self.answered = 0
        self.accepted = 0
        self.passed_at = -inf
        self._lease = lease
        self._random = random
        self._circuit = Circuit()
        self._probes = Schedule(max_probe_delay_s, random)
        self._throttle = Throttle()
        self._stalled_at = -inf

    @property
    def state(self) -> GateState:
        """What it is; of several reasons the one that must go first."""
        if self.stall is not None:
            return GateState.STALLED
        if self._circuit.opened:
            return GateState.CIRCUIT
        return GateState.FLOOD if self.flood.active else GateState.OPEN

    @property
    def outage_since(self) -> float | None:
        """Since when Pendo has answered nothing; seconds of the loop's clock, None when it is no outage."""
        return self._circuit.since if self._circuit.opened else None

    def wait_s(self, now: float, *, ready: bool) -> float:
        """Seconds until a request may go: 0 for now, infinite when only an event (a verdict) can change it.

        Args:
            now: Seconds of the loop's clock.
            ready: Whether a head stands ready, one that has not failed or whose own delay has passed. In an outage it
                is the better probe, and need not wait until the probes' own delay has passed.
        """
        if not self._lease.allows(now):
            return inf
        if self.probing:
            wait_s = self._probe_wait_s(now, ready=ready)
        elif self.in_flight >= self.limit.value:
            return inf
        else:
            wait_s = self._throttle.closed_until - now
        return wait_s if wait_s > 0 else self.bucket.wait_s(now)

    def _probe_wait_s(self, now: float, *, ready: bool) -> float:
        if self.doubt.active and self.stall is None and not self._circuit.opened:
            if self.doubt.trial_out:
                return inf
            due = self.doubt.trial_due if ready else self._probes.due
        elif self.in_flight:
            return inf
        else:
            due = self._probes.due_ready if self.stall is None and ready and self._circuit.opened else self._probes.due
        return max(due, self._throttle.closed_until) - now

    @property
    def chance(self) -> float:
        """For `take_probe`: in a flood, probes are to be a fair sample of what would go next."""
        return self._random() if self.flood.active and not self.doubt.active else 1.0

    def begin(self, now: float) -> None:
        """A request goes."""
        self.in_flight += 1
        if self.in_flight >= self.limit.value:
            self.limit.reached = True
        self.bucket.take()
        self._probes.went = now
        if self.doubt.active:
            self.doubt.trial_out = True

    def end(
        self,
        now: float,
        lane: str,
        verdict: Verdict,
        began: float,
        backlog: Backlog,
        others: Collection[tuple[str, Verdict]] = (),
    ) -> bool:
        """A request got its verdict.

        Args:
            now: Seconds of the loop's clock.
            lane: Whose request it was.
            verdict: What became of it.
            began: When it went.
            backlog: What else there is.
            others: Of a call: its other lanes, each with its verdict; one answer all the same, in a flood no probe.

        Returns:
            Whether `state` or `stall` changed.
        """
        before = (self.state, self.stall) if self.probing else _OPEN
        self.in_flight -= 1
        self.answered += 1
        if self.doubt.active:
            self.doubt.answered(began)
        match verdict:
            case Accepted():
                self.accepted += 1
                self._pass(now, lane, began)
                if not self.flood.active:
                    self.flood.answers += 1
                elif not others:
                    self._probed(now, backlog, refused=False)
            case Refused():
                self._refuse(now, lane, verdict, began, backlog)
            case OptedOut():
                self._pass(now, lane, began)
            case Later():
                self._fail(now, lane, verdict, began, backlog)
            case Locked():
                self._lock(now, verdict.stall, began)
            case _:
                assert_never(verdict)
        for other, its in others:
            self._end_beside(now, other, its)
        self.limit.answered(now, now - began)
        return (self.probing or before is not _OPEN) and before != (self.state, self.stall)

    def _note_probing(self) -> None:
        self.probing = self._circuit.opened or self.stall is not None or self.doubt.active or self.flood.active

    def _pass(self, now: float, lane: str, began: float) -> None:
        """An answer about the request itself: Pendo was reached, with a credential that it knows."""
        if began > self.passed_at:  # noqa: PLR1730  # max() takes as long as all the rest here
            self.passed_at = began
        if self._circuit.failing:
            self._circuit.failing.clear()
        if self._throttle.lanes:
            self._throttle.passed(lane)
        if self.probing:
            self._reopen(now, began)

    def _reopen(self, now: float, began: float) -> None:
        self.doubt.passed(began)
        if began >= self._stalled_at:
            self.stall = None
        if self._circuit.opened:
            self._circuit.opened = False
            self.limit.restart()
        self._note_probing()
        if not self.probing:
            self._probes.at_once(now)

    def _refuse(self, now: float, lane: str, verdict: Refused, began: float, backlog: Backlog) -> None:
        # What is forbidden was answered like a wrong credential: it is no proof that ours is good.
        if verdict.reason is not Reason.FORBIDDEN:
            self._pass(now, lane, began)
        if self.flood.active:
            self._probed(now, backlog, refused=True)
        else:
            self._count_refused(now)

    def _end_beside(self, now: float, lane: str, verdict: Verdict) -> None:
        """What one more lane of the same call adds; in a flood nothing, where each answer is a probe's."""
        match verdict:
            case Accepted() if not self.flood.active:
                self.flood.answers += 1
            case Refused() if not self.flood.active:
                self._count_refused(now)
            case Later() if not verdict.throttled:
                self._circuit.failed(now, lane)
            case Later() if len(self._throttle.lanes) < _CLOSING_LANES:
                self._throttle.throttled(now, lane, verdict.after_s)

    def _count_refused(self, now: float) -> None:
        if self.flood.refused():
            self._note_probing()
            self._probes.failed(now, last=not self.in_flight)

    def _probed(self, now: float, backlog: Backlog, *, refused: bool) -> None:
        """While the flood stop is on, probes follow each other at once or further and further apart."""
        flood = self.flood
        flood.probed(refused=refused, left=backlog.untried(flood.round_refused))
        if flood.in_round or not flood.active:
            self._note_probing()
            self._probes.at_once(now)
        else:
            self._probes.failed(now, last=not self.in_flight)

    def begin_flood(self) -> None:
        """Somebody else was in a flood stop, over records that are ours now."""
        self.flood.begin()
        self._note_probing()

    def _fail(self, now: float, lane: str, verdict: Later, began: float, backlog: Backlog) -> None:
        self.limit.failed()
        if verdict.throttled:
            self._throttle.throttled(now, lane, verdict.after_s)
        else:
            self._circuit.failed(now, lane)
            if self._circuit.opens(now, len(backlog)):
                self._note_probing()
        if self.probing:
            # One visitor's is its own: on a quiet topic it may be the only one that fails, and no outage at all.
            if verdict.after_s is not None and not verdict.throttled and len(self._circuit.failing) > 1:
                self._probes.asked(now + verdict.after_s)
            self._probes.failed(now, verdict.after_s, last=not self.in_flight)
            self.doubt.failed(began, self._probes.due)

    def _lock(self, now: float, stall: Stall, began: float) -> None:
        """A first 401 or 403 is a doubt; the trials', or any answer of another endpoint, is a stall."""
        if stall is Stall.CREDENTIALS and self.stall is None and not self._circuit.opened:
            if not self.doubt.active:
                self.doubt.begin(now)
                self._note_probing()
                self._probes.due = now + MIN_PROBE_DELAY_S
                return
            if not self.doubt.locked(began):
                return
        self.doubt.active = False
        self._stalled_at = now
        self.stall = stall
        self._note_probing()
        self._probes.failed(now, last=not self.in_flight)

    def probe_now(self) -> None:
        """Something changed that may heal a stall: try at once, whatever the delay has grown to."""
        self._probes.at_once(0.0)
