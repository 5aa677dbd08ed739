"""The linger: how long a call waits for more to go with it.

It is told when lanes are ready and answers when the next call may go. It waits for nothing itself.
"""

from math import inf
from typing import Final

LINGER_S: Final = 1.0
"""Pendo shows metadata after minutes: a second more is nothing, and saves nine calls in ten."""


class Linger:
    """Of one route: what is ready at the end of a wait goes at once, what comes meanwhile waits for the next."""

    __slots__ = ("_due", "_owed")

    def __init__(self) -> None:
        self._due = inf
        self._owed = 0

    def wait_s(self, now: float, ready: int) -> float:
        """Seconds until a call may go; 0 when one may, or when there is nothing to go.

        Args:
            now: Seconds of the loop's clock.
            ready: How many lanes could go.
        """
        if not ready:
            self._due = inf
            self._owed = 0
            return 0.0
        if self._owed:
            return 0.0
        if self._due == inf:
            self._due = now + LINGER_S
        if now < self._due:
            return self._due - now
        self._due = inf
        self._owed = ready
        return 0.0

    def hurry(self, lanes: int) -> None:
        """So many lanes, the first in line, go without a wait."""
        self._owed += lanes

    def took(self, lanes: int) -> None:
        """So many lanes are on their way."""
        self._owed = max(self._owed - lanes, 0)
