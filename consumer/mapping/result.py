"""What mapping an event gives: a request, or the event's end.

Pure values; `router` decides between them.
"""

from consumer.outcomes import Outcome, Reason
from consumer.pendo.requests import Request


class Ended:
    """An event that is settled without a request.

    Attributes:
        outcome: `FILTERED`, `SKIPPED` or `DEAD_LETTERED`.
        reason: Why.
        message: For a dead letter what is wrong with what, without quoting the event; else empty.
    """

    __slots__ = ("message", "outcome", "reason")

    def __init__(self, outcome: Outcome, reason: Reason, message: str = "") -> None:
        self.outcome = outcome
        self.reason = reason
        self.message = message


Mapped = Request | Ended
