"""The chaos run's figures: a number of events comes in, the oracle's verdict goes out.

The run itself is a test (`python -m tests.chaos`), started here as a process.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from benchmarks.figures import Figure
from benchmarks.processes import PartyError, child, lines_of

EVENTS: Final = 100_000
_BASE_S: Final = 600.0
_PER_EVENT_S: Final = 0.004
"""A long run gets as much time as it needs: 1 M events take about an hour at worst."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """What the oracle found.

    Attributes:
        ok: Whether all promises were kept, these and others.
        order_violations: Without those of requests in flight at a handover.
        at_handover: Those.
        duplicates: Requests that Pendo accepted again.
        problems: What kinds of broken promises there were.
    """

    ok: bool
    produced: int
    lost: int
    order_violations: int
    at_handover: int
    duplicates: int
    problems: tuple[str, ...] = ()


async def run(events: int, say: Callable[[str], None]) -> Chaos:
    """Run it.

    Raises:
        PartyError: It ended without a verdict.
    """
    say(f"chaos: {events:,} events")
    async with child("tests.chaos", "--events", str(events), "--json") as process:
        async with asyncio.timeout(_BASE_S + events * _PER_EVENT_S):
            # At once: a report's line may be longer than a stream hands out.
            said = (await lines_of(process).read()).decode(errors="replace").splitlines()
            status = await process.wait()
    verdict = verdict_in(said)
    for line in said:
        if not line.startswith("{"):
            say(line)
    if verdict is None:
        raise PartyError(f"chaos ended with status {status}, without a verdict:\n{chr(10).join(said[-20:])}")
    return verdict


def verdict_in(lines: list[str]) -> Chaos | None:
    """The verdict among what was printed: the last line that is an object with one."""
    for line in reversed(lines):
        try:
            found: Any = orjson.loads(line)
            return Chaos(
                ok=bool(found["ok"]),
                produced=int(found["produced"]),
                lost=int(found["lost"]),
                order_violations=int(found["order_violations"]),
                at_handover=int(found["at_handover"]),
                duplicates=int(found["duplicates"]),
                problems=tuple(found.get("problems", ())),
            )
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
    return None


def figures(chaos: Chaos) -> list[Figure]:
    """As lines of the results."""
    return [
        Figure(
            what="chaos: lost · order violations but for in flight at a handover",
            case=f"{chaos.produced:,} events; SIGTERM, SIGKILL, SIGSTOP, broker restarts, Pendo faults",
            aim="0 · 0",
            value=f"{chaos.lost} · {chaos.order_violations}",
            met=chaos.ok and not chaos.lost and not chaos.order_violations,
            note=", ".join((f"{chaos.at_handover} at a handover", f"{chaos.duplicates} duplicates", *chaos.problems)),
        )
    ]
