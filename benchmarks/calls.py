"""Calls: what state costs on the Metadata API, where many writes of one id and many ids share a request.

A backlog of identify and group events, and the CPU that the service takes an event while it drains, beside a bare POST
of the same run; then the same events as they come at a steady rate, where most of the CPU is the fetches of a few
records each; at last how many calls drain a backlog of identifies.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.events import state_events
from benchmarks.figures import Figure
from benchmarks.parties import Party, Task
from benchmarks.pipe import cpu_us
from benchmarks.processes import endpoint, measure
from benchmarks.sink import Latency
from benchmarks.stage import DEAD_LETTER_TOPIC, TOPIC, Stage, stage
from consumer.config.settings import DeliverySettings
from consumer.sandbox.traffic import produce

VISITORS: Final = 5_000
DRAINED: Final = 200_000
PER_SECOND: Final = 3_000
SECONDS: Final = 30.0
_WARM_S: Final = 5.0
BACKLOG: Final = 100_000
POSTS: Final = 20_000
CONCURRENCY: Final = 64
AIM_CPU: Final = 0.2
AIM_CALLS: Final = 60
_END_S: Final = 120.0
_DRAIN_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What it took.

    Attributes:
        drained: Identifies and groups that waited.
        drain_us: CPU of the service an event of them, from the first that was read to the last that was settled.
        drain_calls: Calls that drained them.
        events: That came at a steady rate while it was measured.
        steady_us: CPU of the service an event of them.
        steady_calls: Calls for these events, and for those while it warmed up.
        post_us: CPU of a bare POST.
        backlog: Identifies that waited.
        backlog_calls: Calls that drained them.
    """

    drained: int
    drain_us: float
    drain_calls: int
    events: int
    steady_us: float
    steady_calls: int
    post_us: float
    backlog: int
    backlog_calls: int


async def run(drained: int, seconds: float, backlog: int, say: Callable[[str], None]) -> Calls:
    """Measure all of it.

    Raises:
        PartyError: A party ended early, or not everything was settled.
    """
    say(f"calls: a bare POST, then a backlog of {drained:,}")
    post_us = await _post_us()
    async with stage(Latency.CONSTANT) as set_stage:
        drain_us = await _drain_us(set_stage, drained)
        drain_calls = await set_stage.sink.requests()
    post_us = min(post_us, await _post_us())
    say(f"calls: {PER_SECOND:,} events a second for {seconds:.0f} s")
    async with stage(Latency.CONSTANT) as set_stage:
        events, steady_us = await _steady(set_stage, seconds)
        steady_calls = await set_stage.sink.requests()
    say(f"calls: a backlog of {backlog:,} identifies")
    async with stage(Latency.CONSTANT) as set_stage:
        backlog_calls = await _drain(set_stage, backlog)
    return Calls(
        drained=drained,
        drain_us=drain_us,
        drain_calls=drain_calls,
        events=events,
        steady_us=steady_us,
        steady_calls=steady_calls,
        post_us=post_us,
        backlog=backlog,
        backlog_calls=backlog_calls,
    )


async def _post_us() -> float:
    async with endpoint(Latency.CONSTANT) as sink:
        return cpu_us(await measure(Task(party=Party.POST, events=POSTS, concurrency=CONCURRENCY, url=sink.url)))


async def _drain_us(set_stage: Stage, events: int) -> float:
    """What an event of a backlog took."""
    await set_stage.fill(state_events(events, VISITORS))
    cost = await measure(
        Task(
            party=Party.SERVICE,
            events=events,
            concurrency=CONCURRENCY,
            bootstrap=set_stage.bootstrap,
            topic=TOPIC,
            url=set_stage.sink.url,
            deadline_s=_DRAIN_S,
            settings={**_settings(set_stage), "dead_letter__topic": DEAD_LETTER_TOPIC},
        )
    )
    return cpu_us(cost)


async def _steady(set_stage: Stage, seconds: float) -> tuple[int, float]:
    """Events that came, and what one took."""
    async with set_stage.member(CONCURRENCY, **_settings(set_stage)) as member:
        warm, events = int(PER_SECOND * _WARM_S), int(PER_SECOND * seconds)
        await produce(set_stage.bootstrap, TOPIC, state_events(warm, VISITORS), per_second=PER_SECOND)
        await member.until("events_settled_total", lambda settled: settled >= warm, _END_S)
        began_s = _cpu_s(member.pid)
        await produce(set_stage.bootstrap, TOPIC, state_events(events, VISITORS, seed=2), per_second=PER_SECOND)
        await member.until("events_settled_total", lambda settled: settled >= warm + events, _END_S)
        return events, (_cpu_s(member.pid) - began_s) / events * 1e6


async def _drain(set_stage: Stage, backlog: int) -> int:
    await set_stage.fill(state_events(backlog, VISITORS, groups=0.0))
    async with set_stage.member(DeliverySettings().max_concurrency, **_settings(set_stage)) as member:
        await member.until("events_settled_total", lambda settled: settled >= backlog, _DRAIN_S)
    return await set_stage.sink.requests()


def _settings(set_stage: Stage) -> dict[str, object]:
    routes = dict.fromkeys(("routes__identify", "routes__group"), "metadata")
    return {**routes, "pendo__api_url": set_stage.sink.url, "pendo__integration_key": "benchmark-key"}


def _cpu_s(pid: int) -> float:
    """What a process has taken of the processor; Linux alone tells."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = after_name[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def figures(calls: Calls) -> list[Figure]:
    """As lines of the results."""
    ratio = calls.drain_us / calls.post_us
    steady_ratio = calls.steady_us / calls.post_us
    return [
        Figure(
            what="CPU an event on metadata ÷ bare aiohttp POST",
            case=f"a backlog of {calls.drained:,} events of {VISITORS:,} visitors drains, latency 5 ms",
            aim=f"≤ {AIM_CPU:g}",
            value=f"{ratio:.2f}",
            met=ratio <= AIM_CPU,
            note=f"{calls.drain_us:.1f} ÷ {calls.post_us:.1f} µs; {calls.drain_calls:,} calls",
        ),
        Figure(
            what="CPU an event on metadata ÷ bare aiohttp POST",
            case=f"{calls.events:,} events of {VISITORS:,} visitors, {PER_SECOND:,} a second, latency 5 ms",
            aim="",
            value=f"{steady_ratio:.2f}",
            met=None,
            note=f"{calls.steady_us:.1f} ÷ {calls.post_us:.1f} µs, much of it fetches of a few records; "
            f"{calls.steady_calls:,} calls",
        ),
        Figure(
            what="calls to drain a backlog of identifies",
            case=f"{calls.backlog:,} over {VISITORS:,} visitors, default bounds",
            aim=f"≤ {AIM_CALLS}",
            value=f"{calls.backlog_calls:,}",
            met=calls.backlog_calls <= AIM_CALLS,
            note="unmerged: 200; one request an event: 100,000",
        ),
    ]
