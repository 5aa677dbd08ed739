"""The limit: how many requests may be in flight at once on one route, as its answers allow.

Answers go in, a number comes out. A window is a round trip: the mean of the last answers. In slow start the limit
doubles each window, until a window goes badly; from then on it grows by one a window. It grows only when it was
reached: a limit that nobody tried says nothing. After an outage it starts slowly once more, up to half of what it fell
from: if the outage was of our own making, doubling on would make the next. It does not know what is sent, nor why an
answer failed.
"""

from math import inf
from typing import Final

START: Final = 16
"""Requests at once to begin with: enough to learn a round trip from, too few to hurt."""
FLOOR: Final = 8
"""Fewer would starve the route on a mere share of failures; a real outage is the circuit's business."""
DECREASE: Final = 0.9
BAD_SHARE: Final = 0.1
"""More failed answers in a window than this lower the limit; fewer are single events' troubles."""
_SMOOTHING: Final = 0.1
"""Weight of the latest answer in the mean round trip: about the last twenty answers count."""


class Limit:
    """Additive increase, multiplicative decrease.

    Attributes:
        maximum: What `value` may grow to.
        value: Requests that may be in flight.
        reached: Whether so many were, since the window began.
    """

    __slots__ = (
        "_answers",
        "_began",
        "_doubling",
        "_failed",
        "_falling",
        "_round_trip_s",
        "_threshold",
        "maximum",
        "reached",
        "value",
    )

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._threshold = maximum
        self._round_trip_s = 0.0
        self.restart()

    @property
    def answers_per_s(self) -> float:
        """How many answers a second so many requests bring; infinite as long as nobody knows."""
        return self.value / self._round_trip_s if self._round_trip_s else inf

    def restart(self) -> None:
        """Begin anew, as after an outage: what was learned before it may be wrong."""
        self.value = min(START, self.maximum)
        self._doubling = True
        self._falling = False
        self._began: float | None = None
        self._answers = 0
        self._failed = 0
        self.reached = False

    def failed(self) -> None:
        """Pendo could not, or would not just now, take a request; its answer is counted next."""
        self._failed += 1

    def answered(self, now: float, took_s: float) -> None:
        """Count an answer, and judge the window when it is over.

        Args:
            now: Seconds of the loop's clock.
            took_s: How long the answer took.
        """
        self._answers += 1
        if self._began is None:
            self._began = now
            self._round_trip_s = took_s
            return
        self._round_trip_s += _SMOOTHING * (took_s - self._round_trip_s)
        if now - self._began >= self._round_trip_s:
            self._judge()
            self._began = now
            self._answers = self._failed = 0
            self.reached = False

    def _judge(self) -> None:
        if self._failed > BAD_SHARE * self._answers:
            self._fall()
        elif self.reached:
            self._falling = False
            doubled = min(2 * self.value, self._threshold) if self._doubling else 0
            self.value = min(max(doubled, self.value + 1), self.maximum)

    def _fall(self) -> None:
        if not self._falling:
            self._threshold = self.value // 2
        self._falling = True
        self._doubling = False
        self.value = max(int(self.value * DECREASE), min(FLOOR, self.maximum))
