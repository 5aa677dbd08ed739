"""What a contestant did in a case, over its rounds, and what follows for the aims. Pure: outcomes in, figures out.

CPU is the least of the rounds, since whatever else the machine does only adds to it; rates are medians.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.figures import Figure
from benchmarks.peers.contestants import Contestant
from benchmarks.peers.drain import Kill
from benchmarks.peers.judging import Outcome
from benchmarks.peers.options import Case, Latency, Part

AIM_CPU: Final = {
    (Part.PLAIN, Latency.FIXED): 0.35,
    (Part.PLAIN, Latency.LOGNORMAL): 0.40,
    (Part.TLS, Latency.FIXED): 0.45,
    (Part.TLS, Latency.LOGNORMAL): 0.55,
}
"""The service's CPU an event ÷ a bare POST's."""
AIM_MQ_BRIDGE: Final = 1.0
AIM_LIMIT: Final = 0.97
AIM_ZIPF: Final = 1.05
AIM_CONFLUENT: Final = 1.2
AIM_REPEATS: Final = 3.0


@dataclass
class Standing:
    """One contestant in one case.

    Attributes:
        case: Which.
        contestant: Who.
        outcomes: One a round.
        kills: One a round with a kill.
        failure: Why there are none, or fewer.
    """

    case: Case
    contestant: Contestant
    outcomes: list[Outcome] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    failure: str = ""

    @property
    def cpu_us(self) -> float:
        """CPU an event, the least."""
        return min(outcome.cpu_us for outcome in self.outcomes)

    @property
    def per_s(self) -> float:
        """Events a second, the median."""
        return median(outcome.per_s for outcome in self.outcomes)

    @property
    def of_limit(self) -> float:
        """Of what Little's law allows, the median."""
        return median(outcome.of_limit for outcome in self.outcomes)

    @property
    def missing(self) -> int:
        """Events that never came, of all rounds."""
        return sum(one.missing for one in self.outcomes) + sum(one.missing for one in self.kills)


class Standings:
    """All of them, in the order in which they were opened."""

    def __init__(self) -> None:
        self._all: dict[tuple[Case, Contestant], Standing] = {}

    def open(self, case: Case, contestant: Contestant) -> Standing:
        """The standing of a contestant in a case; a new one the first time."""
        return self._all.setdefault((case, contestant), Standing(case, contestant))

    def __iter__(self) -> Iterator[Standing]:
        """One after another."""
        return iter(self._all.values())

    def of(self, case: Case) -> list[Standing]:
        """All of a case."""
        return [one for one in self if one.case == case]

    def judged(self, part: Part, contestant: Contestant) -> Iterator[Standing]:
        """Those of a contestant in a part that have an outcome."""
        return (one for one in self if one.case.part is part and one.contestant is contestant and one.outcomes)

    def beside(self, one: Standing, contestant: Contestant) -> Standing | None:
        """Another's standing in the same case; None without an outcome."""
        other = self._all.get((one.case, contestant))
        return other if other and other.outcomes else None


def figures_of(standings: Standings) -> list[Figure]:
    """Whatever of the aims can be told from these."""
    return [
        *_cpu(standings, Contestant.BARE, AIM_CPU),
        *_cpu(standings, Contestant.MQ_BRIDGE, {(Part.PLAIN, Latency.LOGNORMAL): AIM_MQ_BRIDGE}),
        *_of_limit(standings),
        *_zipf(standings),
        *_beside_confluent(standings),
        *_repeats(standings),
    ]


def _cpu(standings: Standings, other: Contestant, aims: dict[tuple[Part, Latency], float]) -> Iterator[Figure]:
    for (part, latency), aim in aims.items():
        for ours in standings.judged(part, Contestant.SERVICE):
            theirs = standings.beside(ours, other)
            if ours.case.latency is latency and theirs:
                ratio = ours.cpu_us / theirs.cpu_us
                yield Figure(
                    what=f"CPU an event: service ÷ {other}",
                    case=ours.case.title,
                    aim=f"≤ {aim:.2f}",
                    value=f"{ratio:.2f}",
                    met=ratio <= aim and _whole(ours),
                    note=f"{ours.cpu_us:.1f} ÷ {theirs.cpu_us:.1f} µs; by round {_by_round(ours, theirs)}",
                )


