"""The batch: how many ids one call carries, as the time allows that calls take.

Calls that were answered, or timed out, go in; a number comes out. A batch that is too large for its timeout would time
out for ever: it halves, and grows back by small steps, so that it does not soon time out again. What small calls meet
in an outage says nothing of it.
"""

from typing import Final

GROWTH: Final = 16
"""A full call that succeeds lets the next one carry a sixteenth more."""


class Batch:
    """Of one route.

    Attributes:
        size: Most ids in the next call.
    """

    __slots__ = ("_maximum", "size")

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self.size = maximum

    def too_large(self, ids: int) -> None:
        """A call of so many had no answer in time, or was too large.

        Of one that carried less than half of what it might its size was not the cause: in an outage all time out. If it
        was after all, what waits meanwhile fills the next calls, and they tell.
        """
        if ids == 1 or 2 * ids < self.size:
            return
        self.size = min(self.size, -(-ids // 2))

    def passed(self, ids: int) -> None:
        """A call of so many was answered in time."""
        if ids >= self.size:
            self.size = min(self._maximum, self.size + 1 + self.size // GROWTH)
