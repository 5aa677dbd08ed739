"""The throttle: what 429 means for a route. One lane's closes that lane, two lanes' close the route.

It is handed the time and says until when nothing may go; the lane's own delay is the lane's business.
"""


class Throttle:
    """`Retry-After` of 429s that still runs.

    Attributes:
        closed_until: Until when the route is closed; seconds of the loop's clock.
        lanes: Until when each lane is that was told to wait, and has not passed since.
    """

    __slots__ = ("closed_until", "lanes")

    def __init__(self) -> None:
        self.closed_until = 0.0
        self.lanes: dict[str, float] = {}

    def throttled(self, now: float, lane: str, after_s: float | None) -> None:
        """A lane's request was answered with 429."""
        self.lanes = {key: until for key, until in self.lanes.items() if until > now}
        if after_s:
            self.lanes[lane] = now + after_s
            if len(self.lanes) > 1:
                self.closed_until = max(self.lanes.values())

    def passed(self, lane: str) -> None:
        """A lane's request was answered for its own sake."""
        self.lanes.pop(lane, None)
