"""Memory: the service's resident size, seen from outside, while a long backlog drains, and while Pendo is down.

A number of events comes in: identify of 1 KB with ten traits, in twenty partitions. The largest size and how flat it is
go out: the mean of the last third of the time against the middle one. Read from `/proc`, and so on Linux alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from time import monotonic
from typing import Final

from benchmarks.events import TRAITS, identify_events, page_events
from benchmarks.figures import Figure
from benchmarks.sink import Latency
from benchmarks.stage import READY_S, Stage, stage

EVENTS: Final = 1_000_000
CONCURRENCY: Final = 256
PARTITIONS: Final = 20
DOWN_S: Final = 60.0
"""How long Pendo is down with a full buffer."""
AIM_MB: Final = 100.0
"""While a backlog drains."""
AIM_FULL_MB: Final = 150.0
"""With a full buffer."""
AIM_GROWTH: Final = 0.05
"""Of the size: what the last third may lie above the middle one and still be called flat."""
VISITORS: Final = 500
"""Of whom a buffer is full: with more of them it would not be filled, since more would lie ready than is soon sent."""
_BUFFER_EVENTS: Final = 20_000
"""`max_open_events`, as it is by default."""
_FULL: Final = 0.95
_SAMPLE_S: Final = 0.1
_DEADLINE_S: Final = 900.0
_UNAVAILABLE: Final = 503
_MIB: Final = 1024.0
_MB_PER_MIB: Final = 1.048576


@dataclass(frozen=True, slots=True)
class Weight:
    """Resident sizes over a span of time, MiB.

    Attributes:
        events: How many were drained, or stood open.
        seconds: How long.
        max_mib: The largest.
        middle_mib: The mean of the middle third.
        last_mib: The mean of the last third.
    """

    events: int
    seconds: float
    max_mib: float
    middle_mib: float
    last_mib: float

    @property
    def growth(self) -> float:
        """How much larger it was in the last third than in the middle one."""
        return self.last_mib / self.middle_mib - 1


@dataclass(frozen=True, slots=True)
class Memory:
    """All cases.

    Attributes:
        draining: A long backlog.
        down: A buffer full of events that go out as they came.
        rewritten: A buffer full of events that are encoded anew.
    """

    draining: Weight
    down: Weight
    rewritten: Weight


class Scale:
    """Weighs a process from time to time.

    Attributes:
        samples: MiB.
    """

    def __init__(self, pid: int) -> None:
        self.samples: list[float] = []
        self._pid = pid

    async def run(self) -> None:
        """Weigh until cancelled."""
        while True:
            if (mib := resident_mib(self._pid)) is not None:
                self.samples.append(mib)
            await asyncio.sleep(_SAMPLE_S)


def resident_mib(pid: int) -> float | None:
    """The process's resident size; None when it is gone, or the system has no `/proc`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    sizes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")]
    return sizes[0] / _MIB if sizes else None


async def run(events: int, down_s: float, say: Callable[[str], None]) -> Memory:
    """Drain a backlog, and fill the buffer while Pendo is down, and weigh the service each time.

    Raises:
        PartyError: It took too long, or the service died.
    """
    async with stage(Latency.CONSTANT, PARTITIONS) as set_stage:
        say(f"memory: filling a topic with {events:,} events of 1 KB")
        await set_stage.fill(identify_events(events))
        say("memory: draining it")
        draining = await _weigh_draining(set_stage, events)
    few = min(events, 2 * _BUFFER_EVENTS)
    async with stage(Latency.CONSTANT, PARTITIONS) as set_stage:
        say(f"memory: {down_s:.0f} s with Pendo down and a full buffer")
        await set_stage.fill(identify_events(few, VISITORS))
        down = await _weigh_down(set_stage, events, down_s)
    async with stage(Latency.CONSTANT, PARTITIONS) as set_stage:
        say(f"memory: {down_s:.0f} s with Pendo down and a buffer full of events that are encoded anew")
        await set_stage.fill(page_events(few, VISITORS))
        rewritten = await _weigh_down(set_stage, events, down_s)
    return Memory(draining, down, rewritten)


async def _weigh_draining(set_stage: Stage, events: int) -> Weight:
    await set_stage.sink.answer(200)
    async with set_stage.member(CONCURRENCY) as member:
        await set_stage.until(lambda j: j.distinct > 0, READY_S)
        return await _weigh(member.pid, events, lambda: set_stage.until(lambda j: j.distinct >= events, _DEADLINE_S))


async def _weigh_down(set_stage: Stage, events: int, down_s: float) -> Weight:
    await set_stage.sink.answer(_UNAVAILABLE)
    async with set_stage.member(CONCURRENCY) as member:
        full = min(events, _BUFFER_EVENTS) * _FULL
        await member.until("events_open", lambda open_: open_ >= full)
        open_events = int(await member.metric("events_open"))
        return await _weigh(member.pid, open_events, lambda: asyncio.sleep(down_s))


async def _weigh(pid: int, events: int, wait: Callable[[], Awaitable[object]]) -> Weight:
    scale, began_s = Scale(pid), monotonic()
    weighing = asyncio.create_task(scale.run())
    try:
        await wait()
    finally:
        weighing.cancel()
    return weight_of(events, monotonic() - began_s, scale.samples)


def weight_of(events: int, seconds: float, samples: Sequence[float]) -> Weight:
    """Compare the thirds of the samples, of which there must be three."""
    third = len(samples) // 3
    return Weight(events, seconds, max(samples), mean(samples[third : 2 * third]), mean(samples[2 * third :]))


def figures(memory: Memory) -> list[Figure]:
    """As lines of the results."""
    of = f"1 KB with {TRAITS} traits, {PARTITIONS} partitions, {CONCURRENCY} in flight"
    return [
        _figure(f"draining {memory.draining.events:,} events, {of}", AIM_MB, memory.draining),
        _figure(f"{_down(memory.down)}, {of}", AIM_FULL_MB, memory.down),
        _figure(f"{_down(memory.rewritten)}, pages of 1 KB, encoded anew", AIM_FULL_MB, memory.rewritten),
    ]


def _down(weight: Weight) -> str:
    return f"Pendo down for {weight.seconds:.0f} s, {weight.events:,} events of {VISITORS} visitors open"


def _figure(case: str, aim_mb: float, weight: Weight) -> Figure:
    return Figure(
        what="RSS, max; flat: last third against middle third",
        case=case,
        aim=f"≤ {aim_mb:g} MB, flat",
        value=f"{weight.max_mib:.0f} MiB, {weight.growth:+.1%}",
        met=weight.max_mib * _MB_PER_MIB <= aim_mb and weight.growth <= AIM_GROWTH,
        note=f"thirds {weight.middle_mib:.1f} and {weight.last_mib:.1f} MiB, {weight.seconds:.0f} s",
    )
