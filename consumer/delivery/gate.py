"""The gate of one route: may a request go now, and if not, when?

Every verdict is told to it; it answers `wait_s` and keeps the reason visible in `state`. It is handed the time and the
randomness and never waits itself. It does not know what is sent.

- *open*: up to `limit` requests at once, within the quota; `Retry-After` for two lanes closes the route for as long.
- *circuit*: Pendo is unreachable. One probe at a time, further and further apart.
- *stalled*: the credential or the URL is wrong. Probed likewise; a changed credential is tried at once.
- *flood*: most events are refused. Probed likewise; after the first acceptance without a pause.

Circuit and stall end with the first answer that is about a request itself (accepted or refused). A first 401 or 403
does not stall the route: it is in *doubt*, until a request of another lane, the trial, has shown whose fault it is.
"""

from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import Final, assert_never

from consumer.delivery.bucket import Bucket
from consumer.delivery.flood import Flood
from consumer.delivery.lease import Lease
from consumer.delivery.limit import Limit
from consumer.delivery.throttle import Throttle
from consumer.outcomes import Reason
from consumer.pendo.verdicts import Accepted, Later, Locked, OptedOut, Refused, Stall, Verdict

CIRCUIT_AFTER_S: Final = 10.0
"""No success for so long is an outage; shorter troubles are left to each lane's own retries."""
CIRCUIT_LANES: Final = 10
"""So many lanes, or all there are, must be failing: a few bad visitors are no outage."""
MIN_PROBE_DELAY_S: Final = 1.0
TRIALS: Final = 2
"""So many others must meet 401 or 403 too for a stall: where some records are forbidden, one of them may be another."""


class GateState(IntEnum):
    """The values of the metric `gate_state`."""

    OPEN = 0
    CIRCUIT = 1
    STALLED = 2
    FLOOD = 3


_OPEN: Final = GateState.OPEN
"""Each answer asks for it, and Python 3.11 finds a member of an enum by a function call."""


