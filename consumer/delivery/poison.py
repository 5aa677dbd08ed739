"""The poison clock: when a head that keeps failing is given up, because others pass.

Failures of heads go in, with what the route answered to other lanes meanwhile; a reason to dead-letter comes out, or
none. In an outage no others pass, so no attempt counts and nothing is given up. It knows neither queues nor answers.
"""

from typing import Final

HEALTHY_SHARE: Final = 0.9
"""So many of the others' answers must be acceptances for a failure to be the head's own."""


class Together:
    """Deliveries that met 401 or 403 in one call.

    Attributes:
        left: How many of them have not passed since: the last that is left is the one that it was about.
    """

    __slots__ = ("left",)

    def __init__(self, deliveries: int) -> None:
        self.left = deliveries


class Trouble:
    """What a head that was not accepted has been through.

    Attributes:
        first_attempt_ms: When its first request went, milliseconds since the epoch.
        attempts: Requests that were answered, or had no answer.
        status: The last one's HTTP status, or `timeout` or `connection`.
        counted: Attempts that failed while others passed.
        locked_at: When it was last answered with 401 or 403; None when never. Seconds of the loop's clock.
        locked_with: With whom it was in that call.
    """

    __slots__ = ("attempts", "counted", "first_attempt_ms", "locked_at", "locked_with", "status")

    def __init__(self, first_attempt_ms: int) -> None:
        self.first_attempt_ms = first_attempt_ms
        self.attempts = 0
        self.status: int | str = ""
        self.counted = 0
        self.locked_at: float | None = None
        self.locked_with = Together(1)


class Failing:
    """What a lane has been through since its last success.

    Attributes:
        since: When its first failure was, later by as long as nobody's window has run; seconds of the loop's clock.
        counted: Its heads' failures that counted against them.
        hopeless: Whether it failed so often while others passed that its heads are given up rather than waited for.
        answered: The route's answers at its last failure; None before the first.
        accepted: The route's acceptances then.
    """

    __slots__ = ("accepted", "answered", "counted", "hopeless", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.counted = 0
        self.hopeless = False
        self.answered: int | None = None
        self.accepted = 0

    def others_pass(self, *, answered: int, accepted: int) -> bool:
        """Whether the route was well for others since this lane's last failure; another failure of it is noted.

        Args:
            answered: The route's answers so far, this failure included.
            accepted: Acceptances among them.
        """
        others = 0 if self.answered is None else answered - self.answered - 1
        pass_ = others > 0 and accepted - self.accepted >= HEALTHY_SHARE * others
        self.answered = answered
        self.accepted = accepted
        return pass_

    def excuse(self, began: float, now: float) -> None:
        """The window has not run since `began`, as in an outage: it goes on from where it stood then."""
        self.since = now - max(began - self.since, 0.0)


class Poison:
    """Decides when a failing head is poison.

    Args:
        window_s: `retry_window_s`: so long its lane must have been without a success.
        min_attempts: So many counted attempts it must have had itself; after so many of all its heads' the lane is
            hopeless.
    """

    __slots__ = ("_min_attempts", "_window_s")

    def __init__(self, window_s: float, min_attempts: int) -> None:
        self._window_s = window_s
        self._min_attempts = min_attempts

    def count(self, lane: Failing, head: Trouble, *, answered: int, accepted: int, throttled: bool) -> bool:
        """Count one failed attempt, if it counts; whether it did.

        Args:
            lane: The head's.
            head: Its own.
            answered: The route's answers so far, this one included.
            accepted: Acceptances among them.
            throttled: Whether Pendo only asked to slow down, which is no failure of the head.
        """
        counts = lane.others_pass(answered=answered, accepted=accepted) and not throttled
        if counts:
            head.counted += 1
            lane.counted += 1
            lane.hopeless = lane.counted >= self._min_attempts
        return counts

    def exhausted(self, lane: Failing, head: Trouble, now: float) -> bool:
        """Whether the head has had its lane's window and its own attempts.

        Args:
            lane: The head's.
            head: Its own.
            now: Seconds of the loop's clock.
        """
        return head.counted >= self._min_attempts and now - lane.since >= self._window_s
