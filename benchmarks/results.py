"""The results: every figure that the project has set itself, measured by one command, one row after another.

Names of rows and how much of each come in, lines of a table go out; a row that fails says so and stops no other. How a
row is measured stands in its own module.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks import (
    answers,
    calls,
    chaos,
    crashes,
    engine,
    fuzz,
    growth,
    handovers,
    lateness,
    machine,
    mapping,
    memory,
    outages,
    pipe,
    scaling,
    soak,
    starting,
    throughput,
)
from benchmarks.figures import Figure, Row, to_markdown
from benchmarks.processes import PartyError
from benchmarks.sink import Latency
from tests.support.apache import UnavailableError

FILE: Final = Path(__file__).parent / "RESULTS.md"
_DEADLINE_S: Final = 1_800.0
"""Of one row; each takes a few minutes. The chaos run has a deadline of its own."""

_PREFACE: Final = (
    "Written by `make bench ARGS=results`, which measures all rows one after another, or those that it is given; do "
    "not edit. Ratios compare what was measured side by side in one run; absolute figures belong to the machine below "
    "and to what else it did."
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured.

    Attributes:
        events: For the memory row.
        chaos_events: For the chaos run.
        scale: Times the other rows' own numbers.
    """

    events: int = memory.EVENTS
    chaos_events: int = chaos.EVENTS
    scale: float = 1.0

    def of(self, number: int, least: int = 1) -> int:
        """So many, scaled."""
        return max(least, int(number * self.scale))


async def _chaos(extent: Extent, say: Say) -> list[Figure]:
    return chaos.figures(await chaos.run(extent.chaos_events, say))


async def _crashes(extent: Extent, say: Say) -> list[Figure]:
    kills = extent.of(crashes.KILLS)
    return crashes.figures(await crashes.run(kills, crashes.EVENTS_BETWEEN, crashes.CONCURRENCY, say))


async def _repeats(extent: Extent, say: Say) -> list[Figure]:
    rounds = extent.of(handovers.ROUNDS)
    return handovers.repeat_figures(await handovers.run(Latency.LOGNORMAL, rounds, handovers.EVENTS_BETWEEN, say))


async def _cpu(extent: Extent, say: Say) -> list[Figure]:
    events = extent.of(pipe.EVENTS[Latency.CONSTANT])
    return pipe.figures(await pipe.run(events, Latency.CONSTANT, extent.of(pipe.REPEATS), say))


async def _engine(extent: Extent, say: Say) -> list[Figure]:
    events, repeats = extent.of(engine.EVENTS), extent.of(engine.REPEATS)
    return engine.figures(await asyncio.to_thread(engine.run, events, repeats, say))


async def _fuzz(extent: Extent, say: Say) -> list[Figure]:
    found = fuzz.figures(await asyncio.to_thread(fuzz.run, extent.of(fuzz.EVENTS), say))
    return found + answers.figures(await answers.run(extent.of(answers.ANSWERS), say))


async def _mapping(extent: Extent, say: Say) -> list[Figure]:
    events, repeats = extent.of(mapping.EVENTS), extent.of(mapping.REPEATS)
    return mapping.figures(await asyncio.to_thread(mapping.run, events, repeats, say))


async def _calls(extent: Extent, say: Say) -> list[Figure]:
    seconds, drained = max(2.0, calls.SECONDS * extent.scale), extent.of(calls.DRAINED)
    return calls.figures(await calls.run(drained, seconds, extent.of(calls.BACKLOG), say))


async def _uniform(extent: Extent, say: Say) -> list[Figure]:
    return throughput.uniform_figures(await throughput.run(extent.of(throughput.UNIFORM_EVENTS), 0.0, say))


async def _zipf(extent: Extent, say: Say) -> list[Figure]:
    return throughput.zipf_figures(await throughput.run(extent.of(throughput.ZIPF_EVENTS), throughput.SKEW, say))


async def _latency(extent: Extent, say: Say) -> list[Figure]:
    return lateness.figures(await lateness.run(extent.of(lateness.SECONDS), say))


async def _memory(extent: Extent, say: Say) -> list[Figure]:
    return memory.figures(await memory.run(extent.events, memory.DOWN_S * extent.scale, say))


