"""When a failed head is tried again: full jitter, so that many lanes that failed together do not return together."""

from collections.abc import Callable
from typing import Final

FIRST_DELAY_S: Final = 0.5
"""The first step of Segment's own policy for deliveries."""
_MAX_DOUBLINGS: Final = 20
"""Beyond a week of delay: keeps the power below a float's limits."""


class Backoff:
    """A random delay below a bound that doubles with each attempt."""

    __slots__ = ("_max_delay_s", "_random")

    def __init__(self, max_delay_s: float, random: Callable[[], float]) -> None:
        self._max_delay_s = max_delay_s
        self._random = random

    def delay_s(self, attempts: int) -> float:
        """Seconds to wait after so many attempts, counted from 1."""
        bound_s = FIRST_DELAY_S * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS)
        return self._random() * min(bound_s, self._max_delay_s)
