"""Soak: traffic at a steady rate, a short outage and a rebalance every few seconds, and nothing that grows.

A number of seconds comes in; what the process holds goes out, as means over the middle and the last third of the time:
resident memory, file descriptors, threads, metric series. Read from `/proc` and `/metrics`, and so on Linux alone.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from time import monotonic
from typing import Final, NamedTuple

from benchmarks.events import TRAITS, identify_events
from benchmarks.figures import Figure
from benchmarks.memory import AIM_GROWTH, resident_mib
from benchmarks.sink import Latency
from benchmarks.stage import TOPIC, Member, Stage, stage
from consumer.sandbox.traffic import produce

SECONDS: Final = 300
PER_SECOND: Final = 2_000
"""Enough to fill the memory of 200,000 messageIds within the first third."""
CONCURRENCY: Final = 64
CYCLE_S: Final = 20.0
"""In each, Pendo is away for a while, and another member comes and goes: thirds of five minutes hold whole cycles."""
_AWAY: Final = 0.2
"""The share of a cycle for which Pendo is away."""
_GUEST: Final = 0.2
_WELL: Final = 0.25
"""After either; starting and stopping the guest takes the rest."""
_SAMPLE_S: Final = 0.5
_END_S: Final = 120.0
_UNAVAILABLE: Final = 503
_OK: Final = 200


class Holding(NamedTuple):
    """What a process holds at one moment, or in the mean; memory in MiB."""

    memory: float
    descriptors: float
    threads: float
    series: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What became of it.

    Attributes:
        seconds: How long traffic came.
        events: How many there were.
        lost: How many the endpoint never accepted.
        cycles: How often Pendo was away and a guest came and went.
        middle: The means of the middle third.
        last: The means of the last third.
    """

    seconds: float
    events: int
    lost: int
    cycles: int
    middle: Holding
    last: Holding

    @property
    def growth(self) -> list[float]:
        """By how much of its middle third each is larger in the last one."""
        return [last / middle - 1 for middle, last in zip(self.middle, self.last, strict=True)]


async def run(seconds: float, say: Callable[[str], None], *, cycle_s: float = CYCLE_S) -> Soak:
    """Soak one member for so long.

    Raises:
        ExceptionGroup: A member died.
        PartyError: Not everything arrived.
    """
    events = int(seconds * PER_SECOND)
    async with stage(Latency.CONSTANT) as set_stage, set_stage.member(CONCURRENCY) as member:
        say(f"soak: {PER_SECOND:,} events a second for {seconds:.0f} s")
        samples: list[Holding] = []
        cycles: list[float] = []
        async with asyncio.TaskGroup() as group:
            beside = [_sample(member, samples), _trouble(set_stage, cycle_s, cycles)]
            tasks = [group.create_task(work) for work in beside]
            began = monotonic()
            await produce(set_stage.bootstrap, TOPIC, identify_events(events), per_second=PER_SECOND)
            lasted = monotonic() - began
            for task in tasks:
                task.cancel()
        await set_stage.sink.answer(_OK)
        journal = await set_stage.until(lambda j: j.distinct >= events, _END_S)
    third = len(samples) // 3
    return Soak(
        seconds=lasted,
        events=events,
        lost=events - journal.distinct,
        cycles=len(cycles),
        middle=_mean(samples[third : 2 * third]),
        last=_mean(samples[2 * third :]),
    )


async def _trouble(set_stage: Stage, cycle_s: float, ended: list[float]) -> None:
    """For ever: all is well, Pendo is away, all is well, a guest comes and goes."""
    while True:
        await asyncio.sleep(_WELL * cycle_s)
        await set_stage.sink.answer(_UNAVAILABLE)
        await asyncio.sleep(_AWAY * cycle_s)
        await set_stage.sink.answer(_OK)
        await asyncio.sleep(_WELL * cycle_s)
        async with set_stage.member(CONCURRENCY) as guest:
            await guest.until("events_settled_total", bool)
            await asyncio.sleep(_GUEST * cycle_s)
            await guest.stop()
        ended.append(monotonic())


async def _sample(member: Member, samples: list[Holding]) -> None:
    while True:
        samples.append(await _holding(member))
        await asyncio.sleep(_SAMPLE_S)


async def _holding(member: Member) -> Holding:
    process = Path(f"/proc/{member.pid}")
    return Holding(
        memory=resident_mib(member.pid) or 0.0,
        descriptors=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        series=await member.series(),
    )


def _mean(samples: Sequence[Holding]) -> Holding:
    return Holding(*(mean(values) for values in zip(*samples, strict=True)))


def figures(soak: Soak) -> list[Figure]:
    """As a line of the results."""
    pairs = zip(Holding._fields, soak.middle, soak.last, strict=True)
    return [
        Figure(
            what="soak: memory, descriptors, threads, metric series; last third against middle third",
            case=f"{soak.events:,} events in {soak.seconds:.0f} s, 1 KB with {TRAITS} traits; "
            f"{soak.cycles} times Pendo away and a member coming and going",
            aim=f"none grows by more than {AIM_GROWTH:.0%}; none lost",
            value=f"{max(soak.growth):+.1%}; {soak.lost} lost",
            met=max(soak.growth) <= AIM_GROWTH and not soak.lost,
            note=", ".join(f"{name} {middle:.1f} → {last:.1f}" for name, middle, last in pairs),
        )
    ]