class Gate:
    """One route's gate.

    Attributes:
        stall: What an operator must mend, while stalled.
        in_doubt: Whether it is being found out which is wrong, the credential or the record that met 401 or 403.
        limit: Requests at once while open.
        bucket: Requests a second, when there is a quota.
        flood: The flood stop.
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
        self.in_doubt = False
        self.limit = limit
        self.bucket = bucket
        self.flood = flood
        self.in_flight = 0
        self.answered = 0
        self.accepted = 0
        self.passed_at = -inf
        self._lease = lease
        self._random = random
        self._circuit = False
        # Stalled, in doubt or an open circuit: kept beside them, since every request asks.
        self._closed = False
        self._max_probe_delay_s = max(max_probe_delay_s, MIN_PROBE_DELAY_S)
        self._probe_delay_s = MIN_PROBE_DELAY_S
        self._next_probe = 0.0
        self._went = 0.0
        self._failing: set[str] = set()
        self._failing_since = 0.0
        self._throttle = Throttle()
        self._stalled_at = -inf
        self._doubted_at = -inf
        self._trial_out = False
        self._trials = 0
        self._trial_wait_until = 0.0

    @property
    def state(self) -> GateState:
        """What it is; of several reasons the one that must go first."""
        if self.stall is not None:
            return GateState.STALLED
        if self._circuit:
            return GateState.CIRCUIT
        return GateState.FLOOD if self.flood.active else GateState.OPEN

    def wait_s(self, now: float, *, ready: bool) -> float:
        """Seconds until a request may go: 0 for now, infinite when only an event (a verdict) can change it.

        Args:
            now: Seconds of the loop's clock.
            ready: Whether a head stands ready, one that has not failed or whose own delay has passed. In an outage it
                is the better probe, and need not wait until the probes' own delay has passed.
        """
        if not self._lease.allows(now):
            return inf
        if self._closed or self.flood.active:
            wait_s = self._probe_wait_s(now, ready=ready)
        elif self.in_flight >= self.limit.value:
            return inf
        else:
            wait_s = self._throttle.closed_until - now
        return wait_s if wait_s > 0 else self.bucket.wait_s(now)

    def _probe_wait_s(self, now: float, *, ready: bool) -> float:
        if self.in_doubt and self.stall is None and not self._circuit:
            if self._trial_out:
                return inf
            return (self._trial_wait_until if ready else self._next_probe) - now
        if self.in_flight:
            return inf
        if self.stall is None and ready and self._circuit:
            return min(self._next_probe, self._went + MIN_PROBE_DELAY_S) - now
        return max(self._next_probe, self._throttle.closed_until) - now

    @property
    def probing(self) -> bool:
        """Whether the next request is a probe, for which a failed head need not wait."""
        return self._closed or self.flood.active

    @property
    def chance(self) -> float:
        """For `take_probe`: in a flood, probes are to be a fair sample of what would go next."""
        return self._random() if self.flood.active and not self.in_doubt else 1.0

    def begin(self, now: float) -> None:
        """A request goes."""
        self.in_flight += 1
        if self.in_flight >= self.limit.value:
            self.limit.reached()
        self.bucket.take()
        self._went = now
        if self.in_doubt:
            self._trial_out = True

    def end(self, now: float, lane: str, verdict: Verdict, *, began: float, lanes: int, left: bool) -> bool:
        """A request got its verdict.

        Args:
            now: Seconds of the loop's clock.
            lane: Whose request it was.
            verdict: What became of it.
            began: When it went.
            lanes: How many lanes hold open deliveries.
            left: Whether there is anything else that could be probed.

        Returns:
            Whether `state` or `stall` changed.
        """
        calm = not (self._closed or self.flood.active)
        before, stall = _OPEN if calm else self.state, self.stall
        self.in_flight -= 1
        self.answered += 1
        failed = False
        if self.in_doubt and began >= self._doubted_at:
            self._trial_out = False
        match verdict:
            case Accepted():
                self.accepted += 1
                self._pass(now, lane, began)
                self._count(now, refused=False, left=left)
            case Refused():
                # What is forbidden was answered like a wrong credential: it is no proof that ours is good.
                if verdict.reason is not Reason.FORBIDDEN:
                    self._pass(now, lane, began)
                self._count(now, refused=True, left=left)
            case OptedOut():
                self._pass(now, lane, began)
            case Later():
                failed = True
                self._fail(now, lane, verdict, began, lanes)
            case Locked():
                self._lock(now, verdict.stall, began)
            case _:
                assert_never(verdict)
        self.limit.answered(now, now - began, failed=failed)
        if calm and not (self._closed or self.flood.active):
            return False
        return before is not self.state or stall is not self.stall

    def _pass(self, now: float, lane: str, began: float) -> None:
        """An answer about the request itself: Pendo was reached, with a credential that it knows."""
        if began > self.passed_at:  # noqa: PLR1730  # max() takes a tenth of what a whole answer costs here
            self.passed_at = began
        if self._failing:
            self._failing.clear()
        if self._throttle.lanes:
            self._throttle.passed(lane)
        if self._closed:
            self._reopen(now, began)

    def _reopen(self, now: float, began: float) -> None:
        if began >= self._doubted_at:
            self.in_doubt = False
        if began >= self._stalled_at:
            self.stall = None
        if self._circuit:
            self._circuit = False
            self.limit.restart()
        self._closed = self.stall is not None or self.in_doubt
        if not self.probing:
            self._probe_delay_s = MIN_PROBE_DELAY_S
            self._next_probe = now

    def _count(self, now: float, *, refused: bool, left: bool) -> None:
        """Tell the flood stop; while it is on, probes follow each other at once or further and further apart."""
        flood = self.flood
        flooded = flood.active
        flood.count(refused=refused, left=left)
        if flood.in_round or (flooded and not flood.active):
            self._probe_delay_s = MIN_PROBE_DELAY_S
            self._next_probe = now
        elif flood.active:
            self._schedule_probe(now, None)

    def _fail(self, now: float, lane: str, verdict: Later, began: float, lanes: int) -> None:
        if verdict.throttled:
            self._throttle.throttled(now, lane, verdict.after_s)
        elif not self._circuit:
            if not self._failing:
                self._failing_since = now
            self._failing.add(lane)
            if now - self._failing_since >= CIRCUIT_AFTER_S and len(self._failing) >= min(CIRCUIT_LANES, lanes):
                self._circuit = self._closed = True
        if self.probing:
            self._schedule_probe(now, verdict.after_s)
            if began >= self._doubted_at:
                self._trial_wait_until = self._next_probe

    def _lock(self, now: float, stall: Stall, began: float) -> None:
        """A first 401 or 403 is a doubt; the trials', or any answer of another endpoint, is a stall."""
        self._closed = True
        if stall is Stall.CREDENTIALS and self.stall is None and not self._circuit:
            if not self.in_doubt:
                self.in_doubt = True
                self._doubted_at = self._trial_wait_until = now
                self._trial_out = False
                self._trials = 0
                self._next_probe = now + MIN_PROBE_DELAY_S
                return
            self._trials += began >= self._doubted_at
            if self._trials < TRIALS:
                return
        self.in_doubt = False
        self._stalled_at = now
        self.stall = stall
        self._schedule_probe(now, None)

    def _schedule_probe(self, now: float, after_s: float | None) -> None:
        """Further and further apart, jittered so that pods do not probe in step.

        Requests that were on the wire when the gate closed are no probes: only the last of them counts as one.
        """
        jittered_s = self._probe_delay_s * (0.5 + self._random() / 2)
        self._next_probe = now + max(jittered_s, after_s or 0.0, MIN_PROBE_DELAY_S)
        if self.in_flight == 0:
            self._probe_delay_s = min(2 * self._probe_delay_s, self._max_probe_delay_s)

    def probe_now(self) -> None:
        """Something changed that may heal a stall: try at once, whatever the delay has grown to."""
        self._next_probe = 0.0
        self._probe_delay_s = MIN_PROBE_DELAY_S
