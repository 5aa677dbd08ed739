"""The tally: what was received and what became of it, as plain integers.

Events are counted in at admission and out at their settlement or release. Whether the sums agree with what is really
open is asked elsewhere, from the tickets themselves: this file must not know them.
"""

from collections.abc import Hashable, Iterator
from typing import TypeVar

from consumer import metrics
from consumer.metrics import Sample
from consumer.outcomes import EventType, Outcome, Reason

Key = TypeVar("Key", bound=Hashable)


class Counts(dict[Key, int]):
    """Numbers that begin at 0, added to with `+= 1`.

    As collections.Counter, in half its time: because that has a `__delitem__` of its own, Python looks for the method
    of each assignment, too.
    """

    __slots__ = ()

    def __missing__(self, key: Key) -> int:
        """What was never counted."""
        return 0

    def total(self) -> int:
        """All of them."""
        return sum(self.values())


class Tally:
    """Counts of one process.

    Attributes:
        received: Events by type.
        settled: Events by type, outcome and reason.
        released: Events handed back to Kafka.
        open_events: Events admitted and neither settled nor released.
        open_bytes: What the records behind them hold, bodies included.
    """

    __slots__ = ("open_bytes", "open_events", "received", "released", "settled")

    def __init__(self) -> None:
        self.received: Counts[EventType] = Counts()
        self.settled: Counts[tuple[EventType, Outcome, Reason]] = Counts()
        self.released = 0
        self.open_events = 0
        self.open_bytes = 0

    def unaccounted(self, really_open: int) -> int:
        """Events that vanished (positive) or were settled twice (negative).

        Args:
            really_open: Open events counted from the tickets, not from this tally.
        """
        return self.received.total() - self.settled.total() - self.released - really_open

    def samples(self) -> Iterator[Sample]:
        """The counts as metrics."""
        for type_, count in self.received.items():
            yield Sample(metrics.EVENTS_RECEIVED, count, (type_.value,))
        for (type_, outcome, reason), count in self.settled.items():
            yield Sample(metrics.EVENTS_SETTLED, count, (type_.value, outcome.value, reason.value))
        yield Sample(metrics.EVENTS_RELEASED, self.released)
        yield Sample(metrics.EVENTS_OPEN, self.open_events)
        yield Sample(metrics.OPEN_BYTES, self.open_bytes)
