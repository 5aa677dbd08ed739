"""The lease: whether this process may send at all, whatever the gates say.

Not while an operator has paused it, not while partitions change hands, and not after it stood still for so long that
the group may have given its partitions to somebody else: then a commit must succeed first. It is handed the time.
"""

from enum import StrEnum
from math import inf
from typing import Final

TERM_SHARE: Final = 0.8
"""Of the session's timeout: a process that stood still longer may have been thrown out of the group without knowing."""


class Hold(StrEnum):
    """Why nothing is sent; labels of the metric `sending_held`."""

    PAUSED = "paused"
    """By the configuration file: the whole group."""
    OPERATOR = "operator"
    """By the admin API: this pod."""
    REBALANCE = "rebalance"
    ASLEEP = "asleep"


class Lease:
    """One process's leave to send, on all routes.

    Attributes:
        held: Why it may not.
    """

    __slots__ = ("_term_s", "_until", "held")

    def __init__(self, session_timeout_s: float) -> None:
        self.held: set[Hold] = set()
        self._term_s = TERM_SHARE * session_timeout_s
        self._until = inf

    def allows(self, now: float) -> bool:
        """Whether requests may go. Whoever runs first after the process stood still learns it here."""
        return not self.held and now <= self._until

    def tick(self, now: float) -> bool:
        """The process is running; whether it has just been found to have stood still for too long."""
        if Hold.ASLEEP in self.held:
            return False
        if now > self._until:
            self.held.add(Hold.ASLEEP)
            return True
        self._until = now + self._term_s
        return False

    def confirm(self, began: float, now: float) -> bool:
        """A commit succeeded that went out at `began`: then the partitions were ours; whether that is news enough."""
        if now > began + self._term_s:
            return False
        self.held.discard(Hold.ASLEEP)
        # Not shorter than the ticks have made it: a commit that took long is no sleep.
        self._until = max(self._until, began + self._term_s)
        return True
