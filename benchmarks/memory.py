"""Memory: the service's resident size, seen from outside, while a long backlog drains.

A number of events comes in; the size at the first event, the largest, the last, and the slope over the second half go
out. Read from `/proc`, and so on Linux alone.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from time import monotonic
from typing import Final

from benchmarks.events import track_events
from benchmarks.parties import Party, Task
from benchmarks.processes import broker, endpoint, fill, measure
from benchmarks.sink import Latency
from benchmarks.table import table

EVENTS: Final = 200_000
CONCURRENCY: Final = 256
_SAMPLE_S: Final = 0.5
_DEADLINE_S: Final = 120.0
_TOPIC: Final = "memory"
_MIB: Final = 1024.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident sizes in MiB.

    Attributes:
        slope_mib_per_100k: Growth over the second half of the run, for each 100,000 events.
    """

    events: int
    seconds: float
    start_mib: float
    max_mib: float
    end_mib: float
    slope_mib_per_100k: float


class _Scale:
    """Weighs a process from time to time.

    Attributes:
        samples: Seconds since the first, and MiB.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._pid: int | None = None

    def put(self, pid: int) -> None:
        """Weigh this process from now on."""
        self._pid = pid

    async def run(self) -> None:
        """Weigh until cancelled."""
        began_s = monotonic()
        while True:
            if self._pid is not None and (mib := resident_mib(self._pid)) is not None:
                self.samples.append((monotonic() - began_s, mib))
            await asyncio.sleep(_SAMPLE_S)


def resident_mib(pid: int) -> float | None:
    """The process's resident size; None when it is gone, or the system has no `/proc`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    sizes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")]
    return sizes[0] / _MIB if sizes else None


async def run(events: int | None, say: Callable[[str], None]) -> Memory | None:
    """Drain a backlog and weigh the service; None where the system does not tell."""
    events = events or EVENTS
    scale = _Scale()
    async with broker() as embedded, endpoint(Latency.CONSTANT) as sink:
        say(f"memory: filling a topic with {events:,} events")
        await fill(embedded, _TOPIC, track_events(events))
        say("memory: draining it")
        task = Task(
            party=Party.SERVICE,
            events=events,
            concurrency=CONCURRENCY,
            bootstrap=embedded.bootstrap,
            topic=_TOPIC,
            url=sink.url,
            deadline_s=_DEADLINE_S,
        )
        weighing = asyncio.create_task(scale.run())
        try:
            cost = await measure(task, scale.put)
        finally:
            weighing.cancel()
    return _memory(events, cost.seconds, scale.samples)


def _memory(events: int, seconds: float, samples: Sequence[tuple[float, float]]) -> Memory | None:
    first = samples[0][0] if samples else 0.0
    drained = [(at, mib) for at, mib in samples if at - first <= seconds]
    half = [(at, mib) for at, mib in drained if at - first >= seconds / 2]
    if len(half) < 2:
        return None
    sizes = [mib for _, mib in drained]
    slope = linear_regression([at for at, _ in half], [mib for _, mib in half]).slope
    return Memory(events, seconds, sizes[0], max(sizes), sizes[-1], slope * seconds / events * 100_000)


def report(memory: Memory | None) -> str:
    """The figures as a table."""
    if memory is None:
        return "memory: not measured: no /proc here, or a run too short for two samples in its second half"
    title = f"memory: the service's resident MiB while {memory.events:,} events drain in {memory.seconds:.0f} s"
    sizes = (memory.start_mib, memory.max_mib, memory.end_mib, memory.slope_mib_per_100k)
    header = ("", "first event", "max", "last event", "slope of the second half, per 100,000 events")
    return table(title, header, [("resident MiB", *(f"{size:.1f}" for size in sizes))])
