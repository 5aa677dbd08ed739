"""The judge's arithmetic: what the endpoint remembers and what a process tree took come in, an outcome goes out.

Pure: it neither measures nor prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Final

from benchmarks.peers.tree import Sample, cpu_at

_STEADY: Final = (0.2, 0.8)
"""Of the arrivals: before, connections are opened and code warms up; after, the last slow answers are waited for."""
_BUSY: Final = 0.9
"""Of one core: an endpoint that takes so much is the limit itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the endpoint remembers; seconds.

    Attributes:
        requests: How many came.
        distinct: How many different events.
        repeats: How many of them had come before.
        in_flight: How many are not answered.
        max_in_flight: Most at once.
        overtaken: Events that came after a later one of their user.
        side_by_side: Events that came while another of their user was in flight: in order by luck alone.
        hottest_held_s: How long the requests of that user were held for whom this is longest.
        first_arrival: When the first came, since the epoch.
        last_answer: When the last was answered, since the epoch.
        cpu_s: What the endpoint took of the processor.
        arrivals: When each came, since the first.
        held: How long each was to be held, in the same order.
    """

    requests: int
    distinct: int
    repeats: int
    in_flight: int
    max_in_flight: int
    overtaken: int
    side_by_side: int
    hottest_held_s: float
    first_arrival: float
    last_answer: float
    cpu_s: float
    arrivals: Sequence[float]
    held: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One contestant's run.

    Attributes:
        events: Distinct ones that were accepted.
        missing: Those that were not.
        repeats: Requests for an event that had come before.
        overtaken: See the report.
        side_by_side: See the report.
        seconds: From the first arrival to the last answer.
        per_s: Events a second, between start and tail.
        of_limit: The same ÷ what Little's law allows: slots ÷ mean time that a request is held.
        of_hottest: The seconds ÷ the time for which the hottest user's requests were held.
        cpu_us: CPU an event of the whole tree, from the first arrival to the last answer.
        steady_cpu_us: The same between start and tail: kinder to what compiles itself while it runs.
        cores: How many cores it took, between start and tail.
        rss_mib: The tree's largest resident size until the last answer.
        max_in_flight: Most requests at once.
        endpoint_busy: The share of one core that the endpoint took.
    """

    events: int
    missing: int
    repeats: int
    overtaken: int
    side_by_side: int
    seconds: float
    per_s: float
    of_limit: float
    of_hottest: float
    cpu_us: float
    steady_cpu_us: float
    cores: float
    rss_mib: float
    max_in_flight: int
    endpoint_busy: float

    @property
    def ordered(self) -> bool:
        """Whether every user's events came one after another, in order."""
        return not self.overtaken and not self.side_by_side

    @property
    def endpoint_is_the_limit(self) -> bool:
        """Whether its figure says more of the endpoint than of the contestant."""
        return self.endpoint_busy > _BUSY


def judge(report: Report, samples: Sequence[Sample], events: int, concurrency: int) -> Outcome:
    """Judge a run.

    Raises:
        ValueError: Too little came to say anything.
    """
    begin, end = (int(len(report.arrivals) * share) for share in _STEADY)
    seconds = report.last_answer - report.first_arrival
    if end <= begin or seconds <= 0 or report.arrivals[end] <= report.arrivals[begin]:
        raise ValueError(f"{report.requests} requests came, which is too few to be judged")
    steady_s = report.arrivals[end] - report.arrivals[begin]
    steady_cpu_s = _cpu_between(
        samples, report.first_arrival + report.arrivals[begin], report.first_arrival + report.arrivals[end]
    )
    per_s = (end - begin) / steady_s
    return Outcome(
        events=report.distinct,
        missing=events - report.distinct,
        repeats=report.repeats,
        overtaken=report.overtaken,
        side_by_side=report.side_by_side,
        seconds=seconds,
        per_s=per_s,
        of_limit=per_s * mean(report.held[begin:end]) / concurrency,
        of_hottest=seconds / report.hottest_held_s,
        cpu_us=_cpu_between(samples, report.first_arrival, report.last_answer) / report.requests * 1e6,
        steady_cpu_us=steady_cpu_s / (end - begin) * 1e6,
        cores=steady_cpu_s / steady_s,
        rss_mib=max(sample.rss_mib for sample in samples if sample.at <= report.last_answer),
        max_in_flight=report.max_in_flight,
        endpoint_busy=report.cpu_s / seconds,
    )


def _cpu_between(samples: Sequence[Sample], begin: float, end: float) -> float:
    return cpu_at(samples, end) - cpu_at(samples, begin)
