"""`python -m benchmarks [pipe|engine|mapping|all|results …]`: runs them, prints tables, and ends by itself.

`results` measures every figure that the project has set itself and writes `RESULTS.md`; with names of rows it measures
those anew, and keeps the others.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import orjson

from benchmarks import engine, mapping, pipe, results
from benchmarks.figures import Figure, to_text
from benchmarks.processes import PartyError
from benchmarks.results import Extent
from benchmarks.sink import Latency

_DEADLINE_S: Final = 420.0
"""Each takes a minute or two on two cores; slower machines get figures too, but none waits for ever."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        events: How many; None for each benchmark's own number.
        latency: Of the endpoint, in `pipe`.
        repeats: Rounds; None for each benchmark's own number.
    """

    events: int | None
    latency: Latency
    repeats: int | None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _engine(options: Options) -> tuple[object, str]:
    figures = engine.run(options.events, options.repeats or engine.REPEATS, _say)
    return asdict(figures), engine.report(figures)


def _mapping(options: Options) -> tuple[object, str]:
    costs = mapping.run(options.events, options.repeats or mapping.REPEATS, _say)
    return asdict(costs), mapping.report(costs)


def _pipe(options: Options) -> tuple[object, str]:
    figures = _bounded(pipe.run(options.events, options.latency, options.repeats or pipe.REPEATS, _say))
    return asdict(figures), pipe.report(figures)


_BENCHMARKS: Final[dict[str, Callable[[Options], tuple[object, str]]]] = {
    "engine": _engine,
    "mapping": _mapping,
    "pipe": _pipe,
}


def _bounded(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, _DEADLINE_S))


def _results(rows: list[str], extent: Extent) -> list[Figure]:
    measured = results.measure(rows or list(results.ROWS), extent, _say)
    results.keep(measured)
    return [figure for row in measured for figure in row.figures]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What an event costs, and where.")
    parser.add_argument("which", nargs="?", choices=[*_BENCHMARKS, "all", "results"], default="all")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of results, all without: {' '.join(results.ROWS)}")
    parser.add_argument("--events", type=int, help="instead of each benchmark's own number; of results: for memory")
    parser.add_argument("--chaos-events", type=int, default=Extent().chaos_events, help="of results: for chaos")
    parser.add_argument("--scale", type=float, default=1.0, help="of results: times the other rows' own numbers")
    parser.add_argument("--repeats", type=int, help="rounds, of which medians are shown")
    parser.add_argument("--latency", type=Latency, choices=list(Latency), default=Latency.CONSTANT, help="for pipe")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def main() -> int:
    """Run what was asked for; 1 if a measurement failed, or a figure is not what it should be."""
    parser = _parser()
    args = parser.parse_args()
    if unknown := set(args.rows) - set(results.ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if args.which == "results":
        extent = Extent(events=args.events or Extent().events, chaos_events=args.chaos_events, scale=args.scale)
        figures = _results(args.rows, extent)
        print(orjson.dumps([asdict(figure) for figure in figures]).decode() if args.json else to_text(figures))
        return int(any(figure.met is False for figure in figures))
    options = Options(args.events, args.latency, args.repeats)
    names = list(_BENCHMARKS) if args.which == "all" else [args.which]
    try:
        reports = {name: _BENCHMARKS[name](options) for name in names}
    except PartyError as error:
        _say(str(error))
        return 1
    if args.json:
        print(orjson.dumps({name: figures for name, (figures, _) in reports.items()}).decode())
    else:
        print("\n\n".join(text for _, text in reports.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
