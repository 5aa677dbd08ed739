"""The circuit: when failures are an outage. No lane has a success for a while, and many fail, or all that there are.

It is told of each lane's failure and of any pass, and handed the time. What follows from it is the gate's business.
"""

from typing import Final

AFTER_S: Final = 10.0
"""No success for so long is an outage; shorter troubles are left to each lane's own retries."""
LANES: Final = 10
"""So many lanes, or all there are, must be failing: a few bad visitors are no outage."""


class Circuit:
    """Of one route.

    Attributes:
        failing: Lanes that failed since the last pass.
        opened: Whether it is an outage.
        since: When the first of those failed; seconds of the loop's clock.
    """

    __slots__ = ("failing", "opened", "since")

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.opened = False
        self.since = 0.0

    def failed(self, now: float, lane: str) -> None:
        """A lane's request failed."""
        if not self.failing:
            self.since = now
        self.failing.add(lane)

    def opens(self, now: float, lanes: int) -> bool:
        """After a failure: whether it is an outage from now on.

        Args:
            now: Seconds of the loop's clock.
            lanes: How many there are.
        """
        if self.opened or now - self.since < AFTER_S or len(self.failing) < min(LANES, lanes):
            return False
        self.opened = True
        return True
