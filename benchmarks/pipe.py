"""From Kafka to the endpoint's socket: the whole service beside the floor of what it is made of, interleaved.

The floor is a bare read with JSON decoding, and a bare loop of POSTs of the same bodies with as many in flight. Only
ratios of one run mean much: the machine's own speed drifts from minute to minute.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.events import track_events
from benchmarks.figures import Figure
from benchmarks.parties import Cost, Party, Task
from benchmarks.processes import PartyError, broker, endpoint, fill, measure
from benchmarks.sink import Latency
from benchmarks.table import table

CONCURRENCIES: Final = (64, 256)
EVENTS: Final = {Latency.CONSTANT: 20_000, Latency.LOGNORMAL: 6_000}
"""A run of some seconds each; with the longer latency fewer events fill it."""
REPEATS: Final = 3
AIM: Final = 1.15
_TOPIC: Final = "pipe"


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one party at one concurrency."""

    party: Party
    concurrency: int
    events_per_s: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """The whole against the floor at one concurrency, median over the rounds.

    Attributes:
        cpu: CPU of the whole ÷ CPU of read, decode and bare POST.
        cpu_rounds: The same of each round: how far they lie apart is the noise.
        rate: Events a second of the whole ÷ of the bare POST loop.
    """

    concurrency: int
    cpu: float
    cpu_rounds: tuple[float, ...]
    rate: float


@dataclass(frozen=True, slots=True)
class Pipe:
    """All of it."""

    latency: Latency
    events: int
    rows: tuple[Row, ...]
    ratios: tuple[Ratio, ...]


Round = dict[Party, Cost]


async def run(events: int | None, latency: Latency, repeats: int, say: Callable[[str], None]) -> Pipe:
    """Measure all parties, round by round.

    Raises:
        PartyError: One ended without figures, or did not send each event once.
    """
    events = events or EVENTS[latency]
    rounds: dict[int, list[Round]] = {concurrency: [] for concurrency in CONCURRENCIES}
    async with broker() as embedded:
        await fill(embedded, _TOPIC, track_events(events))
        for number in range(1, repeats + 1):
            for concurrency in CONCURRENCIES:
                say(f"pipe: round {number} of {repeats}, {concurrency} in flight")
                rounds[concurrency].append(await _round(embedded.bootstrap, events, concurrency, latency))
    return Pipe(latency, events, tuple(_rows(rounds)), tuple(ratio_of(c, done) for c, done in rounds.items()))


async def _round(bootstrap: str, events: int, concurrency: int, latency: Latency) -> Round:
    costs: Round = {}
    for party in Party:
        async with endpoint(latency) as sink:
            costs[party] = await measure(
                Task(
                    party=party,
                    events=events,
                    concurrency=concurrency,
                    bootstrap=bootstrap,
                    topic=_TOPIC,
                    url=sink.url,
                )
            )
            requests = await sink.requests()
        if party is not Party.READ and requests != events:
            raise PartyError(f"{party}: {requests} requests for {events} events")
    return costs


def _rows(rounds: dict[int, list[Round]]) -> list[Row]:
    return [
        Row(party, concurrency, median(map(events_per_s, costs)), median(map(cpu_us, costs)))
        for concurrency, done in rounds.items()
        for party in Party
        for costs in [[costs[party] for costs in done]]
    ]


def ratio_of(concurrency: int, rounds: Sequence[Round]) -> Ratio:
    """Compare within each round, then take the median."""
    cpu = [cpu_us(r[Party.SERVICE]) / (cpu_us(r[Party.READ]) + cpu_us(r[Party.POST])) for r in rounds]
    rate = [events_per_s(r[Party.SERVICE]) / events_per_s(r[Party.POST]) for r in rounds]
    return Ratio(concurrency, median(cpu), tuple(cpu), median(rate))


def events_per_s(cost: Cost) -> float:
    """Events a second."""
    return cost.events / cost.seconds


def cpu_us(cost: Cost) -> float:
    """Microseconds of CPU an event."""
    return cost.cpu_s / cost.events * 1e6


def figures(pipe: Pipe) -> list[Figure]:
    """As lines of the results."""
    return [
        Figure(
            what="CPU an event ÷ (aiokafka read + orjson + bare aiohttp POST)",
            case=f"{ratio.concurrency} in flight, {pipe.events:,} events, latency 5 ms",
            aim=f"≤ {AIM:g}",
            value=f"{ratio.cpu:.2f}",
            met=ratio.cpu <= AIM,
            note=f"rounds {' '.join(f'{cpu:.2f}' for cpu in ratio.cpu_rounds)}; events/s ÷ POST's {ratio.rate:.2f}",
        )
        for ratio in pipe.ratios
    ]


_NAMES: Final = {
    Party.READ: "aiokafka read + orjson.loads",
    Party.POST: "aiohttp POST loop",
    Party.LEAN: "the same over the lean transport",
    Party.SERVICE: "the whole service",
}


def report(pipe: Pipe) -> str:
    """The figures as a table."""
    rows = [
        (_NAMES[row.party], str(row.concurrency), f"{row.events_per_s:,.0f}", f"{row.cpu_us:.1f}") for row in pipe.rows
    ]
    ratios = [
        (
            "whole ÷ (read + decode + POST)",
            str(ratio.concurrency),
            f"{ratio.rate:.2f}",
            f"{ratio.cpu:.2f}",
            " ".join(f"{cpu:.2f}" for cpu in ratio.cpu_rounds),
        )
        for ratio in pipe.ratios
    ]
    title = f"pipe: {pipe.events:,} events, latency {pipe.latency}; medians, and only ratios of one run mean much"
    costs = table(title, ("", "in flight", "events/s", "CPU µs/event"), rows)
    return f"{costs}\n{table('', ('', 'in flight', 'events/s ÷ POST', 'CPU', 'CPU by round'), ratios)}"
