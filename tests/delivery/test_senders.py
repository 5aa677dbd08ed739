"""Senders: what becomes of a delivery for each verdict, with a destination that answers by script."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest

from consumer.delivery import circuit
from consumer.delivery.gate import GateState
from consumer.delivery.lane import Delivery
from consumer.delivery.lease import Hold, Lease
from consumer.delivery.retry import Backoff
from consumer.delivery.senders import MAX_READY, MIN_READY
from consumer.delivery.ticket import release
from consumer.errors import UnreachableError
from consumer.outcomes import EventType, Reason
from consumer.pendo.requests import Request, Route
from consumer.pendo.verdicts import ACCEPTED, OPTED_OUT, Later, Locked, Refused, Stall, Verdict
from tests.delivery.conftest import Bench, Box, Engine
from tests.delivery.virtual_loop import run_virtually

REFUSED = Refused(Reason.REFUSED, "Pendo answered 400")


class Destination:
    """Answers each body by its script, then accepts; keeps what it saw."""

    def __init__(self) -> None:
        self.scripts: dict[bytes, list[Verdict | Exception]] = defaultdict(list)
        self.seen: list[bytes] = []
        self.flying = 0
        self.most_flying = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def post(self, body: bytes) -> tuple[Verdict, int]:
        """One request."""
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        self.seen.append(body)
        await self.hold.wait()
        await asyncio.sleep(0)
        self.flying -= 1
        answer = self.scripts[body].pop(0) if self.scripts[body] else ACCEPTED
        if isinstance(answer, Exception):
            raise answer
        return answer, 200 if answer is ACCEPTED else 400


class Rig:
    """Senders between a bench and a destination."""

    def __init__(self, bench: Bench, *, limit: int = 8, max_delay_s: float = 0.02) -> None:
        self.bench = bench
        self.destination = Destination()
        self.box = Box()
        self.lease = Lease(30)
        engine = Engine(limit=limit, max_delay_s=max_delay_s, random=lambda: 1.0, lease=self.lease)
        self.senders = engine.senders(self.destination.post, self.box)
        self.task = asyncio.create_task(self.senders.run())

    def hold(self, why: Hold) -> None:
        """Nothing may go."""
        self.lease.held.add(why)

    def free(self, why: Hold) -> None:
        """It may again."""
        self.lease.held.discard(why)
        self.senders.wake()

    def send(self, name: str, lane: str = "v") -> Delivery:
        """Queue a delivery whose body is its name."""
        request = Request(Route.SEGMENTIO, f"visitor:{lane}", name.encode())
        delivery = Delivery(request, self.bench.ticket(), EventType.TRACK, None, name)
        self.senders.add(delivery)
        return delivery

    async def settled(self, count: int) -> None:
        """Wait until so many events are settled."""
        async with asyncio.timeout(10):
            while self.bench.tally.settled.total() < count:
                await asyncio.sleep(0.001)

    async def seen(self, count: int) -> None:
        """Wait until the destination has seen so many requests."""
        async with asyncio.timeout(10):
            while len(self.destination.seen) < count:
                await asyncio.sleep(0.001)

    async def answered(self, count: int) -> None:
        """Wait until so many requests have been answered."""
        async with asyncio.timeout(10):
            while self.senders.requests.total() < count:
                await asyncio.sleep(0.001)

    def outcomes(self) -> dict[tuple[str, str], int]:
        """Settled events by outcome and reason."""
        return {(outcome, reason): n for (_, outcome, reason), n in self.bench.tally.settled.items()}


@pytest.fixture
async def rig(bench: Bench) -> AsyncIterator[Rig]:
    """Running senders."""
    rig = Rig(bench)
    yield rig
    rig.task.cancel()
    await asyncio.wait([rig.task])


async def test_accepted_is_delivered(rig: Rig) -> None:
    """And the record is finished."""
    rig.send("a")
    await rig.settled(1)
    assert rig.outcomes() == {("delivered", ""): 1}
    assert rig.bench.progress.watermark == 1
    assert rig.senders.requests == {200: 1}


async def test_opted_out_is_suppressed(rig: Rig) -> None:
    """It is nobody's failure."""
    rig.destination.scripts[b"a"] = [OPTED_OUT]
    rig.send("a")
    await rig.settled(1)
    assert rig.outcomes() == {("suppressed", "opted_out"): 1}


