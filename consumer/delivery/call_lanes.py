"""Lanes of a route whose calls carry many: several deliveries leave a lane together, several lanes share a request.

Beyond what `lanes` decides it says how lanes come back that were taken and did not go, or go again at once. It does not
know what a call holds.
"""

from collections.abc import Sequence
from typing import ClassVar

from consumer.delivery.lane import Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.linger import Linger


class CallLanes(Lanes):
    """All lanes of one route of calls; no lane of it is an account's beside its visitor's, so none stands in runs.

    Attributes:
        linger: When the next call may go.
    """

    __slots__ = ("linger",)

    together: ClassVar[bool] = True

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length)
        self.linger = Linger()

    def leave(self, lane: Lane, deliveries: int) -> None:
        """So many of the first have their end and leave; the lane is ready again if more stand behind them."""
        in_parts = lane.narrow is not None and lane.narrow.doubtful > 0
        if lane.narrow is not None:
            lane.narrow.doubtful -= deliveries
            if lane.narrow.doubtful <= 0:
                lane.narrow = None
        del lane.queue[:deliveries]
        lane.in_flight = 0
        lane.due = 0.0
        if not lane.queue:
            del self._lanes[lane.key]
        elif in_parts:
            # What goes in parts does not wait for others each time.
            self.go_again([lane])
        else:
            self.ready.append(lane)

    def advance(self, lane: Lane) -> None:
        """The first has its end and leaves."""
        self.leave(lane, 1)

    def put_back(self, lanes: Sequence[Lane]) -> None:
        """Lanes that were taken are the first in line, in their order."""
        for lane in lanes:
            lane.in_flight = 0
        self.ready.extendleft(reversed(lanes))

    def go_again(self, lanes: Sequence[Lane]) -> None:
        """Lanes whose call said nothing of each of them go again at once."""
        self.put_back(lanes)
        self.linger.hurry(len(lanes))
