"""What a run of scaling comes to, seen from Pendo's side: a run comes in, figures go out. It judges nothing."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.chaos.log import Evidence
from tests.scaling.record import Scaling, Span

AFTERMATH_S: Final = 2.0
"""A rebalance that follows from a start or an end shows at the latest so long after it."""
_STEADY: Final = 2.0
"""Backlog: with no more than so many times what is on its way in quiet times, it is as it was."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event's first acceptance."""

    partition: int
    sender: int
    sent_s: float
    arrived_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change of the group cost.

    Attributes:
        pause_s: The longest time in which nothing of a partition arrived, of the worst of them.
        usual_pause_s: The same in as long a time without a change.
        age_s: How long the oldest event took from Kafka's client to Pendo's answer.
        usual_age_s: Likewise, without a change.
    """

    pause_s: float
    usual_pause_s: float
    age_s: float
    usual_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The figures.

    Attributes:
        out: Of one to four.
        in_: Of four to two.
        ready_s: From start to ready, of the three that were added.
        first_s: From start to the first event delivered, of the same.
        exit_s: From SIGTERM to the end, of the two that were taken away.
        backlog_peak: Most events that were sent and not delivered.
        shown_peak: The most that the autoscaler's metric said.
        shown_after: What it said at the most while four and two were there, once it was at rest.
        healed_s: From the command to start three more until the backlog was as in quiet times.
        rates: Events a second that one, four and two members delivered.
        shares: Of each of the four, while all were there.
    """

    out: Change
    in_: Change
    ready_s: list[float]
    first_s: list[float]
    exit_s: list[float]
    backlog_peak: int
    shown_peak: float
    shown_after: float
    healed_s: float
    rates: tuple[float, float, float]
    shares: dict[int, float]


def measure(run: Scaling) -> Measures:
    """Measure it."""
    marks = run.marks
    deliveries = list(first_deliveries(run.evidence, run.sent_s))
    backlog = Backlog(deliveries)
    all_ready_s = max(span.ended_s for span in marks.starts.values())
    gone_s = max(span.ended_s for span in marks.ends.values())
    alone, together = Span(marks.began_s, marks.out_s), Span(marks.rested_s, marks.in_s)
    left = Span(gone_s, marks.quiet_s)
    usual, peak_s = backlog.at(backlog.peak_s(together)), backlog.peak_s(Span(marks.began_s, marks.rested_s))
    added = [number for number, span in marks.starts.items() if span.began_s >= marks.out_s]
    return Measures(
        out=_change(deliveries, Span(marks.out_s, all_ready_s + AFTERMATH_S), alone),
        in_=_change(deliveries, Span(marks.in_s, gone_s + AFTERMATH_S), together),
        ready_s=[marks.starts[number].took_s for number in added],
        first_s=[_first_s(deliveries, number) - marks.starts[number].began_s for number in added],
        exit_s=[span.took_s for span in marks.ends.values()],
        backlog_peak=backlog.at(peak_s),
        shown_peak=max(look.backlog for look in run.looks),
        shown_after=max(look.backlog for look in run.looks if marks.rested_s <= look.at_s <= marks.quiet_s),
        healed_s=backlog.at_most(int(usual * _STEADY), since_s=peak_s) - marks.out_s,
        rates=(_rate(deliveries, alone), _rate(deliveries, together), _rate(deliveries, left)),
        shares=_shares(deliveries, together),
    )


def first_deliveries(evidence: Evidence, sent_s: Sequence[float]) -> Iterable[Delivery]:
    """Every event that was accepted, once, in the order of arrival."""
    produced, seen = evidence.produced, bytearray(len(evidence.produced))
    for request in evidence.requests:
        if request.applied and request.message < len(seen) and not seen[request.message]:
            seen[request.message] = 1
            partition = produced.partition[request.message]
            sent = sent_s[request.message]
            yield Delivery(partition, request.sender, sent, request.arrived_s, request.ended_s)


class Backlog:
    """How many were sent and not delivered, at any time."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._sent = array("d", sorted(delivery.sent_s for delivery in deliveries))
        self._ended = array("d", sorted(delivery.ended_s for delivery in deliveries))

    def at(self, at_s: float) -> int:
        """So many then."""
        return bisect_right(self._sent, at_s) - bisect_right(self._ended, at_s)

    def peak_s(self, span: Span) -> float:
        """When they were most: where one was just sent."""
        return max((at_s for at_s in self._sent if span.began_s <= at_s <= span.ended_s), key=self.at)

    def at_most(self, events: int, since_s: float) -> float:
        """When it came down to so many."""
        return next(at_s for at_s in self._ended if at_s >= since_s and self.at(at_s) <= events)


def longest_pause_s(arrivals: Iterable[float], span: Span) -> float:
    """The longest time without one in a span; of one that began before it, or lasts beyond it, what lies in it."""
    inside = [at_s for at_s in arrivals if span.began_s < at_s < span.ended_s]
    return max(later - earlier for earlier, later in pairwise((span.began_s, *inside, span.ended_s)))


def _change(deliveries: Sequence[Delivery], change: Span, quiet: Span) -> Change:
    # As long as the change, and right before it: a longer look finds longer pauses.
    usual = Span(max(quiet.began_s, quiet.ended_s - change.took_s), quiet.ended_s)
    return Change(
        pause_s=_worst_pause_s(deliveries, change),
        usual_pause_s=_worst_pause_s(deliveries, usual),
        age_s=_oldest_s(deliveries, change),
        usual_age_s=_oldest_s(deliveries, usual),
    )


def _worst_pause_s(deliveries: Sequence[Delivery], span: Span) -> float:
    by_partition: dict[int, list[float]] = {}
    for delivery in deliveries:
        by_partition.setdefault(delivery.partition, []).append(delivery.arrived_s)
    return max(longest_pause_s(arrivals, span) for arrivals in by_partition.values())


def _oldest_s(deliveries: Sequence[Delivery], span: Span) -> float:
    ended = (one for one in deliveries if span.began_s <= one.ended_s <= span.ended_s)
    return max(one.ended_s - one.sent_s for one in ended)


def _first_s(deliveries: Sequence[Delivery], sender: int) -> float:
    return next(delivery.ended_s for delivery in deliveries if delivery.sender == sender)


def _rate(deliveries: Sequence[Delivery], span: Span) -> float:
    return sum(span.began_s <= one.ended_s <= span.ended_s for one in deliveries) / span.took_s


def _shares(deliveries: Sequence[Delivery], span: Span) -> dict[int, float]:
    senders = Counter(one.sender for one in deliveries if span.began_s <= one.ended_s <= span.ended_s)
    return {sender: count / senders.total() for sender, count in sorted(senders.items())}
