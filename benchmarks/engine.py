"""The engine's own share of an event's cost: what lies between decoding and mapping on one side, sending on the other.

A request is answered at once, or in the loop's next turn; what as many of them cost with nothing around them is
subtracted. Decoding, mapping and describing a partition for a commit are measured beside it, each alone. All of it
in this process, by its CPU time.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import orjson

from benchmarks.events import bodies
from benchmarks.figures import Figure
from benchmarks.rig import OPEN, TOPIC, Load, bare_us, engine_us, record, router, settled_memory
from benchmarks.table import table
from consumer.delivery.senders import Destination
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.offset_map import TAG_BYTES, encode
from consumer.kafka.progress import Progress
from consumer.pendo.verdicts import ACCEPTED, Verdict
from consumer.segment.decode import decode
from consumer.segment.events import Event

EVENTS: Final = 50_000
REPEATS: Final = 5
CONCURRENCIES: Final = (64, 256)
_FINISHED_SHARES: Final = (0.0, 0.1, 0.5, 0.9)
"""Beyond the watermark, at random: none at all, few as with quick answers, most as when one lane stands still."""
_COMMITS: Final = 10
_TAG: Final = bytes(TAG_BYTES)


@dataclass(frozen=True, slots=True)
class Share:
    """The engine at one concurrency; CPU µs an event.

    Attributes:
        request: What a request does.
        senders: How many.
        whole_us: The requests included.
        bare_us: The same requests, as many at once, alone.
        engine_us: The difference, which is the engine's own.
    """

    request: str
    senders: int
    whole_us: float
    bare_us: float
    engine_us: float


@dataclass(frozen=True, slots=True)
class CommitCost:
    """Describing one partition for a commit; CPU µs.

    Attributes:
        open_offsets: How many are open.
        finished: How many are finished beyond the watermark.
        runs_us: For reading the runs.
        encode_us: For the text.
        text_bytes: The text's length.
    """

    open_offsets: int
    finished: int
    runs_us: float
    encode_us: float
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Engine:
    """All of it; CPU µs an event."""

    events: int
    shares: tuple[Share, ...]
    json_us: float
    decode_us: float
    map_us: float
    commits: tuple[CommitCost, ...]


class _AtOnce:
    def post(self, _: bytes, on_end: Callable[[None], None]) -> None:
        """Answer."""
        on_end(None)

    def judge(self, _: None) -> tuple[Verdict, int]:
        """All is well."""
        return ACCEPTED, 200


class InATurn(_AtOnce):
    """Answers in the loop's next turn."""

    def post(self, _: bytes, on_end: Callable[[None], None]) -> None:
        """Answer."""
        asyncio.get_running_loop().call_soon(on_end, None)


_NOTHING: Final = "is answered at once"
_REQUESTS: Final[dict[str, Destination]] = {_NOTHING: _AtOnce(), "is answered in the loop's next turn": InATurn()}
AIM_US: Final = 6.0


def run(events: int | None, repeats: int, say: Callable[[str], None]) -> Engine:
    """Measure all of it, in some twenty seconds."""
    values = bodies(events or EVENTS)
    say("engine: decode and map")
    json_us, decode_us, mapped_us = (_each_us(values, do, repeats) for do in (orjson.loads, decode, _decode_and_map()))
    shares: list[Share] = []
    for request in _REQUESTS:
        for senders in CONCURRENCIES:
            say(f"engine: a request that {request}, {senders} senders")
            shares.append(_share(values, request, senders, repeats))
    say("engine: commits")
    commits = tuple(_commit_cost(share, repeats) for share in _FINISHED_SHARES)
    return Engine(len(values), tuple(shares), json_us, decode_us, mapped_us - decode_us, commits)