async def _soak(extent: Extent, say: Say) -> list[Figure]:
    return soak.figures(await soak.run(soak.SECONDS * extent.scale, say))


async def _growth(extent: Extent, say: Say) -> list[Figure]:
    return growth.figures(await asyncio.to_thread(growth.run, extent.scale, extent.of(growth.ROUNDS), say))


async def _outages(extent: Extent, say: Say) -> list[Figure]:
    say("outages: an hour on a virtual clock")
    hour = await asyncio.to_thread(outages.virtual_hour, outages.HOUR_S, extent.of(outages.HOUR_EVENTS))
    real = await outages.run_real(outages.REAL_S * extent.scale, extent.of(outages.REAL_EVENTS), say)
    return outages.figures([hour, *real])


async def _pauses(extent: Extent, say: Say) -> list[Figure]:
    rounds = extent.of(handovers.ROUNDS)
    return handovers.pause_figures(await handovers.run(Latency.STEADY, rounds, handovers.EVENTS_BETWEEN, say))


async def _start(extent: Extent, say: Say) -> list[Figure]:
    idle_s = max(2.0, starting.IDLE_S * extent.scale)
    return starting.figures(await starting.run(extent.of(starting.STARTS), idle_s, say))


async def _scaling(extent: Extent, say: Say) -> list[Figure]:
    return scaling.figures(*await scaling.run(extent.scale, say))


ROWS: Final[dict[str, Callable[[Extent, Say], Coroutine[Any, Any, list[Figure]]]]] = {
    "chaos": _chaos,
    "crashes": _crashes,
    "handovers": _repeats,
    "cpu": _cpu,
    "engine": _engine,
    "mapping": _mapping,
    "calls": _calls,
    "fuzz": _fuzz,
    "uniform": _uniform,
    "zipf": _zipf,
    "latency": _latency,
    "memory": _memory,
    "soak": _soak,
    "growth": _growth,
    "outages": _outages,
    "pauses": _pauses,
    "scaling": _scaling,
    "start": _start,
}


def measure(names: list[str], extent: Extent, say: Say) -> list[Row]:
    """Measure these rows, in the order of the table."""
    about = _about(extent)
    return [Row(name=name, about=about, figures=_row(name, extent, say)) for name in ROWS if name in names]


def _about(extent: Extent) -> dict[str, str]:
    return machine.shape() | {
        "scale": f"{extent.scale:g}",
        "events": f"{extent.events:,} for memory, {extent.chaos_events:,} for chaos",
    }


def _row(name: str, extent: Extent, say: Say) -> list[Figure]:
    deadline_s = None if name == "chaos" else _DEADLINE_S
    try:
        return asyncio.run(asyncio.wait_for(ROWS[name](extent, say), deadline_s))
    except (PartyError, UnavailableError, TimeoutError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        say(f"{name}: not measured: {error}")
        return [Figure(what=name, case="", aim="", value="not measured", met=False, note=reason)]


def keep(rows: list[Row]) -> None:
    """Write the table anew: these rows as they were measured now, all others as they were kept."""
    kept = {row.name: row for row in (*_kept(), *rows)}
    ordered = [kept[name] for name in ROWS if name in kept]
    FILE.with_suffix(".json").write_bytes(orjson.dumps([asdict(row) for row in ordered], option=orjson.OPT_INDENT_2))
    FILE.write_text(_page(ordered))


def _kept() -> Iterator[Row]:
    file = FILE.with_suffix(".json")
    for row in orjson.loads(file.read_bytes()) if file.exists() else ():
        yield Row(**row | {"figures": [Figure(**figure) for figure in row["figures"]]})


def _page(rows: list[Row]) -> str:
    figures = [figure for row in rows for figure in row.figures]
    missed = sum(figure.met is False for figure in figures)
    measured = [f"- {about}: {', '.join(names)}" for about, names in _by_machine(rows).items()]
    return "\n".join(
        [
            "# Results",
            "",
            _PREFACE,
            "",
            *measured,
            f"- {missed} of {len(figures)} not as they should be",
            "",
            to_markdown(figures),
            "",
        ]
    )


def _by_machine(rows: list[Row]) -> dict[str, list[str]]:
    """When and where, and which rows were measured there."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(", ".join(f"{name} {value}" for name, value in row.about.items()), []).append(row.name)
    return found
