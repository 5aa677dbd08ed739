"""Growth: what the engine's cost an event does when there is more of everything.

The engine on its rig, requests that give way once, in this process: from ten thousand events to a million waiting in
Kafka, from one partition to 64, from a hundred keys to a million. Ratios of the larger to the smaller go out, each
pair measured in turns.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from benchmarks.engine import InATurn
from benchmarks.events import KEYS, track_events
from benchmarks.figures import Figure
from benchmarks.rig import Load, bare_us, engine_us

SENDERS: Final = 64
"""Fewer than the fewest keys, so that order makes nobody wait."""
AIM: Final = 1.25
ROUNDS: Final = 3
_LEAST_EVENTS: Final = 1_000
_ENOUGH_EVENTS: Final = 100_000
"""Half a second of the engine: steady enough on a machine that does other things too."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the engine is given.

    Attributes:
        events: How many wait in Kafka.
        partitions: In how many partitions.
        keys: Of how many users.
    """

    events: int = 200_000
    partitions: int = 8
    keys: int = KEYS


PAIRS: Final[dict[str, tuple[Shape, Shape]]] = {
    # Ten thousand never fill the buffer, and what is open lies nearer in the processor's caches; the second pair tells
    # that from the backlog's own part.
    "backlog 10k → 1 M": (Shape(events=10_000), Shape(events=1_000_000)),
    "backlog 100k → 1 M, a full buffer in both": (Shape(events=100_000), Shape(events=1_000_000)),
    "partitions 1 → 64": (Shape(partitions=1), Shape(partitions=64)),
    "keys 100 → 1 M": (Shape(keys=100), Shape(keys=1_000_000)),
}


@dataclass(frozen=True, slots=True)
class Growth:
    """One pair: µs of CPU an event at both ends, and their ratio; medians."""

    what: str
    small_us: float
    large_us: float
    ratio: float


def run(scale: float, rounds: int, say: Callable[[str], None]) -> list[Growth]:
    """Measure all pairs, with so many times the events."""
    return [_growth(what, small, large, scale, rounds, say) for what, (small, large) in PAIRS.items()]


def _growth(what: str, small: Shape, large: Shape, scale: float, rounds: int, say: Callable[[str], None]) -> Growth:
    pairs = []
    for number in range(rounds):
        say(f"growth: {what}, round {number + 1} of {rounds}")
        pairs.append((_own_us(small, scale, number), _own_us(large, scale, number)))
    smalls, larges = zip(*pairs, strict=True)
    return Growth(what, median(smalls), median(larges), median(large / small for small, large in pairs))


def _own_us(shape: Shape, scale: float, seed: int) -> float:
    """The engine's own share; small ones are summed up over several runs, since a clock's tick is nothing to them."""
    shape = replace(shape, events=max(int(shape.events * scale), _LEAST_EVENTS))
    runs = max(1, int(_ENOUGH_EVENTS * scale) // shape.events)
    whole_us = sum(engine_us(_load(shape, seed + run_), InATurn(), SENDERS) for run_ in range(runs))
    bare = sum(bare_us([b""] * shape.events, InATurn(), SENDERS) for _ in range(runs))
    return (whole_us - bare) / shape.events / runs


def _load(shape: Shape, seed: int) -> Load:
    values = (record.value for record in track_events(shape.events, keys=shape.keys, seed=seed))
    return Load(values, shape.partitions)


def figures(growths: list[Growth]) -> list[Figure]:
    """As lines of the results."""
    return [
        Figure(
            what="engine's cost an event when there is more",
            case=growth.what,
            aim=f"≤ {AIM:g} times",
            value=f"{growth.ratio:.2f} times",
            met=growth.ratio <= AIM,
            note=f"{growth.small_us:.2f} → {growth.large_us:.2f} µs",
        )
        for growth in growths
    ]
