"""The engine of calls under random trouble: whatever happens in whichever order, each of its promises holds.

The checks are those of `test_simulation`, but that a call may wait a second for more; what reaches Pendo is checked in
`simulated_calls`. A seed tells all.
"""

from collections import Counter
from functools import reduce
from operator import add

import pytest

from consumer.delivery.gate import GateState
from consumer.delivery.linger import LINGER_S
from consumer.outcomes import Outcome, Reason
from tests.delivery.simulated_calls import CallDestination, CallWorld
from tests.delivery.test_simulation import live_through

SEEDS = 150
CHUNK = 75


def destination_of(world: CallWorld) -> CallDestination:
    assert isinstance(world.destination, CallDestination)
    return world.destination


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_happens_to_calls_nobody_is_convicted_for_another_and_the_newest_wins(first: int) -> None:
    """Each chunk of seeds must have met every kind of trouble, else it proves nothing."""
    worlds = [live_through(CallWorld, seed, LINGER_S) for seed in range(first, first + CHUNK)]
    assert set.union(*(world.states for world in worlds)) == set(GateState)
    letters = reduce(add, (world.letterbox.reasons for world in worlds))
    assert set(letters) >= {Reason.REFUSED, Reason.FORBIDDEN, Reason.EXHAUSTED}
    settled = reduce(add, (Counter(world.tally.settled) for world in worlds))
    reasons = {reason for _, _, reason in settled}
    assert reasons >= {Reason.STALE, Reason.UNCHANGED, Reason.REPEAT, Reason.OPTED_OUT}
    outcomes = {outcome for _, outcome, _ in settled}
    assert outcomes >= {Outcome.DELIVERED, Outcome.MERGED}
    assert set(reduce(add, (world.seen for world in worlds))) >= {"kept", "asleep", "doubt"}
    assert sum(world.tally.released for world in worlds) > 0
    sizes = [size for world in worlds for size in destination_of(world).sizes]
    assert max(sizes) > 10
    assert settled.total() > 100 * CHUNK
