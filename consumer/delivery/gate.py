"""The gate of one route: may a request go now, and if not, when?

Every verdict is told to it; it answers `wait_s` and keeps the reason visible in `state`. It is handed the time and the
randomness and never waits itself. It does not know what is sent.

- *open*: up to `limit` requests at once; `Retry-After` for two lanes closes the route for as long.
- *circuit*: Pendo is unreachable. One probe at a time, further and further apart.
- *stalled*: the credential or the URL is wrong. Probed likewise; a changed credential is tried at once.

From the last two the first answer that is about a request itself (accepted or refused) leads back to open.
"""

from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import Final, assert_never

from consumer.pendo.verdicts import Accepted, Later, Locked, OptedOut, Refused, Stall, Verdict

CIRCUIT_AFTER_S: Final = 10.0
"""No success for so long is an outage; shorter troubles are left to each lane's own retries."""
CIRCUIT_LANES: Final = 10
"""So many lanes, or all there are, must be failing: a few bad visitors are no outage."""
MIN_PROBE_DELAY_S: Final = 1.0


class GateState(IntEnum):
    """The values of the metric `gate_state`."""

    OPEN = 0
    CIRCUIT = 1
    STALLED = 2


class Gate:
    """One route's gate.

    Attributes:
        state: What it is.
        stall: What an operator must mend, while stalled.
        limit: Requests at once while open.
        in_flight: Requests on the wire.
        paused: Set by an operator: nothing goes.
    """

    __slots__ = (
        "_closed_until",
        "_failing",
        "_failing_since",
        "_max_probe_delay_s",
        "_next_probe",
        "_probe_delay_s",
        "_random",
        "_throttled",
        "_went",
        "in_flight",
        "limit",
        "paused",
        "stall",
        "state",
    )

    def __init__(self, *, limit: int, max_probe_delay_s: float, random: Callable[[], float]) -> None:
        self.state = GateState.OPEN
        self.stall: Stall | None = None
        self.limit = limit
        self.in_flight = 0
        self.paused = False
        self._random = random
        self._max_probe_delay_s = max(max_probe_delay_s, MIN_PROBE_DELAY_S)
        self._probe_delay_s = MIN_PROBE_DELAY_S
        self._next_probe = 0.0
        self._went = 0.0
        self._failing: set[str] = set()
        self._failing_since = 0.0
        self._throttled: dict[str, float] = {}
        self._closed_until = 0.0

    def wait_s(self, now: float, *, ready: bool) -> float:
        """Seconds until a request may go: 0 for now, infinite when only an event (a verdict) can change it.

        Args:
            now: Seconds of the loop's clock.
            ready: Whether a head stands ready, one that has not failed or whose own delay has passed. In an outage it
                is the better probe, and need not wait until the probes' own delay has passed.
        """
        if self.paused:
            return inf
        if self.state is GateState.OPEN:
            return max(0.0, self._closed_until - now) if self.in_flight < self.limit else inf
        if self.in_flight:
            return inf
        if ready and self.state is GateState.CIRCUIT:
            return max(0.0, min(self._next_probe, self._went + MIN_PROBE_DELAY_S) - now)
        return max(0.0, self._next_probe - now)

    @property
    def probing(self) -> bool:
        """Whether the next request is a probe, for which a failed head need not wait."""
        return self.state is not GateState.OPEN

    def begin(self, now: float) -> None:
        """A request goes."""
        self.in_flight += 1
        self._went = now

    def end(self, now: float, lane: str, verdict: Verdict, *, lanes: int) -> bool:
        """A request got its verdict.

        Args:
            now: Seconds of the loop's clock.
            lane: Whose request it was.
            verdict: What became of it.
            lanes: How many lanes hold open deliveries.

        Returns:
            Whether `state` or `stall` changed.
        """
        self.in_flight -= 1
        match verdict:
            case Accepted() | Refused() | OptedOut():
                return self._heal(lane)
            case Later():
                return self._fail(now, lane, verdict, lanes)
            case Locked():
                return self._become(GateState.STALLED, verdict.stall, now, None)
            case _:
                assert_never(verdict)

    def _heal(self, lane: str) -> bool:
        if self._failing:
            self._failing.clear()
        if self._throttled:
            self._throttled.pop(lane, None)
        if self.state is GateState.OPEN:
            return False
        self.state = GateState.OPEN
        self.stall = None
        self._probe_delay_s = MIN_PROBE_DELAY_S
        return True

    def _fail(self, now: float, lane: str, verdict: Later, lanes: int) -> bool:
        if verdict.throttled:
            self._throttle(now, lane, verdict.after_s)
        elif self.state is GateState.OPEN:
            if not self._failing:
                self._failing_since = now
            self._failing.add(lane)
            if now - self._failing_since >= CIRCUIT_AFTER_S and len(self._failing) >= min(CIRCUIT_LANES, lanes):
                return self._become(GateState.CIRCUIT, None, now, verdict.after_s)
        if self.state is not GateState.OPEN:
            self._schedule_probe(now, verdict.after_s)
        return False

    def _throttle(self, now: float, lane: str, after_s: float | None) -> None:
        """One lane's 429 closes that lane, two lanes' the route."""
        self._throttled = {key: until for key, until in self._throttled.items() if until > now}
        if after_s:
            self._throttled[lane] = now + after_s
            if len(self._throttled) > 1:
                self._closed_until = max(self._throttled.values())

    def _become(self, state: GateState, stall: Stall | None, now: float, after_s: float | None) -> bool:
        changed = (self.state, self.stall) != (state, stall)
        self.state = state
        self.stall = stall
        self._failing.clear()
        self._schedule_probe(now, after_s)
        return changed

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
