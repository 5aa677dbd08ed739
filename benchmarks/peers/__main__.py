"""`make bench-peers`: the service beside what a user would pick instead. Runs, prints tables, ends by itself.

What cannot be built or run here has a row that says so. Everything is on the loopback interface.
"""

import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from benchmarks import machine
from benchmarks.peers.building import UnavailableError, build_go, tool_versions
from benchmarks.peers.chart import draw
from benchmarks.peers.contestants import ENTRIES, Contestant, Start
from benchmarks.peers.drain import Arena, drain, kill, said
from benchmarks.peers.endpoint import make_certificates
from benchmarks.peers.options import Options, Part, Run, cases_of, contestants_of, options_from, runs_of
from benchmarks.peers.page import FILE, to_json, to_page, to_tables
from benchmarks.peers.standings import Standings, figures_of
from benchmarks.processes import PartyError
from tests.support.apache import ApacheKafka
from tests.support.apache import UnavailableError as NoKafkaError

_DEADLINE_S: Final = 2_400.0
"""Of all runs together. A full one takes a quarter of an hour on two cores; what would begin later is left out."""
_ERRORS: Final = (PartyError, UnavailableError, TimeoutError)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _run(options: Options, folder: Path) -> Standings:
    standings = Standings()
    for case in cases_of(options):
        for contestant in contestants_of(case, options):
            standings.open(case, contestant)
    program, tls = await build_go("endpoint"), make_certificates(folder)
    starts = await _prepare(options, standings)
    deadline = monotonic() + _DEADLINE_S
    async with ApacheKafka() as kafka:
        arena = Arena(kafka, program, tls, folder, starts)
        for run in runs_of(options):
            if run.contestant in starts:
                await _one(arena, run, standings, late=monotonic() > deadline)
    return standings


async def _prepare(options: Options, standings: Standings) -> dict[Contestant, Start]:
    """Build everybody; whoever cannot be built has that for a result."""
    starts = {}
    for contestant in options.contestants:
        _say(f"{contestant}: preparing")
        try:
            starts[contestant] = await ENTRIES[contestant].prepare()
        except UnavailableError as error:
            _say(f"{contestant}: not to be had here: {error}")
            for standing in standings:
                if standing.contestant is contestant:
                    standing.failure = f"not to be had here: {error}"
    return starts


async def _one(arena: Arena, run: Run, standings: Standings, *, late: bool) -> None:
    """Run one and note what came of it; a failure stops no other."""
    standing = standings.open(run.case, run.contestant)
    if late:
        standing.failure = standing.failure or "the time for all runs was over"
        return
    _say(f"round {run.round}: {run.case.title}: {run.contestant}")
    try:
        if run.case.part is Part.KILLS:
            standing.kills.append(await kill(arena, run))
        else:
            standing.outcomes.append(await drain(arena, run))
        if standing.missing:
            _say(f"{run.contestant}: {standing.missing} events never came; {said(arena, run)}")
    except _ERRORS as error:
        standing.failure = " ".join(str(error).split()) or type(error).__name__
        _say(f"{run.contestant}: {standing.failure}")


def main() -> int:
    """Run what was asked for; 1 if a figure is not what it should be, or in CI if somebody was not to be had."""
    options = options_from(sys.argv[1:])
    try:
        with TemporaryDirectory(prefix="peers-") as folder:
            standings = asyncio.run(_run(options, Path(folder)))
    except (UnavailableError, NoKafkaError) as error:
        _say(f"not to be run here: {error}")
        return 1
    figures, about = figures_of(standings), machine.shape() | tool_versions()
    if options.keep:
        FILE.write_text(to_page(standings, figures, about))
        FILE.with_suffix(".json").write_bytes(to_json(standings, figures, about))
        draw(FILE)
    print(to_json(standings, figures, about).decode() if options.json else to_tables(standings, figures))
    failed = any(standing.failure for standing in standings) and "CI" in os.environ
    return int(failed or any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
