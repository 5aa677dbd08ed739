"""A process tree seen from outside: what it has taken of the processor, and how much memory it holds.

A process id comes in, samples go out. Read from `/proc` and from the kernel's CPU clocks, and so on Linux alone. It
knows nothing of what the processes do.
"""

import asyncio
import os
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SAMPLE_S: Final = 0.02
"""Between two samples the processor's use is taken for even; a run lasts hundreds of them."""
_LOOK_FOR_CHILDREN_S: Final = 0.5
_MIB: Final = 1024 * 1024
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_CPU_CLOCK: Final = 2
"""Of a process's clocks, the one that counts what the scheduler gave it, user and system, all threads, nanoseconds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a tree had taken and held at a moment.

    Attributes:
        at: Seconds since the epoch.
        cpu_s: User and system, of all processes and threads since they began.
        rss_mib: Resident, of all processes together.
    """

    at: float
    cpu_s: float
    rss_mib: float


class Tree:
    """Watches a process and all its descendants.

    Attributes:
        samples: In the order of time.
    """

    def __init__(self, pid: int) -> None:
        self.samples: list[Sample] = []
        self._pid = pid
        self._cpu_s: dict[int, float] = {pid: 0.0}
        self._looked = 0.0

    async def watch(self) -> None:
        """Take samples until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_SAMPLE_S)

    def look(self) -> None:
        """Take one sample; what a process that has ended took is kept."""
        now = time.time()
        if now - self._looked > _LOOK_FOR_CHILDREN_S:
            self._looked = now
            for pid in descendants(self._pid):
                self._cpu_s.setdefault(pid, 0.0)
        rss_mib = 0.0
        for pid in self._cpu_s:
            try:
                self._cpu_s[pid] = _cpu_s(pid)
                rss_mib += _rss_mib(pid)
            except OSError:
                continue
        self.samples.append(Sample(now, sum(self._cpu_s.values()), rss_mib))


def descendants(pid: int) -> list[int]:
    """All processes that this one started, and those that they started."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        children[parent].append(int(status.parent.name))
    found = list(children[pid])
    for child in found:
        found += children[child]
    return found


def _cpu_s(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / _MIB


def cpu_at(samples: Sequence[Sample], at: float) -> float:
    """What was taken by that moment: between two samples evenly, outside of all as at the nearest."""
    index = bisect_left(samples, at, key=lambda sample: sample.at)
    if index in (0, len(samples)):
        return samples[min(index, len(samples) - 1)].cpu_s
    before, after = samples[index - 1], samples[index]
    share = (at - before.at) / (after.at - before.at)
    return before.cpu_s + share * (after.cpu_s - before.cpu_s)
