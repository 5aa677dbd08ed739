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
        is_newest: Whether that is what the newest says: as a rule all of one id have the same fields.
    """

    __slots__ = ("element", "id", "is_newest", "kind", "lane", "parts")

    def __init__(self, lane: Lane, parts: list[Part], element: bytes, *, is_newest: bool) -> None:
        self.lane = lane
        self.kind: Kind
        self.kind, self.id = of_lane(lane.key)
        self.parts = parts
        self.element = element
        self.is_newest = is_newest


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
        narrow = lane.narrow
        taken = queue[: narrow.part] if narrow is not None and narrow.doubtful else queue[:]
        parts: list[Part] = [(_stamp_of(each), each, each.request) for each in taken]
        identities = [request.identity for _, _, request in parts]
        oldest = min([stamp for stamp, _, _ in parts])
        if self._memory.bears_on(lane.key, identities, oldest):
            parts = self._judged(parts)
        if len(parts) < len(taken):
            queue[: len(taken)] = [delivery for _, delivery, _ in parts]
            if narrow is not None:
                narrow.doubtful = max(narrow.doubtful - len(taken) + len(parts), 0)
        lane.in_flight = len(parts)
        if not parts:
            return None
        if len(parts) == 1:
            return Cell(lane, parts, parts[0][2].body, is_newest=True)
        parts.sort(key=_BY_STAMP)
        is_newest = _have_same_fields(parts)
        element = parts[-1][2].body if is_newest else self._form.merge([sent.body for _, _, sent in parts])
        return Cell(lane, parts, element, is_newest=is_newest)

    def _judged(self, parts: list[Part]) -> list[Part]:
        """Those of which something need be sent, and what; the others are settled."""
        left: list[Part] = []
        for stamp, delivery, request in parts:
            # Beside others that go with it nothing is unchanged: the field may have another value by then.
            sent = self._memory.judge(request, stamp, unchanged=not left)
            if isinstance(sent, Request):
                left.append((stamp, delivery, sent))
            else:
                self._suppress(delivery, sent, stamp)
        return left


def _stamp_of(delivery: Delivery) -> Stamp:
    request = delivery.request
    return FACT if request.state is None else stamp_of(request, delivery.ticket)


def _have_same_fields(parts: list[Part]) -> bool:
    """Whether all say something of the same fields: then what the newest says is all."""
    first = parts[0][2].state
    if first is None:
        return False
    fields = first.fields
    return all(sent.state is not None and sent.state.fields == fields for _, _, sent in parts)
