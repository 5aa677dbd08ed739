"""The linger: how long a call waits for more to go with it.

It is told when lanes are ready and answers when the next call may go. It waits for nothing itself.
"""

from math import inf
from typing import Final

LINGER_S: Final = 1.0
"""Pendo shows metadata after minutes: a second more is nothing, and saves nine calls in ten."""


class Linger:
    """Of one route: what is ready at the end of a wait goes at once, what comes meanwhile waits for the next.

    Attributes:
        owed: How many lanes, the first in line, go without a wait.
    """

    __slots__ = ("_due", "owed")

    def __init__(self) -> None:
        self._due = inf
        self.owed = 0

    def wait_s(self, now: float, ready: int) -> float:
        """Seconds until a call may go; 0 when one may, or when there is nothing to go.

        Args:
            now: Seconds of the loop's clock.
            ready: How many lanes could go.
        """
        if not ready:
            self._due = inf
            self.owed = 0
            return 0.0
        if self.owed:
            return 0.0
        if self._due == inf:
            self._due = now + LINGER_S
        if now < self._due:
            return self._due - now
        self._due = inf
        self.owed = ready
        return 0.0

    def hurry(self, lanes: int) -> None:
        """So many lanes, the first in line, go without a wait."""
        self.owed += lanes

    def took(self, looked: int, passed: int = 0) -> None:
        """The first in line have gone, or have their end.

        Args:
            looked: How many of the first in line were looked at.
            passed: How many of these that need not wait were passed over, and are the first in line again.
        """
        self.owed = max(self.owed - looked, 0) + passed