async def test_refused_is_dead_lettered_at_once_and_its_neighbours_are_not_touched(rig: Rig) -> None:
    """The next event of the same visitor goes on."""
    rig.destination.scripts[b"b"] = [REFUSED]
    for name in "abc":
        rig.send(name)
    await rig.settled(3)
    assert rig.outcomes() == {("delivered", ""): 2, ("dead_lettered", "refused"): 1}
    assert rig.destination.seen == [b"a", b"b", b"c"]
    [letter] = rig.box.letters
    assert (letter.status, letter.attempts, letter.lane, letter.message_id) == ("400", 1, "visitor:v", "b")
    assert letter.first_attempt_ms is not None


async def test_later_is_tried_again_and_nothing_of_the_lane_passes_it(rig: Rig) -> None:
    """Order within a visitor holds, retries included; attempts are counted."""
    rig.destination.scripts[b"a"] = [Later(), UnreachableError("timeout", ""), Later(0.01), REFUSED]
    rig.send("a")
    rig.send("b")
    await rig.settled(2)
    assert rig.destination.seen == [b"a"] * 4 + [b"b"]
    assert rig.box.letters[0].attempts == 4
    assert rig.senders.requests == {400: 3, "timeout": 1, 200: 1}


async def test_a_failing_lane_does_not_hold_others(rig: Rig) -> None:
    """While one visitor fails for ever, the others are delivered."""
    rig.destination.scripts[b"bad"] = [Later()] * 1000
    rig.send("bad", lane="bad")
    for number in range(50):
        rig.send(f"n{number}", lane=str(number))
    await rig.settled(50)
    assert rig.outcomes() == {("delivered", ""): 50}


async def test_retry_after_goes_before_our_own_delay(rig: Rig) -> None:
    """Pendo knows better when it will be back."""
    rig.destination.scripts[b"a"] = [Later(0.3)]
    started = asyncio.get_running_loop().time()
    rig.send("a")
    await rig.settled(1)
    assert asyncio.get_running_loop().time() - started >= 0.3


async def test_a_wrong_credential_dead_letters_nothing_and_heals(rig: Rig) -> None:
    """Events wait; when the key is replaced the probe goes at once."""
    rig.destination.scripts[b"a"] = [Locked(Stall.CREDENTIALS)] * 1000
    rig.send("a", lane="a")
    async with asyncio.timeout(5):
        while rig.senders.gate.stall is None:
            await asyncio.sleep(0.001)
    rig.send("b", lane="b")
    await asyncio.sleep(0.05)
    assert not rig.box.letters
    assert b"b" not in rig.destination.seen
    rig.destination.scripts.clear()
    rig.senders.probe_now()
    await rig.settled(2)
    assert rig.senders.gate.state is GateState.OPEN


async def test_an_outage_closes_the_circuit_and_its_end_opens_it(rig: Rig) -> None:
    """No head is given up, and nobody waits out the delays that the outage caused."""
    rig.senders.consequences._backoff = Backoff(60, lambda: 1.0)
    rig.destination.scripts[b"a"] = [UnreachableError("connection", "")] * 3
    rig.send("a")
    async with asyncio.timeout(5):
        while not rig.destination.seen:
            await asyncio.sleep(0.001)
    rig.senders.gate._circuit.since -= circuit.AFTER_S
    await rig.settled(1)
    assert rig.destination.seen == [b"a"] * 4
    assert rig.senders.gate.state is GateState.OPEN
    assert not rig.box.letters