def _share(values: Sequence[bytes], request: str, senders: int, repeats: int) -> Share:
    """Take turns, so that both see the same mood of the machine."""
    destination = _REQUESTS[request]
    pairs = [
        (engine_us(Load(values), destination, senders), bare_us(values, destination, senders)) for _ in range(repeats)
    ]
    whole, bare, own = (median(costs) / len(values) for costs in zip(*((w, b, w - b) for w, b in pairs), strict=True))
    return Share(request, senders, whole, bare, own)


def _decode_and_map() -> Callable[[bytes], None]:
    map_ = router().map

    def both(value: bytes) -> None:
        for element in decode(value):
            if isinstance(element, Event):
                map_(element)

    return both


def _each_us(values: Sequence[bytes], do: Callable[[bytes], object], repeats: int) -> float:
    def each() -> None:
        for value in values:
            do(value)

    return _cpu_us(each, repeats) / len(values)


def _cpu_us(work: Callable[[], object], repeats: int) -> float:
    costs: list[float] = []
    with settled_memory():
        for _ in range(repeats):
            began_s = time.process_time()
            work()
            costs.append((time.process_time() - began_s) * 1e6)
    return median(costs)


def _commit_cost(finished_share: float, repeats: int) -> CommitCost:
    progress, finished = _holed(finished_share)
    base, runs = progress.watermark or 0, progress.runs()
    runs_us = _cpu_us(lambda: [progress.runs() for _ in range(_COMMITS)], repeats) / _COMMITS
    encode_us = _cpu_us(lambda: [encode(base, runs, _TAG) for _ in range(_COMMITS)], repeats) / _COMMITS
    return CommitCost(progress.open_offsets, finished, runs_us, encode_us, len(encode(base, runs, _TAG)))


def _holed(finished_share: float) -> tuple[Progress, int]:
    """Make a partition with `OPEN` open offsets and a random share of finished ones among them; return their number."""
    started = int(OPEN / (1 - finished_share))
    progress, tally, one = Progress(TOPIC, 0, 0), Tally(), record(0, 0, b"")
    for offset in range(started):
        progress.start(offset, Ticket(one, progress, tally, 0))
    finished = random.Random(1).sample(range(1, started), started - OPEN)  # noqa: S311 - a seed is what is wanted
    for offset in finished:
        progress.finish(offset)
    return progress, len(finished)


def figures(engine: Engine) -> list[Figure]:
    """As lines of the results."""
    return [
        Figure(
            what="engine alone, CPU an event",
            case=f"a request that {share.request}, {share.senders} senders, {engine.events:,} events",
            # Aimed at is the engine beside a send that is nothing.
            aim=f"≤ {AIM_US:g} µs" if share.request == _NOTHING else "",
            value=f"{share.engine_us:.2f} µs",
            met=share.engine_us <= AIM_US if share.request == _NOTHING else None,
            note=f"{share.whole_us:.2f} with, {share.bare_us:.2f} without it",
        )
        for share in engine.shares
    ]


def report(engine: Engine) -> str:
    """The figures as tables."""
    shares = [
        (f"a request that {s.request}", str(s.senders), f"{s.whole_us:.2f}", f"{s.bare_us:.2f}", f"{s.engine_us:.2f}")
        for s in engine.shares
    ]
    before = [("orjson.loads alone", engine.json_us), ("decode", engine.decode_us), ("map", engine.map_us)]
    commits = [
        (f"{c.open_offsets:,} open", f"{c.finished:,}", f"{c.runs_us:,.0f}", f"{c.encode_us:,.0f}", str(c.text_bytes))
        for c in engine.commits
    ]
    title = f"engine: {engine.events:,} events, CPU µs an event, medians"
    return "\n".join(
        [
            table(title, ("", "senders", "with engine", "without", "engine"), shares),
            table("before it, CPU µs an event", ("", ""), [(name, f"{us:.2f}") for name, us in before]),
            table("one partition's commit, CPU µs", ("", "finished beyond", "runs", "encode", "bytes"), commits),
        ]
    )
