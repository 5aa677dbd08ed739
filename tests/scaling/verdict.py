"""The verdict on a run of scaling: what the oracle of chaos found, and what a graceful change promises beyond it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.chaos.findings import Findings
from tests.chaos.log import FACTS
from tests.chaos.oracle import judge
from tests.scaling.measures import Measures, measure
from tests.scaling.record import Scaling
from tests.scaling.run import LEFT, grace_s

STUCK_S: Final = 15.0
"""A pause this long is no rebalance: a heartbeat, a drain and a busy machine take a few seconds together."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    Attributes:
        findings: The oracle's.
        measures: The figures.
        problems: What must not be; empty when all is well.
    """

    findings: Findings
    measures: Measures
    problems: list[str]


def verdict(run: Scaling) -> Verdict:
    """Judge a run."""
    findings, measures = judge(run.evidence), measure(run)
    return Verdict(findings, measures, list(_problems(run, findings, measures)))


def _problems(run: Scaling, findings: Findings, measures: Measures) -> Iterator[str]:
    for kind, examples in findings.problems.items():
        yield f"{kind}: {findings.counts[kind]}: {'; '.join(examples)}"
    # The oracle allows some of these after a fault. Here nobody is killed, and no answer gets lost.
    if findings.duplicates:
        yield f"sent twice: {dict(findings.duplicates)}"
    if times := _facts_twice(run):
        yield f"facts that Pendo took twice: {times}"
    yield from _unowned(run)
    if (pause_s := max(measures.out.pause_s, measures.in_.pause_s)) > STUCK_S:
        yield f"a partition stood still for {pause_s:.1f} s"
    if max(measures.exit_s) >= grace_s():
        yield f"no end within the grace period: {measures.exit_s}"
    if measures.shown_after >= measures.shown_peak / 2:
        yield f"the autoscaler's metric did not fall: {measures.shown_peak} before, {measures.shown_after} after"
    one, four, two = measures.rates
    if measures.backlog_peak < run.options.rate or one >= two:
        yield f"proves nothing: one member was enough; events a second {one:.0f}, {four:.0f}, {two:.0f}"


def _unowned(run: Scaling) -> Iterator[str]:
    for partition in range(run.options.partitions):
        owners = run.marks.owners.get(partition, [])
        if len(owners) != 1:
            yield f"partition {partition} belongs to {owners or 'nobody'}"
    if len({owner for owners in run.marks.owners.values() for owner in owners}) != len(LEFT):
        yield f"not both of those that are left have partitions: {run.marks.owners}"


def _facts_twice(run: Scaling) -> int:
    """Tracks and pages that Segment sent once and Pendo took more often, counted without any of the oracle's causes."""
    produced = run.evidence.produced
    copies = Counter(produced.message)
    taken = Counter(request.message for request in run.evidence.requests if request.applied)
    return sum(times > copies[message] for message, times in taken.items() if produced.kind[message] in FACTS)
