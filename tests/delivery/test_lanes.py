"""Lanes: one request in flight per lane, heads stay heads, runs of an account never overtake each other."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.ticket import release
from consumer.kafka.progress import Progress
from tests.delivery.conftest import Bench

MAX_LENGTH = 3


def _take(lanes: Lanes) -> Lane:
    lane = lanes.take()
    assert lane is not None
    return lane


def test_a_lane_has_one_request_in_flight(bench: Bench) -> None:
    """The second event of a visitor waits for the verdict on the first."""
    lanes = Lanes(MAX_LENGTH)
    first, second = bench.delivery("v"), bench.delivery("v")
    assert lanes.add(first)
    assert not lanes.add(second)
    lane = _take(lanes)
    assert lane.queue[0] is first
    assert lanes.take() is None
    lanes.advance(lane)
    assert _take(lanes).queue[0] is second


def test_a_partition_waits_for_the_longest_of_its_long_lanes(bench: Bench) -> None:
    """Else a short one that is soon through would let it be read on, and the long one would grow without a bound."""
    lanes = Lanes(MAX_LENGTH)
    for _ in range(MAX_LENGTH + 2):
        lanes.add(bench.delivery("long"))
    for _ in range(MAX_LENGTH):
        lanes.add(bench.delivery("short"))
    crowd = bench.progress.crowd
    assert crowd is not None
    assert crowd.crowding == MAX_LENGTH + 2
    while crowd.crowding:
        lanes.advance(next(lane for lane in lanes if lane.key == "visitor:long"))
    lanes.add(bench.delivery("short"))
    assert bench.progress.crowd is not crowd
    assert bench.progress.crowd is not None


def test_a_failing_head_stays_the_head(bench: Bench) -> None:
    """Nothing of the lane goes before it, and it goes again when it is due."""
    lanes = Lanes(MAX_LENGTH)
    first = bench.delivery("v")
    lanes.add(first)
    lanes.add(bench.delivery("v"))
    lanes.retry(_take(lanes), due=5.0, asked=False)
    lanes.wake_due(4.9)
    assert lanes.take() is None
    assert lanes.next_due() == 5.0
    lanes.wake_due(5.0)
    assert _take(lanes).queue[0] is first


def test_other_lanes_pass_a_failing_one(bench: Bench) -> None:
    """One visitor's trouble is nobody else's."""
    lanes = Lanes(MAX_LENGTH)
    lanes.add(bench.delivery("bad"))
    lanes.add(bench.delivery("good"))
    lanes.retry(_take(lanes), due=5.0, asked=False)
    assert _take(lanes).key == "visitor:good"


def test_a_probe_need_not_wait_for_a_failed_head_to_be_due(bench: Bench) -> None:
    """In an outage all heads have failed; the one that is due first is the probe."""
    lanes = Lanes(MAX_LENGTH)
    for name, due in (("a", 60.0), ("b", 30.0)):
        lanes.add(bench.delivery(name))
        lanes.retry(_take(lanes), due=due, asked=False)
    probe = lanes.take_probe()
    assert probe is not None
    assert probe.key == "visitor:b"


def test_the_end_of_an_outage_wakes_all_but_those_that_pendo_told_to_wait(bench: Bench) -> None:
    """Delays that the outage caused are void; a `Retry-After` is not."""
    lanes = Lanes(MAX_LENGTH)
    for name, asked in (("told", True), ("failed", False)):
        lanes.add(bench.delivery(name))
        lanes.retry(_take(lanes), due=60.0, asked=asked)
    lanes.wake_all()
    assert _take(lanes).key == "visitor:failed"
    assert lanes.take() is None
    lanes.wake_due(60.0)
    assert _take(lanes).key == "visitor:told"


def test_groups_with_equal_traits_go_side_by_side(bench: Bench) -> None:
    """A big customer's page loads are no serial queue."""
    lanes = Lanes(MAX_LENGTH)
    for visitor in "abc":
        lanes.add(bench.delivery(visitor, account="acme", state=1))
    assert [_take(lanes).key for _ in "abc"] == ["visitor:a", "visitor:b", "visitor:c"]