async def test_never_more_requests_than_the_limit(bench: Bench) -> None:
    """With five hundred lanes ready, eight are on the wire."""
    rig = Rig(bench, limit=8)
    for number in range(500):
        rig.send(f"n{number}", lane=str(number))
    await rig.settled(500)
    assert rig.destination.most_flying == 8
    rig.task.cancel()
    await asyncio.wait([rig.task])


async def test_enough_is_what_lies_ready_not_what_waits_behind_a_head(rig: Rig, bench: Bench) -> None:
    """A visitor's many events are sent one by one: beside them there is room for others."""
    rig.hold(Hold.OPERATOR)
    for number in range(2 * MAX_READY):
        rig.send(f"hot-{number}", lane="hot")
    before = rig.senders.is_sated()
    for number in range(MAX_READY - 2):
        rig.send(f"one-{number}", lane=f"one-{number}")
    almost = rig.senders.is_sated()
    rig.send("last", lane="last")
    assert (before, almost, rig.senders.is_sated()) == (False, False, True)
    assert bench.tally.open_events == 3 * MAX_READY - 1


async def test_what_is_enough_is_so_until_half_of_it_is_gone(rig: Rig) -> None:
    """So that reading goes in strides: each look at it wakes the process."""
    rig.hold(Hold.OPERATOR)
    for number in range(MAX_READY):
        rig.send(f"one-{number}", lane=f"one-{number}")
    found = [rig.senders.is_sated()]
    ready = rig.senders.lanes.ready
    for left in (MAX_READY // 2, MAX_READY // 2 - 1, MAX_READY - 1):
        kept = [ready.popleft() for _ in range(len(ready) - left)] if left < len(ready) else []
        found.append(rig.senders.is_sated())
        if left == MAX_READY // 2 - 1:
            ready.extend(kept * (MAX_READY - 1 - left))
    assert found == [True, True, False, False]


async def test_enough_is_what_goes_out_in_the_next_moment(rig: Rig) -> None:
    """By what is known of how fast answers come: many where they come at once, few where they take their time."""
    limit = rig.senders.gate.limit
    for took_s, enough in ((0.001, 400), (10.0, MIN_READY)):
        limit.restart()
        limit.answered(0.0, took_s)
        rig.hold(Hold.OPERATOR)
        while len(rig.senders.lanes.ready) < enough - 1:
            rig.send(f"one-{len(rig.senders.lanes)}", lane=f"one-{len(rig.senders.lanes)}")
        assert not rig.senders.is_sated()
        rig.send("last", lane=f"last-{enough}")
        assert rig.senders.is_sated()
        rig.senders.lanes.ready.clear()
        assert not rig.senders.is_sated()


async def test_stop_starts_no_request_and_drain_waits_for_those_in_flight(rig: Rig) -> None:
    """A graceful stop repeats nothing: what is on the wire is awaited, the rest is not sent."""
    rig.destination.hold.clear()
    rig.send("a")
    rig.send("b")
    await asyncio.sleep(0.01)
    rig.senders.stop()
    assert not await rig.senders.drain(0.02)
    rig.destination.hold.set()
    assert await rig.senders.drain(1)
    await asyncio.sleep(0.02)
    assert rig.destination.seen == [b"a"]
    assert rig.outcomes() == {("delivered", ""): 1}


@pytest.mark.timeout(10)
async def test_what_fails_at_an_answer_ends_the_senders(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a bug: the process has to end, rather than go on with a lane that nobody frees any more."""
    rig = Rig(bench)

    def fail(*_: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(rig.senders, "_draw", fail)
    rig.send("a")
    with pytest.raises(LookupError, match="a bug"):
        await rig.task


@pytest.mark.timeout(10)
async def test_what_fails_on_the_way_to_a_request_ends_the_senders(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before an answer, so before a request."""
    rig = Rig(bench)
    monkeypatch.setattr(rig.senders, "_send", None)
    rig.send("a")
    with pytest.raises(TypeError):
        await rig.task


async def test_an_answer_after_the_end_changes_nothing(rig: Rig) -> None:
    """The last commit is made by then, and its record released: it is read again."""
    rig.destination.hold.clear()
    rig.send("a")
    await asyncio.sleep(0.01)
    rig.task.cancel()
    await asyncio.wait([rig.task])
    rig.destination.hold.set()
    await asyncio.sleep(0.02)
    assert rig.destination.seen == [b"a"]
    assert (rig.outcomes(), rig.senders.requests) == ({}, {})


async def test_what_is_given_up_is_not_tried_again(rig: Rig) -> None:
    """A request in flight at a revoke fails: its record belongs to somebody else by now."""
    rig.destination.hold.clear()
    rig.destination.scripts[b"a"] = [Later()]
    rig.send("a")
    rig.send("b")
    await asyncio.sleep(0.01)
    release(rig.bench.progress, rig.bench.tally)
    rig.senders.drop_released()
    rig.destination.hold.set()
    await asyncio.sleep(0.1)
    assert rig.destination.seen == [b"a"]
    assert len(rig.senders.lanes) == 0
    assert rig.bench.tally.unaccounted(0) == 0


async def test_a_paused_route_sends_nothing_and_goes_on_where_it_was(rig: Rig) -> None:
    """An operator's hand."""
    rig.hold(Hold.PAUSED)
    rig.send("a")
    await asyncio.sleep(0.02)
    assert not rig.destination.seen
    rig.free(Hold.PAUSED)
    await rig.settled(1)


async def test_a_retry_that_comes_due_goes_though_the_only_sender_that_woke_is_held_up(rig: Rig) -> None:
    """One request that hangs must not make the others wait for its answer."""
    rig.destination.scripts[b"hangs"] = [Later(0.2)]
    rig.destination.scripts[b"good"] = [Later(0.3)]
    rig.send("hangs", lane="a")
    rig.send("good", lane="b")
    await rig.answered(2)
    rig.destination.hold.clear()
    await rig.seen(4)
    assert rig.destination.seen == [b"hangs", b"good"] * 2
    rig.destination.hold.set()
    await rig.settled(2)


async def test_after_a_pause_all_heads_that_came_due_meanwhile_go_at_once(rig: Rig) -> None:
    """Not one, and the others when it is answered."""
    names = [f"n{number}" for number in range(5)]
    for number, name in enumerate(names):
        rig.destination.scripts[name.encode()] = [Later(0.05 + number / 100)]
        rig.send(name, lane=name)
    await rig.answered(5)
    rig.hold(Hold.PAUSED)
    rig.destination.hold.clear()
    await asyncio.sleep(0.2)
    assert len(rig.destination.seen) == 5
    rig.free(Hold.PAUSED)
    await rig.seen(10)
    assert rig.destination.flying == 5
    rig.destination.hold.set()
    await rig.settled(5)


async def outlast_an_outage(duration_s: int) -> float:
    """Two dozen visitors' events meet an outage; returns how long after its end all of them are delivered."""
    loop = asyncio.get_running_loop()
    end = loop.time() + duration_s

    async def post(_: bytes) -> tuple[Verdict, int]:
        await asyncio.sleep(0.05)
        if loop.time() < end:
            raise UnreachableError("connection", "refused")
        return ACCEPTED, 200

    bench = Bench()
    gate = Engine(limit=8, random=lambda: 1.0).gate()
    senders = Engine(max_delay_s=duration_s, random=lambda: 1.0).senders(post, Box(), gate=gate)
    task = asyncio.create_task(senders.run())
    for number in range(24):
        senders.add(bench.delivery(f"v{number}"))
    while bench.tally.open_events:
        await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])
    return loop.time() - end


def test_the_end_of_a_long_outage_is_found_and_nobody_waits_out_a_delay_that_it_caused() -> None:
    """By then each lane's own delay has grown to minutes; the first answer frees them all."""
    assert run_virtually(outlast_an_outage(duration_s=3_600)) < 62
