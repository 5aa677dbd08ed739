"""Events a second under order: how near the service comes to what the endpoint's latency allows.

With uniform keys the limit is Little's law: slots ÷ mean time that a request is held. With Zipf's law the hottest key
alone is the limit: its requests go one after another. A number of events comes in, ratios go out, measured at the
endpoint.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Final

from benchmarks.events import KEYS, track_events
from benchmarks.figures import Figure
from benchmarks.processes import Journal
from benchmarks.sink import Latency
from benchmarks.stage import stage

UNIFORM_EVENTS: Final = 60_000
ZIPF_EVENTS: Final = 20_000
CONCURRENCY: Final = 256
SKEW: Final = 1.1
AIM_UNIFORM: Final = 0.95
AIM_ZIPF: Final = 1.05
_STEADY: Final = (0.2, 0.8)
"""Of the arrivals: before, the limit grows; after, the last slow answers are waited for."""
_BUSY: Final = 0.9
"""Of one core: an endpoint that needs so much is the limit itself."""
_DEADLINE_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Drain:
    """One drained topic.

    Attributes:
        events: How many.
        seconds: From the first arrival to the last answer.
        steady: Of Little's law, between the start and the tail.
        whole: Of Little's law, start and tail included.
        hottest_held_s: How long the hottest key's requests were held.
        max_in_flight: Most requests at once.
        endpoint_busy: Share of one core that the endpoint took.
    """

    events: int
    seconds: float
    steady: float
    whole: float
    hottest_held_s: float
    max_in_flight: int
    endpoint_busy: float


async def run(events: int, skew: float, say: Callable[[str], None]) -> Drain:
    """Drain a topic.

    Raises:
        PartyError: It took too long.
    """
    async with stage(Latency.LOGNORMAL) as set_stage:
        await set_stage.fill(track_events(events, skew=skew))
        say(f"throughput: draining {events:,} events, skew {skew:g}")
        async with set_stage.member(CONCURRENCY):
            journal = await set_stage.until(lambda j: j.distinct >= events and not j.in_flight, _DEADLINE_S)
        arrivals, held = await set_stage.sink.arrivals()
    return drain_of(journal, arrivals, held)


def drain_of(journal: Journal, arrivals: Sequence[float], held: Sequence[float]) -> Drain:
    """Compute the ratios from what the endpoint remembers."""
    seconds = journal.last_answer - journal.first_arrival
    begin, end = (int(len(arrivals) * share) for share in _STEADY)
    return Drain(
        events=journal.requests,
        seconds=seconds,
        steady=_of_littles_law(held[begin:end], arrivals[end] - arrivals[begin]),
        whole=_of_littles_law(held, seconds),
        hottest_held_s=journal.hottest_held_s,
        max_in_flight=journal.max_in_flight,
        endpoint_busy=journal.cpu_s / seconds,
    )


def _of_littles_law(held: Sequence[float], seconds: float) -> float:
    return len(held) / seconds * mean(held) / CONCURRENCY


def uniform_figures(drain: Drain) -> list[Figure]:
    """As lines of the results."""
    rate = drain.events / drain.seconds
    return [
        Figure(
            what="events/s under order ÷ Little's-law limit",
            case=f"{drain.events:,} events, {KEYS:,} keys uniform, {CONCURRENCY} slots, lognormal latency",
            aim=f"≥ {AIM_UNIFORM:g}",
            value=f"{drain.steady:.3f}",
            met=drain.steady >= AIM_UNIFORM,
            note=f"{drain.whole:.3f} with start and tail ({rate:,.0f}/s); {_busy(drain)}",
        )
    ]


def zipf_figures(drain: Drain) -> list[Figure]:
    """As lines of the results."""
    ratio = drain.seconds / drain.hottest_held_s
    return [
        Figure(
            what="drain time ÷ time the hottest key's requests were held",
            case=f"{drain.events:,} events, {KEYS:,} keys Zipf({SKEW:g}), {CONCURRENCY} slots, lognormal latency",
            aim=f"≤ {AIM_ZIPF:g}",
            value=f"{ratio:.3f}",
            met=ratio <= AIM_ZIPF,
            note=f"{drain.seconds:.1f} s, hottest {drain.hottest_held_s:.1f} s; {_busy(drain)}",
        )
    ]


def _busy(drain: Drain) -> str:
    said = f"endpoint {drain.endpoint_busy:.0%} of a core"
    return f"{said}: IT IS THE LIMIT" if drain.endpoint_busy > _BUSY else said
