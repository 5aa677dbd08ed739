"""The schedule of probes: when the next may go, while a route is closed.

Failed probes come further and further apart, jittered so that pods do not probe in step; a head that has not failed
need not wait as long. It is handed the time and the randomness, and does not know why the route is closed.
"""

from collections.abc import Callable
from typing import Final

MIN_PROBE_DELAY_S: Final = 1.0


class Schedule:
    """The probes of one route.

    Attributes:
        due: When a head may go that has failed; seconds of the loop's clock.
        went: When the latest request went.
    """

    __slots__ = ("_asked_until", "_delay_s", "_max_delay_s", "_random", "due", "went")

    def __init__(self, max_delay_s: float, random: Callable[[], float]) -> None:
        self.due = 0.0
        self.went = 0.0
        self._asked_until = 0.0
        self._delay_s = MIN_PROBE_DELAY_S
        self._max_delay_s = max(max_delay_s, MIN_PROBE_DELAY_S)
        self._random = random

    @property
    def due_ready(self) -> float:
        """When a head may go that has not failed: a second after the last, but not before Pendo wants to be asked."""
        return max(min(self.due, self.went + MIN_PROBE_DELAY_S), self._asked_until)

    def failed(self, now: float, after_s: float | None = None, *, last: bool) -> None:
        """A request came to nothing.

        Args:
            now: Seconds of the loop's clock.
            after_s: What Pendo asked for, if it did.
            last: Whether no other is on the wire. Those that were when the route closed are no probes: only the last
                of them makes the next delay longer.
        """
        jittered_s = self._delay_s * (0.5 + self._random() / 2)
        self.due = max(now + max(jittered_s, after_s or 0.0, MIN_PROBE_DELAY_S), self._asked_until)
        if last:
            self._delay_s = min(2 * self._delay_s, self._max_delay_s)

    def asked(self, until: float) -> None:
        """Pendo wants nobody to come before."""
        self._asked_until = until

    def at_once(self, now: float) -> None:
        """The next may go now, and the delays begin anew."""
        self.due = now
        self._asked_until = 0.0
        self._delay_s = MIN_PROBE_DELAY_S