def test_two_versions_of_an_accounts_traits_never_overtake_each_other(bench: Bench) -> None:
    """The second version waits until the last of the first has its verdict, and the third for the second."""
    lanes = Lanes(MAX_LENGTH)
    for visitor, state in (("a", 1), ("b", 1), ("c", 2), ("d", 1)):
        lanes.add(bench.delivery(visitor, account="acme", state=state))
    first, second = _take(lanes), _take(lanes)
    assert lanes.take() is None
    lanes.advance(second)
    assert lanes.take() is None
    lanes.advance(first)
    third = _take(lanes)
    assert third.key == "visitor:c"
    assert lanes.take() is None
    lanes.advance(third)
    assert _take(lanes).key == "visitor:d"


def test_a_given_up_partition_leaves_only_what_is_in_flight(bench: Bench) -> None:
    """The request on the wire keeps its lane, so that the same record, read again, waits for it."""
    lanes = Lanes(MAX_LENGTH)
    flying = bench.delivery("v")
    for delivery in (flying, bench.delivery("v"), bench.delivery("w")):
        lanes.add(delivery)
    lane = _take(lanes)
    release(bench.progress, bench.tally)
    lanes.drop_released()
    assert lanes.take() is None
    bench.progress = Progress("t", 0, 0)
    again = Bench().delivery("v")
    lanes.add(again)
    assert lanes.take() is None
    lanes.advance(lane)
    assert _take(lanes).queue[0] is again


class Schedules(RuleBasedStateMachine):
    """Random schedules of visitors, accounts, failures and revokes, checked against the order of arrival alone."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes(MAX_LENGTH)
        self.benches = [Bench(), Bench()]
        self.open: list[Delivery] = []
        self.flying: list[Lane] = []
        self.now = 0.0

    @rule(
        visitor=st.sampled_from("abcd"),
        account=st.sampled_from(["x", "y", None]),
        state=st.integers(1, 2),
        partition=st.integers(0, 1),
    )
    def add(self, visitor: str, account: str | None, state: int, partition: int) -> None:
        """Admit a delivery."""
        delivery = self.benches[partition].delivery(visitor, account, state if account else 0)
        self.lanes.add(delivery)
        self.open.append(delivery)

    @rule()
    def take(self) -> None:
        """Send a head: the oldest of its lane, and of its account's versions none older may be open."""
        self.lanes.wake_due(self.now)
        lane = self.lanes.take()
        if lane is None:
            return
        head = lane.queue[0]
        earlier = self.open[: self.open.index(head)]
        assert not any(d.request.lane == head.request.lane for d in earlier)
        assert not any(
            d.request.account == head.request.account and d.request.state_hash != head.request.state_hash
            for d in earlier
            if head.request.account is not None
        )
        self.flying.append(lane)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), accepted=st.booleans(), delay=st.integers(1, 5))
    def answer(self, data: st.DataObject, accepted: bool, delay: int) -> None:  # noqa: FBT001
        """A verdict: the head leaves, or stays the head."""
        lane = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        head = lane.queue[0]
        if accepted or head.ticket.released:
            self.lanes.advance(lane)
            self.open.remove(head)
        else:
            self.lanes.retry(lane, self.now + delay, asked=False)

    @rule(partition=st.integers(0, 1))
    def revoke(self, partition: int) -> None:
        """Give a partition up; what is read of it later is new."""
        bench = self.benches[partition]
        release(bench.progress, bench.tally)
        self.lanes.drop_released()
        flying = [lane.queue[0] for lane in self.flying]
        self.open = [d for d in self.open if not d.ticket.released or d in flying]
        self.benches[partition] = Bench()

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        """Time passes, so that failed heads come due."""
        self.now += seconds

    @rule()
    def recover(self) -> None:
        """An outage ends."""
        self.lanes.wake_all()

    @invariant()
    def lanes_hold_what_is_open(self) -> None:
        """A lane exists as long as something in it is open."""
        assert len(self.lanes) == len({d.request.lane for d in self.open})

    def teardown(self) -> None:
        """There is no deadlock: with every answer an acceptance, all that is open drains."""
        for lane in self.flying:
            self.open.remove(lane.queue[0])
            self.lanes.advance(lane)
        self.lanes.wake_all()
        while (ready := self.lanes.take()) is not None:
            self.open.remove(ready.queue[0])
            self.lanes.advance(ready)
        assert not self.open
        assert len(self.lanes) == 0


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
