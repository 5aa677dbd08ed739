"""The schedule: a seed and a number of rounds come in, what is to be done when goes out.

In every round each kind of fault comes once: on one time line those that hit processes and the broker, one after
another, on another those of Pendo, so that they meet in ever other ways. It does nothing itself.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.log import PENDO_FAULTS, PROCESS_FAULTS, FaultKind

ROUND_S: Final = 66.0
SESSION_TIMEOUT_S: Final = 6.0
"""The shortest that brokers take by default."""
DRAIN_S: Final = 2.0
"""`rebalance_drain_s`, by default."""
REQUEST_TIMEOUT_S: Final = 5.0
"""Of the service; some answers of a slow Pendo take longer."""

_SLOTS_S: Final = {
    FaultKind.TERM: (1.0, 10.0),
    FaultKind.KILL: (1.5, 14.0),
    FaultKind.STOP_LONG: (SESSION_TIMEOUT_S + 3.0, 18.0),
    FaultKind.STOP_SHORT: (1.5, 8.0),
    FaultKind.BROKER: (2.0, 14.0),
    FaultKind.ERRORS: (5.0, 10.0),
    FaultKind.RESETS: (5.0, 10.0),
    FaultKind.THROTTLE: (4.0, 12.0),
    # Longer than the ten seconds without a success after which the service speaks of an outage.
    FaultKind.OUTAGE: (13.0, 20.0),
    FaultKind.SLOW: (4.0, 12.0),
}
"""How long it lasts, and how long until the next of its time line: room to recover, or it would hide the next one."""
_JITTER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come.

    Attributes:
        kind: Which.
        at_s: Seconds from the beginning.
        lasts_s: How long.
        slot: Which of the processes; for the kinds that hit one.
    """

    kind: FaultKind
    at_s: float
    lasts_s: float
    slot: int


def plan(seed: int, rounds: int, processes: int) -> tuple[list[Planned], list[Planned]]:
    """The two time lines: processes and broker, and Pendo."""
    chance = random.Random(seed)
    lines = (PROCESS_FAULTS, PENDO_FAULTS)
    return _line(chance, rounds, processes, lines[0]), _line(chance, rounds, processes, lines[1])


def _line(chance: random.Random, rounds: int, processes: int, kinds: Sequence[FaultKind]) -> list[Planned]:
    planned = []
    for number in range(rounds):
        at_s = number * ROUND_S + 1.0
        for kind in chance.sample(kinds, len(kinds)):
            lasts_s, slot_s = _SLOTS_S[kind]
            planned.append(Planned(kind, at_s + chance.uniform(0, _JITTER_S), lasts_s, chance.randrange(processes)))
            at_s += slot_s
    return planned
