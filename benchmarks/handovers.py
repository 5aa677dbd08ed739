"""Handovers: members join and leave a loaded group; how often something is sent twice, and for how long nothing is.

Rounds come in: in each a member joins, then the older one gets SIGTERM. At the end the last one is stopped with nobody
beside it, and a successor drains the rest. Repeats and pauses go out, and the pauses of a bare group of the same
settings on the same broker, which are the broker's own share.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from benchmarks import bare_group
from benchmarks.events import track_events
from benchmarks.figures import Figure
from benchmarks.processes import Journal
from benchmarks.sink import Latency
from benchmarks.stage import Member, Stage, stage

ROUNDS: Final = 4
CONCURRENCY: Final = 128
EVENTS_BETWEEN: Final = 4_000
AIM_PAUSE_S: Final = 1.0
DRAIN_S: Final = 2.0
"""`rebalance_drain_s`, as it is by default."""
_PHASE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Handover:
    """One of them.

    Attributes:
        kind: `join`, `leave` or `stop`.
        repeats: Requests that came again.
        pause_s: The longest time without an arrival at the endpoint; seconds.
    """

    kind: str
    repeats: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Handovers:
    """All of them.

    Attributes:
        done: The handovers.
        bare_s: Pauses of the bare group, by kind.
        lost: Events that never arrived.
        outlived: Requests that took longer than a rebalance waits.
    """

    done: tuple[Handover, ...]
    bare_s: dict[str, tuple[float, ...]]
    lost: int
    outlived: int

    def repeats(self, kind: str) -> list[int]:
        """Of each handover of this kind."""
        return [handover.repeats for handover in self.done if handover.kind == kind]

    def pauses_s(self, kind: str) -> list[float]:
        """Likewise."""
        return [handover.pause_s for handover in self.done if handover.kind == kind]


class _Watcher:
    """Notes the endpoint's memory around each handover."""

    def __init__(self, set_stage: Stage, between: int) -> None:
        self._stage = set_stage
        self._between = between
        self.marks: list[tuple[str, Journal, Journal]] = []

    @asynccontextmanager
    async def handover(self, kind: str) -> AsyncIterator[None]:
        """Watch what happens in the block, and for so many events afterwards."""
        before = await self._stage.sink.journal()
        yield
        now = await self._stage.sink.journal()
        after = await self._stage.until(lambda j: j.distinct >= now.distinct + self._between, _PHASE_S)
        self.marks.append((kind, before, after))


async def run(latency: Latency, rounds: int, between: int, say: Callable[[str], None]) -> Handovers:
    """Hand over so often.

    Raises:
        PartyError: Something took too long, or a member died.
    """
    events = between * (6 * rounds + 4)
    async with stage(latency) as set_stage:
        await set_stage.fill(track_events(events))
        watcher = _Watcher(set_stage, between)
        async with AsyncExitStack() as members:
            await _play(watcher, set_stage, members, rounds, say)
            journal = await set_stage.until(lambda j: j.distinct >= events and not j.in_flight, _PHASE_S)
        arrivals, held = await set_stage.sink.arrivals()
        say("handovers: a bare group")
        bare_s = await bare_group.pauses_s(set_stage.bootstrap, rounds)
    done = [
        Handover(kind, after.repeats - before.repeats, longest_pause_s(arrivals, before.now, after.now))
        for kind, before, after in watcher.marks
    ]
    return Handovers(tuple(done), bare_s, events - journal.distinct, sum(one > DRAIN_S for one in held))


async def _play(
    watcher: _Watcher, set_stage: Stage, members: AsyncExitStack, rounds: int, say: Callable[[str], None]
) -> None:
    async def start() -> Member:
        member = await members.enter_async_context(set_stage.member(CONCURRENCY))
        await member.until("events_settled_total", lambda settled: settled > 0)
        return member

    oldest = await start()
    for number in range(rounds):
        say(f"handovers: round {number + 1} of {rounds}")
        async with watcher.handover("join"):
            newer = await start()
        async with watcher.handover("leave"):
            await oldest.stop()
        oldest = newer
    async with watcher.handover("stop"):
        await oldest.stop()
        await start()


def longest_pause_s(arrivals: Sequence[float], since: float, until: float) -> float:
    """The longest time between two arrivals in this span."""
    inside = [at for at in arrivals if since <= at <= until]
    return max((later - earlier for earlier, later in pairwise(inside)), default=until - since)


_NAMES: Final = {
    "join": "a member joins",
    "leave": "a member leaves by SIGTERM",
    "stop": "graceful stop of the last one, restart",
}


def repeat_figures(handovers: Handovers) -> list[Figure]:
    """The repeats, as lines of the results."""
    return [
        Figure(
            what="repeats at a handover of living members",
            case=f"{name}, {len(handovers.repeats(kind))} times, lognormal latency",
            aim="0; none lost",
            value=f"{sum(handovers.repeats(kind))}; {handovers.lost} lost",
            met=not sum(handovers.repeats(kind)) and not handovers.lost,
            note=f"{handovers.outlived} requests of the whole run outlived rebalance_drain_s",
        )
        for kind, name in _NAMES.items()
    ]


def pause_figures(handovers: Handovers) -> list[Figure]:
    """The pauses, as lines of the results."""
    return [_pause_figure(handovers, kind) for kind in ("join", "leave")]


def _pause_figure(handovers: Handovers, kind: str) -> Figure:
    pauses_s, bare_s = handovers.pauses_s(kind), handovers.bare_s[kind]
    beyond_s = median(pauses_s) - median(bare_s)
    return Figure(
        what="no progress at a rebalance, beyond the broker's own",
        case=f"{_NAMES[kind]}, requests of 50 ms, median of {len(pauses_s)}",
        aim=f"≤ {AIM_PAUSE_S:g} s",
        value=f"{beyond_s:.2f} s",
        met=beyond_s <= AIM_PAUSE_S,
        note=f"service {median(pauses_s):.2f} s (worst {max(pauses_s):.2f}), bare group {median(bare_s):.2f} s",
    )
