"""The delivery engine under random trouble: whatever happens in whichever order, each of its promises holds.

Events of three partitions arrive while the destination's mood changes, partitions are taken away and given back, the
process stands still, an operator pauses and goes on. At every quiet moment the checks below look at the whole engine;
Pendo and the letterbox of `simulated.py` check what reaches them. A seed tells all.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from math import inf
from operator import add
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from consumer.delivery.crew import TIMER_RESOLUTION_S, Crew
from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lane import Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.tally import Tally
from consumer.kafka.progress import Progress
from consumer.outcomes import Reason
from tests.delivery.simulated import MOST_OPEN, PARTITIONS, POLL, Spec, Stamp, World
from tests.delivery.virtual_loop import VirtualLoop, run_virtually

SEEDS = 150
CHUNK = 75
LATE_S = 2 * TIMER_RESOLUTION_S

W = TypeVar("W", bound=World)


def check_every_lane_is_in_exactly_one_place(lanes: Lanes) -> None:
    """In flight, ready, set aside, waiting for its retry, or waiting for an older version of its account."""
    waiting = (lane for runs in lanes._runs._runs.values() for run in runs for lane in run.waiting)
    retrying = (lane for due, _, lane in lanes.retries if lane.due == due)
    flying = (lane for lane in lanes._lanes.values() if lane.in_flight)
    places = Counter(id(lane) for place in (waiting, retrying, flying, lanes.ready, lanes.aside) for lane in place)
    assert places == dict.fromkeys(map(id, lanes._lanes.values()), 1)
    assert all(lane.aside for lane in lanes.aside)


def check_what_is_set_aside_is_probed(senders: Crew[Any, Any]) -> None:
    """An open gate would never look at it again."""
    assert not senders.lanes.aside or senders.gate.probing


def check_runs_count_their_deliveries(lanes: Lanes) -> None:
    """A count that is too high would block an account for ever, one too low would let versions overtake."""
    deliveries = (delivery for lane in lanes._lanes.values() for delivery in lane.queue)
    standing = Counter(id(delivery.run) for delivery in deliveries if delivery.run is not None)
    assert {id(run): run.count for runs in lanes._runs._runs.values() for run in runs} == standing


def check_conservation(tally: Tally, progress: Sequence[Progress]) -> None:
    """Nothing vanishes, nothing is counted twice, and memory is accounted for to the byte."""
    tickets = [ticket for partition in progress for ticket in partition.open_records()]
    really_open = sum(ticket.open for ticket in tickets)
    assert tally.unaccounted(really_open) == 0
    assert tally.open_events == really_open
    assert tally.open_bytes == sum(ticket.held_bytes for ticket in tickets)


def check_bounds(world: World) -> None:
    """However long the trouble lasts, no partition, no lane and no memory holds more than it may."""
    share = world.pressure.share(PARTITIONS)
    assert world.tally.open_events < MOST_OPEN + PARTITIONS * POLL
    if not world.seen["trickled"]:
        assert all(progress.open_records_count < share + POLL for progress in world.progress)
        lengths = map(len, world.senders.lanes._lanes.values())
        assert max(lengths, default=0) < world.max_lane + PARTITIONS * POLL
    assert world.senders.gate.in_flight <= world.limit
    memory = world.memory
    assert len(memory._writes) <= world.ids
    assert len(memory._pairs) <= world.ids
    assert len(memory._delivered) <= world.message_ids


def check_nobody_sleeps_over_work(
    senders: Crew[Any, Any], now: float, next_timer: float | None, patience_s: float = 0.0
) -> None:
    """The loop wakes up by the time at which a request may go."""
    wanted = _may_go_at(senders.gate, senders.lanes, now)
    wakes = inf if next_timer is None else next_timer
    assert wanted == inf or wakes <= wanted + LATE_S + patience_s, f"idle until {wakes}, a request may go at {wanted}"


def _may_go_at(gate: Gate, lanes: Lanes, now: float) -> float:
    """When the next request may go; infinite when only a verdict or an arrival can change it."""
    sendable = any(_stands_first(lanes, lane) for lane in lanes.ready)
    due = inf if (found := lanes.next_due()) is None else found
    wait_s = gate.wait_s(now, ready=bool(lanes.ready))
    if sendable or lanes.aside or (due < inf and gate.probing):
        return now + wait_s
    return max(due, now + wait_s)


def _stands_first(lanes: Lanes, lane: Lane) -> bool:
    run = lane.queue[0].run
    return run is None or lanes._runs.may_go(run)


def check_all_is_settled(world: World) -> None:
    """The end: nothing is open, everything is committed, and each record has its end, for a reason that holds."""
    assert world.tally.open_events == 0, "not settled though the trouble is over"
    assert len(world.senders.lanes) == 0
    assert [p.watermark for p in world.progress] == [len(log.specs) for log in world.logs]
    ended = world.destination.ended | world.letterbox.parked
    for place, spec in _records(world):
        if place not in ended:
            assert spec.identity in world.destination.identities or spec.values, f"{place} is lost"
            assert spec.account is None or (spec.lane, spec.account) in world.destination.links


def _records(world: World) -> list[tuple[tuple[int, int], Spec]]:
    return [((p, offset), spec) for p, log in enumerate(world.logs) for offset, spec in enumerate(log.specs)]


def check_the_newest_won(world: World) -> None:
    """Each field at Pendo has the value of the newest event, or of one newer still that was given up.

    A repeat of what Pendo took is no news, and Pendo may have taken what we were told it had not.
    """
    newest: dict[tuple[str, str], tuple[Stamp, int]] = {}
    destination = world.destination
    given_up = world.letterbox.parked | destination.opted_out
    for (partition, offset), spec in _records(world):
        repeat = (partition, offset) not in destination.ended and spec.identity in destination.identities
        if (partition, offset) not in given_up and not repeat:
            for name, value in spec.values or ():
                said = (spec.stamp(partition, offset), value)
                newest[spec.key, name] = max(newest.get((spec.key, name), said), said)
    for place, (stamp, value) in newest.items():
        written = destination.fields[place]
        assert written.value == value or written.stamp > stamp, f"{place} is {written}, not {value} of {stamp}"


async def simulate(world_of: Callable[[int], W], seed: int, patience_s: float = 0.0) -> W:
    """Live through one seed's story with all checks on.

    Args:
        world_of: Makes the world.
        seed: Of it.
        patience_s: So long a request may wait for others.
    """
    world = world_of(seed)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)

    def check(next_timer: float | None) -> None:
        check_every_lane_is_in_exactly_one_place(world.senders.lanes)
        check_what_is_set_aside_is_probed(world.senders)
        check_runs_count_their_deliveries(world.senders.lanes)
        check_conservation(world.tally, world.progress)
        check_bounds(world)
        check_nobody_sleeps_over_work(world.senders, loop.time(), next_timer, patience_s)
        world.states.add(world.senders.gate.state)
        world.seen["doubt"] += world.senders.gate.doubt.active

    loop.check_when_quiet(check)
    await world.live()
    check_all_is_settled(world)
    if world.destination.remembers:
        check_the_newest_won(world)
    return world


def live_through(world_of: Callable[[int], W], seed: int, patience_s: float = 0.0) -> W:
    """Simulate; a failure names the seed."""
    try:
        with capture_logs():
            return run_virtually(simulate(world_of, seed, patience_s))
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_happens_order_holds_nothing_is_lost_and_nobody_sleeps_over_work(first: int) -> None:
    """Each chunk of seeds must have met every kind of trouble, else it proves nothing."""
    worlds = [live_through(World, seed) for seed in range(first, first + CHUNK)]
    assert set.union(*(world.states for world in worlds)) == set(GateState)
    letters = reduce(add, (world.letterbox.reasons for world in worlds))
    assert set(letters) == {Reason.REFUSED, Reason.FORBIDDEN, Reason.EXHAUSTED, Reason.BLOCKING}
    settled = reduce(add, (Counter(world.tally.settled) for world in worlds))
    reasons = {reason for _, _, reason in settled}
    assert reasons >= {Reason.STALE, Reason.UNCHANGED, Reason.REPEAT, Reason.OPTED_OUT}
    assert set(reduce(add, (world.seen for world in worlds))) == {"kept", "asleep", "doubt", "trickled"}
    assert sum(world.tally.released for world in worlds) > 0
    assert settled.total() > 100 * CHUNK


def test_a_seed_tells_the_same_story_each_time() -> None:
    """Else a failure could not be looked into."""
    first, second = (live_through(World, 7) for _ in range(2))
    assert first.senders.requests == second.senders.requests
    assert first.tally.settled == second.tally.settled
