"""The figures of scaling: how long its phases are comes in, what one to four to two members under load cost goes out.

The run, and who judges it, stand in `tests/scaling`.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure
from tests.scaling.measures import Change
from tests.scaling.record import Options, Scaling
from tests.scaling.report import seconds
from tests.scaling.run import grace_s, scaling
from tests.scaling.verdict import Verdict, verdict

AIM_PAUSE_S: Final = 3.0
"""A heartbeat, after which the group knows, and at most `rebalance_drain_s` for what is in flight."""
AIM_READY_S: Final = 10.0
AIM_SHARE: Final = 0.2
"""Of each of four: a fifth at least, since keys are not spread evenly."""


async def run(longer: float, say: Callable[[str], None]) -> tuple[Scaling, Verdict]:
    """Run it.

    Raises:
        TimeoutError: A member was not ready, or the backlog was not gone, in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        played = await scaling(Options().longer(longer), Path(folder), say)
    return played, verdict(played)


def figures(run: Scaling, verdict: Verdict) -> list[Figure]:
    """As lines of the results."""
    counts, measures = verdict.findings.counts, verdict.measures
    broken = (counts["lost"], verdict.findings.duplicates.total(), counts["order violation"])
    one, four, two = (f"{rate:.0f}" for rate in measures.rates)
    case = (
        f"{run.options.rate} events/s, {run.options.partitions} partitions, {run.options.concurrency} in flight a pod"
    )
    return [
        Figure(
            what="scaling 1 → 4 → 2: lost · repeated · order violations",
            case=f"{case}, {counts['produced']:,} events",
            aim="0 · 0 · 0",
            value=" · ".join(map(str, broken)),
            met=not verdict.problems and not any(broken),
            note="; ".join(verdict.problems) or f"{one} delivered a second by one, {four} by four, {two} by two",
        ),
        _pause("three join", measures.out),
        _pause("two leave by SIGTERM", measures.in_),
        Figure(
            what="scaling: a new pod is ready",
            case="three started at once",
            aim=f"≤ {AIM_READY_S:g} s",
            value=f"{max(measures.ready_s):.1f} s",
            met=max(measures.ready_s) <= AIM_READY_S,
            note=f"first event delivered after {seconds(measures.first_s)}",
        ),
        Figure(
            what="scaling: from SIGTERM to the end",
            case="two at once, under load",
            aim=f"≤ {grace_s():g} s",
            value=f"{max(measures.exit_s):.1f} s",
            met=max(measures.exit_s) <= grace_s(),
            note="exit status 0",
        ),
        Figure(
            what="scaling: a backlog that one pod cannot carry",
            case=case,
            aim="gone with four",
            value=f"{measures.backlog_peak:,}, gone after {measures.healed_s:.1f} s",
            met=measures.shown_after < measures.shown_peak / 2,
            note=f"backlog_records {measures.shown_peak:,.0f}, then at most {measures.shown_after:,.0f}",
        ),
        Figure(
            what="scaling: least share of one of four pods",
            case=f"{run.options.partitions} partitions, keyed by visitor",
            aim=f"≥ {AIM_SHARE:.0%}",
            value=f"{min(measures.shares.values()):.1%}",
            met=min(measures.shares.values()) >= AIM_SHARE,
            note=" ".join(f"{share:.1%}" for share in measures.shares.values()),
        ),
    ]


def _pause(kind: str, change: Change) -> Figure:
    return Figure(
        what="scaling: longest time without progress of a partition",
        case=kind,
        aim=f"≤ {AIM_PAUSE_S:g} s",
        value=f"{change.pause_s:.2f} s",
        met=change.pause_s <= AIM_PAUSE_S,
        note=f"otherwise {change.usual_pause_s:.2f} s",
    )