def _by_round(ours: Standing, theirs: Standing) -> str:
    pairs = zip(ours.outcomes, theirs.outcomes, strict=False)
    return " ".join(f"{mine.cpu_us / other.cpu_us:.2f}" for mine, other in pairs)


def _of_limit(standings: Standings) -> Iterator[Figure]:
    for ours in standings.judged(Part.PLAIN, Contestant.SERVICE):
        if ours.case.latency is Latency.LOGNORMAL:
            yield Figure(
                what="events/s of the service, order kept ÷ Little's-law limit",
                case=ours.case.title,
                aim=f"≥ {AIM_LIMIT:g}",
                value=f"{ours.of_limit:.3f}",
                met=ours.of_limit >= AIM_LIMIT and _whole(ours),
                note=f"{ours.per_s:,.0f}/s; {_order(ours.outcomes)}",
            )


def _zipf(standings: Standings) -> Iterator[Figure]:
    for ours in standings.judged(Part.ZIPF, Contestant.SERVICE):
        ratio = median(outcome.of_hottest for outcome in ours.outcomes)
        yield Figure(
            what="drain time ÷ time the hottest user's requests were held",
            case=ours.case.title,
            aim=f"≤ {AIM_ZIPF:g}",
            value=f"{ratio:.3f}",
            met=ratio <= AIM_ZIPF and _whole(ours),
            note=f"{ours.outcomes[0].seconds:.1f} s; {_order(ours.outcomes)}",
        )


def _beside_confluent(standings: Standings) -> Iterator[Figure]:
    for ours in standings.judged(Part.PLAIN, Contestant.SERVICE):
        theirs = standings.beside(ours, Contestant.CONFLUENT)
        if ours.case.latency is Latency.FIXED and theirs:
            ratio = ours.per_s / theirs.per_s
            yield Figure(
                what="events/s: service ÷ Confluent Parallel Consumer",
                case=ours.case.title,
                aim=f"≥ {AIM_CONFLUENT:g}",
                value=f"{ratio:.2f}",
                met=ratio >= AIM_CONFLUENT and _whole(ours),
                note=f"{ours.per_s:,.0f}/s on {_cores(ours)} ÷ {theirs.per_s:,.0f}/s on {_cores(theirs)} cores",
            )


def _repeats(standings: Standings) -> Iterator[Figure]:
    for ours in standings:
        if ours.contestant is Contestant.SERVICE and ours.kills:
            ratio = repeated(ours.kills)
            yield Figure(
                what="events repeated after a SIGKILL ÷ in flight",
                case=ours.case.title,
                aim=f"≤ {AIM_REPEATS:g}",
                value=f"{ratio:.2f}",
                met=ratio <= AIM_REPEATS and _whole(ours),
                note=" ".join(f"{one.repeats}/{one.in_flight}" for one in ours.kills),
            )


def repeated(kills: Sequence[Kill]) -> float:
    """Repeats ÷ what was in flight, the median."""
    return median(one.repeats / max(one.in_flight, 1) for one in kills)


def _whole(ours: Standing) -> bool:
    """A figure is met only by who delivered all, in order."""
    return not ours.missing and not ours.failure and all(outcome.ordered for outcome in ours.outcomes)


def _order(outcomes: Sequence[Outcome]) -> str:
    return "order kept" if all(outcome.ordered for outcome in outcomes) else "ORDER BROKEN"


def _cores(standing: Standing) -> str:
    return f"{median(outcome.cores for outcome in standing.outcomes):.2f}"
