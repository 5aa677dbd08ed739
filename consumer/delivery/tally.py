"""The tally: what was received and what became of it, as plain integers.

Events are counted in at admission and out at their settlement or release. Whether the sums agree with what is really
open is asked elsewhere, from the tickets themselves: this file must not know them.
"""

from collections import Counter

from consumer.outcomes import EventType, Outcome, Reason


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
        self.received: Counter[EventType] = Counter()
        self.settled: Counter[tuple[EventType, Outcome, Reason]] = Counter()
        self.released = 0
        self.open_events = 0
        self.open_bytes = 0

    def unaccounted(self, really_open: int) -> int:
        """Events that vanished (positive) or were settled twice (negative).

        Args:
            really_open: Open events counted from the tickets, not from this tally.
        """
        return self.received.total() - self.settled.total() - self.released - really_open
