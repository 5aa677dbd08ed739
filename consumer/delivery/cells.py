"""Cells: what all that waits in a lane says together, so that many writes of one id cost a part of one call.

A lane goes in, a cell comes out: its deliveries, each judged by the memory, and one element that says what they say,
of each field the newest. What comes while a cell is on the wire stands behind it, for the next one.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Final

from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.memory import FACT, Memory, Stamp, stamp_of
from consumer.outcomes import Reason
from consumer.pendo.calls import Form, of_lane
from consumer.pendo.endpoints import Kind
from consumer.pendo.requests import Request

Part = tuple[Stamp, Delivery, Request]
"""How new a delivery is, the delivery, and what of it goes out."""
Suppress = Callable[[Delivery, Reason, Stamp], None]
"""Settles a delivery that need not be sent."""

_BY_STAMP: Final = itemgetter(0)


class Cell:
    """What goes of one lane.

    Attributes:
        lane: Whose first deliveries it holds, as many as the lane has in flight.
        kind: Whether it is about a visitor or an account.
        id: Whose it is.
        parts: Its deliveries, by how new they are, the newest last.
        element: What they say together.
    """

    __slots__ = ("element", "id", "kind", "lane", "parts")

    def __init__(self, lane: Lane, parts: list[Part], element: bytes) -> None:
        self.lane = lane
        self.kind: Kind
        self.kind, self.id = of_lane(lane.key)
        self.parts = parts
        self.element = element


class Cells:
    """Makes the cells of one route."""

    __slots__ = ("_form", "_memory", "_suppress")

    def __init__(self, form: Form, memory: Memory, suppress: Suppress) -> None:
        self._form = form
        self._memory = memory
        self._suppress = suppress

    def of(self, lane: Lane) -> Cell | None:
        """Take all of a lane that may go together; None when nothing of it need be sent.

        What need not be sent is settled, and stands in the lane no more.
        """
        queue = lane.queue
        alone = lane.narrow is not None and lane.narrow.alone > 0
        taken = queue[:1] if alone else queue[:]
        parts: list[Part] = []
        for delivery in taken:
            request = delivery.request
            stamp = FACT if request.state is None else stamp_of(request, delivery.ticket)
            # Beside others that go with it nothing is unchanged: the field may have another value by then.
            sent = self._memory.judge(request, stamp, unchanged=not parts)
            if isinstance(sent, Request):
                parts.append((stamp, delivery, sent))
            else:
                self._suppress(delivery, sent, stamp)
        if len(parts) < len(taken):
            queue[: len(taken)] = [delivery for _, delivery, _ in parts]
            if alone and lane.narrow is not None:
                lane.narrow.alone -= 1
        lane.in_flight = len(parts)
        if not parts:
            return None
        parts.sort(key=_BY_STAMP)
        return Cell(lane, parts, self._form.merge([sent.body for _, _, sent in parts]))
