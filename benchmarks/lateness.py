"""Added latency: how much later a request arrives than a bare consumer sees the record, at a steady modest rate.

A number of seconds comes in, the 99th percentiles of both and their difference go out. Events carry the time at which
they were made; both ends and the maker read the same clock of the system.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from time import monotonic_ns
from typing import Final

from benchmarks.events import stamped_events
from benchmarks.figures import Figure
from benchmarks.percentiles import median_and_p99
from benchmarks.processes import child, told
from benchmarks.sink import Latency
from benchmarks.stage import READY_S, TOPIC, Stage, stage
from consumer.sandbox.traffic import produce

PER_SECOND: Final = 500
SECONDS: Final = 30
CONCURRENCY: Final = 128
AIM_MS: Final = 10.0
_WARM_UP_S: Final = 3
"""Joining, connections, the first pages of memory: left out on both sides."""
_END_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """From making an event to its arrival; milliseconds."""

    events: int
    service_p99_ms: float
    bare_p99_ms: float
    service_median_ms: float
    bare_median_ms: float

    @property
    def added_p99_ms(self) -> float:
        """What the service adds."""
        return self.service_p99_ms - self.bare_p99_ms


async def run(seconds: int, say: Callable[[str], None]) -> Lateness:
    """Make events for so long.

    Raises:
        PartyError: They did not all arrive.
    """
    warm_up, events = _WARM_UP_S * PER_SECOND, (seconds + _WARM_UP_S) * PER_SECOND
    async with AsyncExitStack() as parts:
        set_stage = await parts.enter_async_context(stage(Latency.CONSTANT))
        watch = child("benchmarks.watcher", set_stage.bootstrap, TOPIC, str(events), str(warm_up))
        watcher = await parts.enter_async_context(watch)
        await parts.enter_async_context(set_stage.member(CONCURRENCY))
        await asyncio.wait_for(told(watcher), READY_S)  # it listens
        say(f"lateness: {PER_SECOND} events a second for {seconds + _WARM_UP_S} s")
        await _make(set_stage, events)
        await set_stage.until(lambda j: j.distinct >= events, _END_S)
        bare = await asyncio.wait_for(told(watcher), _END_S)
        service = (await set_stage.sink.late_ms())[warm_up:]
    service_median_ms, service_p99_ms = median_and_p99(service)
    return Lateness(
        events=len(service),
        service_p99_ms=service_p99_ms,
        bare_p99_ms=bare["p99_ms"],
        service_median_ms=service_median_ms,
        bare_median_ms=bare["median_ms"],
    )


async def _make(set_stage: Stage, events: int) -> None:
    """The first is delivered before the rest is made: joining is over by then."""
    source = stamped_events(monotonic_ns)
    await produce(set_stage.bootstrap, TOPIC, islice(source, 1))
    await set_stage.until(lambda j: j.distinct >= 1, _END_S)
    await produce(set_stage.bootstrap, TOPIC, islice(source, events - 1), per_second=PER_SECOND)


def figures(lateness: Lateness) -> list[Figure]:
    """As lines of the results."""
    late = lateness
    return [
        Figure(
            what="added latency, p99",
            case=f"{PER_SECOND} events/s, {late.events:,} events, less a bare consumer's",
            aim=f"≤ {AIM_MS:g} ms",
            value=f"{late.added_p99_ms:.1f} ms",
            met=late.added_p99_ms <= AIM_MS,
            note=f"p99 {late.service_p99_ms:.1f} and {late.bare_p99_ms:.1f} ms, "
            f"median {late.service_median_ms:.1f} and {late.bare_median_ms:.1f} ms",
        )
    ]
