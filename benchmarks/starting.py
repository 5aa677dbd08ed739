"""A process that has nothing to do: how soon it is ready, and what it costs while its topic is empty.

A number of starts and of seconds come in, the time from a start to the first `/readyz` that says 200 goes out, which
says that it has joined its group on Apache Kafka; and its share of a core.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

import aiohttp

from benchmarks.figures import Figure
from benchmarks.sink import Latency
from benchmarks.stage import READY_S, Member, Stage, stage

STARTS: Final = 5
IDLE_S: Final = 30.0
CONCURRENCY: Final = 128
AIM_READY_S: Final = 2.0
AIM_IDLE: Final = 0.01
_LOOK_S: Final = 0.01
_SETTLE_S: Final = 3.0
"""After it is ready: what the start has left to do is over by then."""
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Starting:
    """What was measured.

    Attributes:
        ready_s: Seconds from each start until it was ready.
        idle_s: Seconds in which it had nothing to do.
        idle_cpu: CPU in them, of a core.
    """

    ready_s: tuple[float, ...]
    idle_s: float
    idle_cpu: float


async def run(starts: int, idle_s: float, say: Callable[[str], None]) -> Starting:
    """Start it so many times, then leave it alone.

    Raises:
        PartyError: It died.
    """
    async with stage(Latency.CONSTANT) as set_stage:
        say(f"start: {starts} starts, then {idle_s:.0f} s with an empty topic")
        ready_s = [await _start(set_stage) for _ in range(starts)]
        async with set_stage.member(CONCURRENCY) as member:
            await _until_ready(member)
            await asyncio.sleep(_SETTLE_S)
            cpu_s, began_s = _cpu_s(member.pid), monotonic()
            await asyncio.sleep(idle_s)
            took_s = monotonic() - began_s
            cpu_s = _cpu_s(member.pid) - cpu_s
    return Starting(tuple(ready_s), took_s, cpu_s / took_s)


async def _start(set_stage: Stage) -> float:
    began_s = monotonic()
    async with set_stage.member(CONCURRENCY) as member:
        await _until_ready(member)
        ready_s = monotonic() - began_s
        # It leaves its group, so that the next one need not wait for the end of its session.
        await member.stop()
    return ready_s


async def _until_ready(member: Member) -> None:
    async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
        while True:
            await member.metric("events_open")  # raises when it is gone
            with suppress(aiohttp.ClientError):
                async with session.get(member.url + "/readyz") as response:
                    if response.status == _OK:
                        return
            await asyncio.sleep(_LOOK_S)


def _cpu_s(pid: int) -> float:
    # Behind the name, which may hold blanks: user and system time are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(starting: Starting) -> list[Figure]:
    """As lines of the results."""
    ready_s = median(starting.ready_s)
    return [
        Figure(
            what="from a start until ready, group joined",
            case=f"Apache Kafka, median of {len(starting.ready_s)}",
            aim=f"≤ {AIM_READY_S:g} s",
            value=f"{ready_s:.2f} s",
            met=ready_s <= AIM_READY_S,
            note=" ".join(f"{each:.2f}" for each in starting.ready_s),
        ),
        Figure(
            what="CPU with an empty topic, of a core",
            case=f"{starting.idle_s:.0f} s",
            aim=f"≤ {AIM_IDLE:.0%}",
            value=f"{starting.idle_cpu:.1%}",
            met=starting.idle_cpu <= AIM_IDLE,
        ),
    ]
