"""The ticket of a traced record: it remembers the attempts at each of its events, and tells of each event's end.

It knows nothing of the tracing system. Nothing is told of an event before it is settled; of one that goes back to Kafka
nothing at all, since whoever reads it next tells of it.
"""

from collections import deque
from dataclasses import dataclass, field
from time import time_ns
from typing import Final, NamedTuple, Protocol

from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.progress import Progress
from consumer.kafka.records import Record
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route
from consumer.spans.traceparent import Parent

MAX_ATTEMPTS: Final = 32
"""Of one event that are remembered, the newest: in an outage there may be thousands."""


class Attempt(NamedTuple):
    """One request that carried the event; times are nanoseconds since the epoch.

    Attributes:
        number: From 1.
        route: Which way it went.
        status: The HTTP status, or `timeout` or `connection`.
        began_ns: When it went.
        ended_ns: When it was answered.
    """

    number: int
    route: Route
    status: int | str
    began_ns: int
    ended_ns: int


@dataclass(slots=True)
class Attempts:
    """The attempts at one event.

    Attributes:
        count: All of them.
        newest: Those that are remembered.
    """

    count: int = 0
    newest: "deque[Attempt]" = field(default_factory=lambda: deque(maxlen=MAX_ATTEMPTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An event's end.

    Attributes:
        parent: The span that it belongs below.
        record: What it came in.
        index: Its place in the record's array or batch; None when the value is one event.
        type, outcome, reason: What it was, and what became of it.
        attempts: What was sent.
        began_ns: When it was admitted, nanoseconds since the epoch.
        ended_ns: When it was settled.
    """

    parent: Parent
    record: Record
    index: int | None
    type: EventType
    outcome: Outcome
    reason: Reason
    attempts: Attempts
    began_ns: int
    ended_ns: int


class Told(Protocol):
    """Who is told."""

    def __call__(self, settled: Settled, /) -> None:
        """An event came to its end. It must neither wait nor raise."""


class TracedTicket(Ticket):
    """One admitted record that belongs to a sampled trace."""

    __slots__ = ("_attempts", "_began_ns", "_parent", "_told")
    traced = True

    def __init__(
        self, record: Record, progress: Progress, tally: Tally, now_ms: int, parent: Parent, told: Told
    ) -> None:
        super().__init__(record, progress, tally, now_ms)
        self._parent = parent
        self._told = told
        self._began_ns = time_ns()
        self._attempts: dict[int | None, Attempts] = {}

    def attempted(self, index: int | None, route: Route, status: int | str, took_s: float) -> None:
        """Remember it."""
        ended_ns = time_ns()
        attempts = self._attempts.setdefault(index, Attempts())
        attempts.count += 1
        # The loop's clock is rounded: a child must not begin before its parent.
        began_ns = max(ended_ns - int(took_s * 1e9), self._began_ns)
        attempts.newest.append(Attempt(attempts.count, route, status, began_ns, ended_ns))

    def settle(self, type_: EventType, outcome: Outcome, reason: Reason, index: int | None = None) -> None:
        """End one event, and tell."""
        if self.released:
            return
        super().settle(type_, outcome, reason, index)
        self._told(
            Settled(
                parent=self._parent,
                record=self.record,
                index=index,
                type=type_,
                outcome=outcome,
                reason=reason,
                attempts=self._attempts.pop(index, Attempts()),
                began_ns=self._began_ns,
                ended_ns=time_ns(),
            )
        )
