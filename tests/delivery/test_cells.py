"""Cells, linger and batch: what of a lane goes together, when, and with how many others."""

import json
from collections.abc import Collection

import pytest

from consumer.delivery.batch import Batch
from consumer.delivery.call_lanes import CallLanes
from consumer.delivery.cells import Cell, Cells
from consumer.delivery.lane import Delivery, Lane, Narrow
from consumer.delivery.linger import LINGER_S, Linger
from consumer.delivery.memory import Memory, Stamp, stamp_of
from consumer.outcomes import EventType, Reason
from consumer.pendo.calls import form_of
from consumer.pendo.requests import Request, Route, State
from tests.delivery.conftest import Bench

LANE = "visitor:v"


class Table:
    """One lane, from which cells are made."""

    def __init__(self, bench: Bench, *, suppress: bool = False) -> None:
        self.memory = Memory(ids=10, message_ids=10, suppress_unchanged=suppress)
        self.lanes = CallLanes(100)
        self.suppressed: list[tuple[Delivery, Reason]] = []
        form = form_of(Route.METADATA)
        assert form is not None
        self._cells = Cells(form, self.memory, self._suppress)
        self._bench = bench

    def _suppress(self, delivery: Delivery, reason: Reason, stamp: Stamp) -> None:
        del stamp
        self.suppressed.append((delivery, reason))

    def say(self, at_ms: int, identity: int = 0, **values: int) -> Delivery:
        """One more identify."""
        body = json.dumps({"visitorId": "v", "values": values}).encode()
        state = State(LANE, at_ms, tuple(values), tuple(values.values()), _strip)
        request = Request(Route.METADATA, LANE, body, identity=identity, state=state)
        delivery = Delivery(request, self._bench.ticket(), EventType.IDENTIFY, None, None)
        self.lanes.add(delivery)
        return delivery

    def wrote(self, at_ms: int, identity: int = 0, **values: int) -> None:
        """Pendo accepted this before."""
        delivery = self.say(at_ms, identity, **values)
        self.memory.note(delivery.request, stamp_of(delivery.request, delivery.ticket))
        self.lane.queue.remove(delivery)

    @property
    def lane(self) -> Lane:
        """The lane."""
        return self.lanes._lanes[LANE]

    def cell(self) -> Cell | None:
        """Take it."""
        return self._cells.of(self.lane)


def _strip(body: bytes, gone: Collection[str]) -> bytes:
    element = json.loads(body)
    return json.dumps(
        {"visitorId": "v", "values": {k: v for k, v in element["values"].items() if k not in gone}}
    ).encode()


def said(cell: Cell | None) -> dict[str, int]:
    """What a cell says."""
    assert cell is not None
    values: dict[str, int] = json.loads(cell.element)["values"]
    return values


@pytest.fixture
def table(bench: Bench) -> Table:
    """A table."""
    return Table(bench)


def test_a_cell_says_the_newest_of_each_field_whatever_came_last(table: Table) -> None:
    """And the newest of its deliveries is the last of its parts."""
    first, newest, last = table.say(5, a=1, b=1), table.say(9, a=2), table.say(7, a=3, c=3)
    cell = table.cell()
    assert said(cell) == {"a": 2, "b": 1, "c": 3}
    assert cell is not None
    assert [delivery for _, delivery, _ in cell.parts] == [first, last, newest]
    assert (cell.kind, cell.id, table.lane.in_flight) == ("visitor", "v", 3)


def test_of_equally_new_events_the_later_offset_wins(table: Table) -> None:
    """Ties go to the higher position."""
    table.say(5, a=1)
    table.say(5, a=2)
    assert said(table.cell()) == {"a": 2}


def test_what_is_older_than_what_was_delivered_is_taken_out_of_a_cell(table: Table) -> None:
    """Field by field; a delivery of which nothing is left is settled, and stands in the lane no more."""
    table.wrote(9, a=9)
    stale, partly, new = table.say(5, a=1), table.say(6, a=2, b=2), table.say(10, c=3)
    assert said(table.cell()) == {"b": 2, "c": 3}
    assert table.suppressed == [(stale, Reason.STALE)]
    assert table.lane.queue == [partly, new]
    assert table.lane.in_flight == 2


def test_a_cell_of_which_nothing_need_be_sent_is_none(table: Table) -> None:
    """Its repeats are settled."""
    table.wrote(5, 7, a=1)
    repeat = table.say(5, 7, a=1)
    assert table.cell() is None
    assert table.suppressed == [(repeat, Reason.REPEAT)]
    assert table.lane.in_flight == 0


