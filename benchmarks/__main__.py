"""`python -m benchmarks [pipe|engine|memory|all]`: runs them, prints tables, and ends by itself within minutes."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import orjson

from benchmarks import engine, memory, pipe
from benchmarks.processes import PartyError
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


def _pipe(options: Options) -> tuple[object, str]:
    figures = _bounded(pipe.run(options.events, options.latency, options.repeats or pipe.REPEATS, _say))
    return asdict(figures), pipe.report(figures)


def _memory(options: Options) -> tuple[object, str]:
    figures = _bounded(memory.run(options.events, _say))
    return asdict(figures) if figures else None, memory.report(figures)


_BENCHMARKS: Final[dict[str, Callable[[Options], tuple[object, str]]]] = {
    "engine": _engine,
    "pipe": _pipe,
    "memory": _memory,
}


def _bounded(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, _DEADLINE_S))


def main() -> int:
    """Run what was asked for; 1 if a measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What an event costs, and where.")
    parser.add_argument("which", nargs="?", choices=[*_BENCHMARKS, "all"], default="all")
    parser.add_argument("--events", type=int, help="instead of each benchmark's own number")
    parser.add_argument("--repeats", type=int, help="rounds, of which medians are shown")
    parser.add_argument("--latency", type=Latency, choices=list(Latency), default=Latency.CONSTANT, help="for pipe")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = parser.parse_args()
    options = Options(args.events, args.latency, args.repeats)
    names = list(_BENCHMARKS) if args.which == "all" else [args.which]
    try:
        results = {name: _BENCHMARKS[name](options) for name in names}
    except PartyError as error:
        _say(str(error))
        return 1
    if args.json:
        print(orjson.dumps({name: figures for name, (figures, _) in results.items()}).decode())
    else:
        print("\n\n".join(text for _, text in results.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
