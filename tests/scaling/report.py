"""The report: a verdict comes in, a table for people goes out."""

from collections.abc import Iterator, Sequence
from statistics import median

from tests.scaling.measures import Change
from tests.scaling.record import Scaling
from tests.scaling.verdict import Verdict

_WIDTH = 46


def to_text(run: Scaling, verdict: Verdict) -> str:
    """A table."""
    return "\n".join(_lines(run, verdict))


def _lines(run: Scaling, verdict: Verdict) -> Iterator[str]:
    findings, measures = verdict.findings, verdict.measures
    rates = " · ".join(f"{rate:.0f}" for rate in measures.rates)
    shares = " · ".join(f"{share:.1%}" for share in measures.shares.values())
    counts = findings.counts
    yield _row("records, of them delivered", f"{counts['produced']:,}, {counts['delivered']:,}")
    yield _row(
        "lost · sent twice · order violations",
        f"{counts['lost']} · {findings.duplicates.total()} · {counts['order violation']}",
    )
    yield _row("in flight at a handover", f"{counts['in flight at a handover']}")
    yield _row("released, in scrapes that saw it", f"{run.evidence.released:,.0f}")
    yield _row("delivered a second by one, four, two", f"{rates}, of {run.options.rate} that came")
    yield _row("shares of the four", shares)
    yield _row("from start to ready", seconds(measures.ready_s))
    yield _row("from start to the first event", seconds(measures.first_s))
    yield _row("from SIGTERM to the end", seconds(measures.exit_s))
    yield from _change("one to four", measures.out)
    yield from _change("four to two", measures.in_)
    yield _row("backlog, peak", f"{measures.backlog_peak:,}, by the metric {measures.shown_peak:,.0f}")
    yield _row(
        "backlog gone after", f"{measures.healed_s:.1f} s; by the metric at most {measures.shown_after:,.0f} then"
    )
    yield from (f"PROBLEM: {problem}" for problem in verdict.problems)
    yield "NOT all promises kept" if verdict.problems else "all promises kept"


def _change(name: str, change: Change) -> Iterator[str]:
    yield _row(f"{name}: longest pause of a partition", f"{change.pause_s:.2f} s, usual {change.usual_pause_s:.2f}")
    yield _row(f"{name}: oldest event", f"{change.age_s:.2f} s, usual {change.usual_age_s:.2f}")


def seconds(times_s: Sequence[float]) -> str:
    """Median and worst."""
    return f"{median(times_s):.1f} s, worst {max(times_s):.1f}"


def _row(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}}{value}"
