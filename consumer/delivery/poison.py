"""The poison clock: when a head that keeps failing is given up, because others pass.

Failures of heads go in, with what the route answered to other lanes meanwhile; a reason to dead-letter comes out, or
none. In an outage no others pass, so no attempt counts and nothing is given up. It knows neither queues nor answers.
"""

from typing import Final, Protocol

HEALTHY_SHARE: Final = 0.9
"""So many of the others' answers must be acceptances for a failure to be the head's own."""


class Trouble:
    """What a head that has failed has been through.

    Attributes:
        status: Its last answer's HTTP status, or `timeout` or `connection`.
        counted: Attempts that failed while others passed.
        locked_at: When it was last answered with 401 or 403; None when never. Seconds of the loop's clock.
    """

    __slots__ = ("counted", "locked_at", "status")

    def __init__(self) -> None:
        self.status: int | str = ""
        self.counted = 0
        self.locked_at: float | None = None


class Failing(Protocol):
    """The lane behind a failing head.

    Attributes:
        failing_since: When its first failure since its last success was; None without one.
        counted: Its heads' counted failures since its last success.
        answered: The route's answers at its last failure; -1 when it has not failed since its last success.
        accepted: The route's acceptances then.
    """

    failing_since: float | None
    counted: int
    answered: int
    accepted: int


class Poison:
    """Decides when a failing head is poison.

    Args:
        window_s: `retry_window_s`: so long its lane must have been without a success.
        min_attempts: So many counted attempts it must have had itself.
    """

    __slots__ = ("_min_attempts", "_window_s")

    def __init__(self, window_s: float, min_attempts: int) -> None:
        self._window_s = window_s
        self._min_attempts = min_attempts

    def count(self, lane: Failing, trouble: Trouble, *, answered: int, accepted: int, throttled: bool) -> None:
        """Count one failed attempt, if it counts.

        Args:
            lane: The head's.
            trouble: The head's.
            answered: The route's answers so far, this one included.
            accepted: Acceptances among them.
            throttled: Whether Pendo only asked to slow down, which is no failure of the head.
        """
        if lane.answered >= 0 and not throttled:
            others = answered - lane.answered - 1
            if others > 0 and accepted - lane.accepted >= HEALTHY_SHARE * others:
                trouble.counted += 1
                lane.counted += 1
        lane.answered = answered
        lane.accepted = accepted

    def exhausted(self, lane: Failing, trouble: Trouble, now: float, healed_at: float) -> bool:
        """Whether the head has had its lane's window and its own attempts.

        Args:
            lane: The head's.
            trouble: The head's.
            now: Seconds of the loop's clock.
            healed_at: When the last outage ended: nobody's window runs in one.
        """
        since = lane.failing_since
        return (
            trouble.counted >= self._min_attempts
            and since is not None
            and now - max(since, healed_at) >= self._window_s
        )

    def hopeless(self, lane: Failing) -> bool:
        """Whether the lane has failed often enough for its heads to be given up under pressure."""
        return lane.counted >= self._min_attempts
