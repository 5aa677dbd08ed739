"""The comparison for people and for programs: standings come in, tables, a Markdown page and JSON go out."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from benchmarks.figures import Figure, to_markdown, to_text
from benchmarks.peers.contestants import ENTRIES, Contestant
from benchmarks.peers.judging import Outcome
from benchmarks.peers.options import Part
from benchmarks.peers.setting import CONCURRENCY
from benchmarks.peers.standings import Standing, Standings, repeated
from benchmarks.table import table

FILE: Final = Path(__file__).parent.parent / "PEERS.md"
_PREFACE: Final = (
    "Written by `make bench-peers`; do not edit. One topic and one endpoint for all, rounds alternating; what is "
    f"measured, and how, stands in [performance](../docs/performance.md). All have {CONCURRENCY} requests in flight. "
    "Ratios compare what was measured side by side in one run; absolute figures belong to the machine below and to "
    "what else it did."
)
_HEADER: Final = (
    "",
    "order by user",
    "events/s",
    "÷ limit",
    "CPU µs/event",
    "by round",
    "in the middle",
    "cores",
    "RSS MiB",
    "repeats",
    "note",
)
_ZIPF: Final = "drain ÷ hottest"
_KILLS_HEADER: Final = ("", "repeats ÷ in flight", "repeats", "in flight", "note")
_Lines = list[tuple[str, ...]]


def to_tables(standings: Standings, figures: list[Figure]) -> str:
    """For a terminal."""
    tables = [table(lines_title, lines[0], lines[1:]) for lines_title, lines in _cases(standings)]
    return "\n\n".join([*tables, to_text(figures)])


def to_page(standings: Standings, figures: list[Figure], about: dict[str, str]) -> str:
    """For the repository."""
    those = dict.fromkeys(standing.contestant for standing in standings)
    parts = [
        "# Peers",
        _PREFACE,
        "\n".join(f"- {name}: {value}" for name, value in about.items()),
        to_markdown(figures),
        f"![CPU and memory of each]({FILE.with_suffix('.svg').name})",
        *(f"## {title}\n\n{_markdown(lines)}" for title, lines in _cases(standings)),
        "## Who they are",
        _markdown([("", "version", "settings"), *map(_who, those)]),
    ]
    return "\n\n".join(parts) + "\n"


def to_json(standings: Standings, figures: list[Figure], about: dict[str, str]) -> bytes:
    """For programs."""
    versions = {str(standing.contestant): ENTRIES[standing.contestant].version() for standing in standings}
    found = {
        "about": about,
        "versions": versions,
        "figures": [asdict(figure) for figure in figures],
        "standings": [asdict(standing) for standing in standings],
    }
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _who(contestant: Contestant) -> tuple[str, ...]:
    return (contestant, ENTRIES[contestant].version(), ENTRIES[contestant].about)


def _cases(standings: Standings) -> list[tuple[str, _Lines]]:
    cases = dict.fromkeys(standing.case for standing in standings)
    return [(case.title, _lines(case.part, standings.of(case))) for case in cases]


def _lines(part: Part, standings: Sequence[Standing]) -> _Lines:
    if part is Part.KILLS:
        return [_KILLS_HEADER, *map(_kills_line, standings)]
    zipf = part is Part.ZIPF
    header = tuple(_ZIPF if zipf and name == "÷ limit" else name for name in _HEADER)
    return [header, *(_line(standing, zipf=zipf) for standing in standings)]


def _line(standing: Standing, *, zipf: bool) -> tuple[str, ...]:
    outcomes = standing.outcomes
    if not outcomes:
        return (standing.contestant, *[""] * (len(_HEADER) - 2), standing.failure or "not run")
    hottest = median(outcome.of_hottest for outcome in outcomes)
    return (
        standing.contestant,
        _order(standing),
        f"{standing.per_s:,.0f}",
        f"{hottest if zipf else standing.of_limit:.3f}",
        f"{standing.cpu_us:.1f}",
        " ".join(f"{outcome.cpu_us:.0f}" for outcome in outcomes),
        f"{min(outcome.steady_cpu_us for outcome in outcomes):.1f}",
        f"{median(outcome.cores for outcome in outcomes):.2f}",
        f"{max(outcome.rss_mib for outcome in outcomes):.0f}",
        str(sum(outcome.repeats for outcome in outcomes)),
        _note(standing, outcomes),
    )


def _order(standing: Standing) -> str:
    if not ENTRIES[standing.contestant].reads_kafka:
        return "-"
    broken = sum(outcome.overtaken for outcome in standing.outcomes)
    beside = sum(outcome.side_by_side for outcome in standing.outcomes)
    return f"broken: {broken:,} overtaken, {beside:,} side by side" if broken or beside else "kept"


def _note(standing: Standing, outcomes: Sequence[Outcome]) -> str:
    busiest = max(outcomes, key=lambda outcome: outcome.endpoint_busy)
    notes = [
        f"endpoint {busiest.endpoint_busy:.0%} of a core" + (": IT IS THE LIMIT" * busiest.endpoint_is_the_limit),
        f"{standing.missing:,} MISSING" if standing.missing else "",
        standing.failure,
    ]
    return "; ".join(note for note in notes if note)


def _kills_line(standing: Standing) -> tuple[str, ...]:
    kills = standing.kills
    if not kills:
        return (standing.contestant, "", "", "", standing.failure or "not run")
    note = f"{standing.missing:,} MISSING" if standing.missing else standing.failure
    repeats, in_flight = (" ".join(str(getattr(one, name)) for one in kills) for name in ("repeats", "in_flight"))
    return (standing.contestant, f"{repeated(kills):.2f}", repeats, in_flight, note)


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    header, *rows = ([cell.replace("|", "/") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])