def test_beside_what_changes_something_nothing_is_unchanged(bench: Bench) -> None:
    """The first may be left out; what follows a change may change it back."""
    table = Table(bench, suppress=True)
    table.wrote(1, a=1)
    unchanged, *rest = table.say(2, a=1), table.say(3, a=2), table.say(4, a=1)
    assert said(table.cell()) == {"a": 1}
    assert table.suppressed == [(unchanged, Reason.UNCHANGED)]
    assert table.lane.queue == rest


def test_of_deliveries_in_doubt_the_older_half_goes_and_at_last_one_alone(table: Table) -> None:
    """With its end the doubt is over: what is behind goes together again."""
    for number in range(9):
        table.say(number, a=number)
    lane = table.lane
    narrow = lane.narrow = Narrow(500)
    narrow.doubtful = 6
    for last, part in ((2, 3), (3, 1), (4, 1)):
        assert said(table.cell()) == {"a": last}
        assert lane.in_flight == part
        table.lanes.leave(lane, part)
    assert narrow.doubtful == 1
    assert said(table.cell()) == {"a": 5}
    table.lanes.leave(lane, 1)
    assert table.lane.narrow is None
    assert said(table.cell()) == {"a": 8}
    assert lane.in_flight == 3


def test_what_is_in_doubt_and_need_not_be_sent_is_one_less(table: Table) -> None:
    """It was settled on the way."""
    table.wrote(9, a=9)
    table.say(5, a=1)
    table.say(10, a=2)
    narrow = table.lane.narrow = Narrow(500)
    narrow.doubtful = 2
    assert table.cell() is None
    assert narrow.doubtful == 1
    assert said(table.cell()) == {"a": 2}


def test_a_wait_begins_with_the_first_and_ends_for_all_that_are_there() -> None:
    """What comes after its end waits for the next one."""
    linger = Linger()
    assert linger.wait_s(10.0, ready=0) == 0.0
    assert linger.wait_s(10.0, ready=1) == LINGER_S
    assert linger.wait_s(10.4, ready=5) == pytest.approx(LINGER_S - 0.4)
    assert linger.wait_s(10.0 + LINGER_S, ready=700) == 0.0
    linger.took(500)
    assert linger.wait_s(11.1, ready=300) == 0.0
    linger.took(200)
    assert linger.wait_s(11.2, ready=100) == LINGER_S


def test_what_goes_again_waits_for_nobody() -> None:
    """It is first in line; the others go on waiting."""
    linger = Linger()
    assert linger.wait_s(10.0, ready=3) == LINGER_S
    linger.hurry(2)
    assert linger.wait_s(10.1, ready=5) == 0.0
    linger.took(2)
    assert linger.wait_s(10.2, ready=3) == pytest.approx(LINGER_S - 0.2)


def test_what_is_passed_over_is_still_owed() -> None:
    """Of eight that were looked at, five had waited, and two of these could not go along."""
    linger = Linger()
    linger.hurry(5)
    linger.took(8, passed=2)
    assert linger.owed == 2


def test_a_wait_is_forgotten_when_nothing_is_left_to_go() -> None:
    """A released lane leaves no debt."""
    linger = Linger()
    linger.hurry(5)
    assert linger.wait_s(10.0, ready=0) == 0.0
    assert linger.wait_s(10.0, ready=1) == LINGER_S


def test_a_batch_halves_and_grows_back_when_it_was_full() -> None:
    """By a sixteenth; a small call that passes says nothing."""
    batch = Batch(500)
    batch.too_large(500)
    assert batch.size == 250
    batch.passed(10)
    assert batch.size == 250
    batch.passed(250)
    assert batch.size == 266
    for _ in range(20):
        batch.passed(500)
    assert batch.size == 500
    batch.too_large(1)
    assert batch.size == 500, "a probe, or one giant, says nothing of the others"
    small = Batch(3)
    small.too_large(2)
    assert small.size == 1
    small.passed(1)
    assert small.size == 2


def test_a_small_call_that_times_out_says_nothing_of_large_ones() -> None:
    """It carried less than half of what it might: with so few its size was not the cause."""
    batch = Batch(500)
    batch.too_large(249)
    assert batch.size == 500
    batch.too_large(250)
    assert batch.size == 125


def test_a_call_that_was_larger_than_the_batch_is_by_now_does_not_raise_it() -> None:
    """Two calls of the same size time out one after the other."""
    batch = Batch(500)
    batch.too_large(500)
    batch.too_large(500)
    assert batch.size == 250
