"""What was asked for: arguments come in, options and the list of runs go out. Pure."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks.peers.contestants import ENTRIES, USUAL, Contestant
from benchmarks.peers.events import SKEW


class Latency(StrEnum):
    """How long the endpoint takes: 5 ms always, or lognormal: median 50 ms, 500 ms at the 99th percent."""

    FIXED = "5ms"
    LOGNORMAL = "lognormal"


class Part(StrEnum):
    """Parts of a run."""

    PLAIN = "plain"
    TLS = "tls"
    ZIPF = "zipf"
    KILLS = "kills"


ROUNDS: Final = 3
EVENTS: Final = {Latency.FIXED: 60_000, Latency.LOGNORMAL: 30_000}
"""Some ten seconds of the fastest and of the slowest; a multiple of it for what is between."""
ZIPF_EVENTS: Final = 20_000
KILL_EVENTS: Final = 12_000
"""Killed after half of them, two seconds: so some 25 times what is in flight can come again at most."""
_OURS: Final = (Contestant.FLOOR, Contestant.BARE, Contestant.SERVICE, Contestant.SERVICE_SESSION)
"""What TLS costs is asked of these; of others when they are named."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the endpoint and the topic are like.

    Attributes:
        part: To which part of the run it belongs.
        latency: Of the endpoint.
        events: How many the topic holds.
    """

    part: Part
    latency: Latency
    events: int

    @property
    def tls(self) -> bool:
        """Whether the endpoint speaks TLS."""
        return self.part is Part.TLS

    @property
    def skew(self) -> float:
        """How unevenly events are spread over users; 0 is uniform."""
        return SKEW if self.part is Part.ZIPF else 0.0

    @property
    def title(self) -> str:
        """For people."""
        how = {Part.PLAIN: "", Part.TLS: ", TLS", Part.ZIPF: f", Zipf({SKEW:g})", Part.KILLS: ", SIGKILL half way"}
        return f"{self.latency}{how[self.part]}, {self.events:,} events"


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant in one case."""

    round: int
    case: Case
    contestant: Contestant


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for.

    Attributes:
        contestants: In the order of the tables.
        named: Whether they were chosen by name; else each part has its own usual ones.
        parts: Of the run.
        latencies: Of the endpoint.
        rounds: Of plain and TLS; the others are one round, which is long enough.
        events: Instead of each case's own number.
        keep: Whether the page in the repository is written.
        json: Whether JSON is printed instead of tables.
    """

    contestants: tuple[Contestant, ...]
    named: bool
    parts: tuple[Part, ...]
    latencies: tuple[Latency, ...]
    rounds: int
    events: int | None
    keep: bool
    json: bool


def options_from(arguments: Sequence[str]) -> Options:
    """Read the arguments; ends the process with a word when they make no sense."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("contestants", nargs="*", metavar="CONTESTANT", help=f"of {' '.join(Contestant)}")
    parser.add_argument("--part", action="append", type=Part, choices=list(Part), help="again for more; all without")
    parser.add_argument("--latency", action="append", type=Latency, choices=list(Latency), help="both without")
    parser.add_argument("--rounds", type=_positive, default=ROUNDS)
    parser.add_argument("--events", type=_positive, help="in each topic, instead of each case's own number")
    parser.add_argument("--keep", action="store_true", help="write PEERS.md, as a run of everything does")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = parser.parse_args(arguments)
    if unknown := set(args.contestants) - set(Contestant):
        parser.error(f"no such contestant: {', '.join(sorted(unknown))}")
    whole = not (args.contestants or args.part or args.latency or args.events or args.rounds != ROUNDS)
    return Options(
        contestants=tuple(one for one in ENTRIES if one in (args.contestants or USUAL)),
        named=bool(args.contestants),
        parts=tuple(part for part in Part if part in (args.part or Part)),
        latencies=tuple(latency for latency in Latency if latency in (args.latency or Latency)),
        rounds=args.rounds,
        events=args.events,
        keep=args.keep or whole,
        json=args.json,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def cases_of(options: Options) -> list[Case]:
    """The cases, in the order in which they are run and shown."""
    timed = [
        Case(part, latency, options.events or EVENTS[latency])
        for part in (Part.PLAIN, Part.TLS)
        for latency in options.latencies
    ]
    long = [
        Case(Part.ZIPF, Latency.LOGNORMAL, options.events or ZIPF_EVENTS),
        Case(Part.KILLS, Latency.LOGNORMAL, options.events or KILL_EVENTS),
    ]
    slow = Latency.LOGNORMAL in options.latencies
    return [case for case in (*timed, *(long if slow else ())) if case.part in options.parts]


def contestants_of(case: Case, options: Options) -> list[Contestant]:
    """Who takes part in a case.

    With Zipf's law only what keeps order has the hottest user for its limit; each run takes minutes.
    """
    readers = [one for one in options.contestants if ENTRIES[one].reads_kafka]
    match case.part:
        case Part.PLAIN:
            return list(options.contestants)
        case Part.TLS:
            return [one for one in options.contestants if options.named or one in _OURS]
        case Part.ZIPF:
            usual = (Contestant.SERVICE,)
            return [one for one in readers if options.named or one in usual]
        case Part.KILLS:
            return readers


def runs_of(options: Options) -> Iterator[Run]:
    """All runs: in each round every case, in each case every contestant, another one first each time."""
    cases = cases_of(options)
    for number in range(1, options.rounds + 1):
        for case in cases:
            if number > 1 and case.part in (Part.ZIPF, Part.KILLS):
                continue
            those = contestants_of(case, options)
            turn = (number - 1) % len(those) if those else 0
            yield from (Run(number, case, one) for one in (*those[turn:], *those[:turn]))
