"""Repeats after a crash: a loaded service is killed again and again, its successor goes on, and repeats are counted.

The endpoint answers at lognormal latency, so that fast requests finish far beyond slow ones: what the offset map does
not tell is sent again. The number of kills comes in, repeats ÷ requests in flight at each kill go out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.events import track_events
from benchmarks.figures import Figure
from benchmarks.sink import Latency
from benchmarks.stage import Stage, stage

KILLS: Final = 5
CONCURRENCY: Final = 256
EVENTS_BETWEEN: Final = 8_000
"""Some seconds at full concurrency; what a crash repeats comes first of all."""
AIM: Final = 3.0
_FULL: Final = 0.8
"""Of all slots: with fewer in flight a kill says little."""
_PHASE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One of them.

    Attributes:
        in_flight: Requests that the endpoint had not answered.
        repeats: Requests that came again afterwards.
    """

    in_flight: int
    repeats: int

    @property
    def ratio(self) -> float:
        """Repeats for each request in flight."""
        return self.repeats / max(self.in_flight, 1)


@dataclass(frozen=True, slots=True)
class Crashes:
    """All of them, and how many events never arrived."""

    kills: tuple[Kill, ...]
    lost: int


async def run(kills: int, between: int, concurrency: int, say: Callable[[str], None]) -> Crashes:
    """Kill a service so often, each time after so many further events.

    Raises:
        PartyError: A phase took too long.
    """
    events = (kills + 1) * between
    in_flight, repeats = [], []
    async with stage(Latency.LOGNORMAL) as set_stage:
        await set_stage.fill(track_events(events))
        for number in range(kills):
            say(f"crashes: kill {number + 1} of {kills}")
            in_flight.append(await _kill(set_stage, (number + 1) * between, concurrency))
            repeats.append((await set_stage.sink.journal()).repeats)
        say("crashes: draining the rest")
        async with set_stage.member(concurrency) as last:
            journal = await set_stage.until(lambda j: j.distinct >= events and not j.in_flight, _PHASE_S)
            await last.until("lag_records", lambda lag: lag == 0)
    # What a kill repeats comes before the next one.
    counts = [after - before for before, after in zip(repeats, [*repeats[1:], journal.repeats], strict=True)]
    return Crashes(tuple(map(Kill, in_flight, counts)), events - journal.distinct)


async def _kill(set_stage: Stage, after: int, concurrency: int) -> int:
    """Kill a member once so many events have arrived and its slots are full; how many were in flight."""
    full = concurrency * _FULL
    async with set_stage.member(concurrency) as member:
        journal = await set_stage.until(lambda j: j.distinct >= after and j.in_flight >= full, _PHASE_S)
        await member.kill()
    return journal.in_flight


def figures(crashes: Crashes) -> list[Figure]:
    """As lines of the results."""
    ratio = median(kill.ratio for kill in crashes.kills)
    each = " ".join(f"{kill.repeats}/{kill.in_flight}" for kill in crashes.kills)
    return [
        Figure(
            what="repeats after SIGKILL ÷ in flight at the kill",
            case=f"lognormal latency, {CONCURRENCY} slots, median of {len(crashes.kills)} kills",
            aim=f"≤ {AIM:g}; none lost",
            value=f"{ratio:.2f}; {crashes.lost} lost",
            met=ratio <= AIM and not crashes.lost,
            note=each,
        )
    ]
