"""The token bucket: how many requests a second may go, when an operator has set a quota.

It is handed the time and says how long to wait. Which part of the group's quota is ours is decided elsewhere.
"""

from typing import Final

BURST_S: Final = 0.1
"""So much of a second's quota may go at once: a quota is a promise about seconds, not about milliseconds."""


class Bucket:
    """Tokens that come back at a constant rate.

    Args:
        quota: Requests a second for the whole group; None for no quota.

    Attributes:
        rate: Requests a second for us: the quota, until `share` says which part of it is ours.
    """

    __slots__ = ("_filled_at", "_quota", "_tokens", "rate")

    def __init__(self, quota: float | None = None) -> None:
        self._quota = quota
        self.rate = quota
        self._tokens = 1.0
        self._filled_at = 0.0

    def share(self, part: float) -> None:
        """Take so much of the quota, 0 exclusive to 1."""
        if self._quota is not None:
            self.rate = self._quota * part

    def wait_s(self, now: float) -> float:
        """Seconds until there is a token."""
        rate = self.rate
        if rate is None:
            return 0.0
        self._tokens = min(self._tokens + (now - self._filled_at) * rate, max(1.0, BURST_S * rate))
        self._filled_at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / rate

    def take(self) -> None:
        """A request goes; `wait_s` has said that it may."""
        if self.rate is not None:
            self._tokens -= 1.0
