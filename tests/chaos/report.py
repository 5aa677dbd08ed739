"""The report: findings come in, a table or JSON goes out."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.chaos.findings import Findings, Hit

_NAME_WIDTH = 46
_MIB = 1024 * 1024


def to_text(findings: Findings) -> str:
    """A table for people."""
    return "\n".join(_lines(findings))


def to_json(findings: Findings) -> dict[str, Any]:
    """The same for machines."""
    counts = findings.counts
    return {
        "ok": findings.ok,
        "produced": counts["produced"],
        "lost": counts["lost"],
        "order_violations": counts["order violation"],
        "at_handover": counts["in flight at a handover"],
        "duplicates": findings.duplicates.total(),
        "counts": dict(counts),
        "figures": findings.figures,
        "duplicates_by_cause": dict(findings.duplicates),
        "hits": [_hit(hit) for hit in findings.hits],
        "faults": dict(findings.faults),
        "peak_rss_bytes": findings.peak_rss_bytes,
        "problems": findings.problems,
    }


def _hit(hit: Hit) -> dict[str, float | bool | str]:
    fault, numbers = hit.fault.kind.value, {"in_flight": hit.in_flight, "repeated": hit.repeated, "ratio": hit.ratio}
    return {"fault": fault, **numbers, "clean": hit.clean}


def _lines(findings: Findings) -> Iterable[str]:
    counts = findings.counts
    names = (
        *("produced", "delivered", "suppressed: repeat", "suppressed: stale", "lost fields to newer events"),
        *("dead-lettered", "letters published again", "skipped or filtered", "lost"),
        *("order violation", "overlap in a lane", "in flight at a handover"),
        *("sent late by a frozen process", "older state after newer"),
    )
    yield from (_row(name, counts[name]) for name in names)
    yield _row("duplicates", findings.duplicates.total())
    yield from _section(findings.duplicates)
    for hit in findings.hits:
        note = "" if hit.clean else "  (shortly after another fault)"
        cost = f"{hit.repeated} repeated ÷ {hit.in_flight} in flight = {hit.ratio:.2f}{note}"
        yield f"{f'{hit.fault.kind} of process {hit.fault.sender}':<{_NAME_WIDTH}}{cost}"
    yield _row("faults", findings.faults.total())
    yield from _section(findings.faults)
    for name, figure in findings.figures.items():
        yield f"{name:<{_NAME_WIDTH}}{figure:>12,.1f}"
    for number, rss_bytes in findings.peak_rss_bytes.items():
        yield f"{f'peak RSS of process {number}, MiB':<{_NAME_WIDTH}}{rss_bytes / _MIB:>12,.1f}"
    for kind, examples in findings.problems.items():
        yield f"PROBLEM: {kind}: {counts[kind]}"
        yield from (f"    {example}" for example in examples)
    yield "all promises kept" if findings.ok else "NOT all promises kept"


def _section(counts: Mapping[str, int]) -> Iterable[str]:
    return (_row(f"  {name}", count) for name, count in sorted(counts.items()))


def _row(name: str, count: int) -> str:
    return f"{name:<{_NAME_WIDTH}}{count:>12,}"
