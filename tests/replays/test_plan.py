"""Which letters are sent again, and why the others are not."""

import pytest

from consumer.kafka.committed import Committed
from consumer.kafka.looking import Ends
from consumer.kafka.offset_map import OffsetMap
from consumer.replays.plan import MAX_REPLAYS, Plan, Refusal
from tests.delivery.conftest import FakeRecord
from tests.replays.conftest import DEAD, SOURCE, identify, letter, plan_of

TRACK = {"type": "track", "event": "Clicked", "userId": "ann", "messageId": "m-1"}


def left(plan: Plan) -> dict[str, Refusal]:
    return plan.left


def test_a_letter_of_ours_is_sent_again() -> None:
    """The plan knows what today's mapping makes of it, and whose fields it writes."""
    plan = plan_of(letter(3, identify("ann", plan="pro"), origin=7))
    planned = plan.chosen[DEAD][3]
    assert (planned.letter, planned.origin, planned.type) == ("dead-0@3", "events-0@7", "identify")
    assert (planned.outcome, planned.reason, planned.key) == ("deliver", "", "visitor:ann")
    assert planned.request is None
    assert not plan.left


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (FakeRecord("dead", 0, 3, 9_000, None, b"{}", []), Refusal.FOREIGN),
        (letter(3, None, value=b"[]"), Refusal.EMPTY),
        (letter(3, [TRACK], index=1), Refusal.EMPTY),
        (letter(3, TRACK, replays=MAX_REPLAYS), Refusal.TOO_OFTEN),
    ],
)
def test_what_cannot_be_sent_again_says_why(found: FakeRecord, why: Refusal) -> None:
    """Nothing is chosen."""
    plan = plan_of(found)
    assert left(plan) == {"dead-0@3": why}
    assert not plan.all()


def test_a_value_that_was_left_out_cannot_be_sent() -> None:
    """The topic did not take it."""
    record = letter(3, TRACK)
    record.headers.append(("pendo.dlq.value", b"omitted"))
    assert left(plan_of(record)) == {"dead-0@3": Refusal.OMITTED}


def test_what_cannot_be_decoded_is_sent_again_all_the_same() -> None:
    """It ends as it did, and says so beforehand."""
    [planned] = plan_of(letter(3, None, value=b"\xff")).all()
    assert (planned.outcome, planned.reason, planned.key) == ("dead_lettered", "undecodable", None)


def test_one_fewer_than_too_often_is_sent_and_all_by_force() -> None:
    """The guard is for loops, not for people who insist."""
    assert len(plan_of(letter(3, TRACK, replays=MAX_REPLAYS - 1)).all()) == 1
    assert len(plan_of(letter(3, TRACK, replays=MAX_REPLAYS), force=True).all()) == 1


def test_what_was_sent_again_before_is_left() -> None:
    """By the commit and its map; what is open there is sent, and force changes nothing."""
    committed = Committed(2, OffsetMap(b"a-writer", 0, (1, 2)))
    letters = [letter(offset, TRACK) for offset in range(6)]
    for force in (False, True):
        plan = plan_of(*letters, finished=committed, force=force)
        assert sorted(plan.chosen[DEAD]) == [2, 5]
        assert set(left(plan).values()) == {Refusal.REPLAYED}
        assert plan.parked == {("events-0@2", None), ("events-0@5", None)}


def test_what_nobody_asked_for_is_neither_sent_nor_told() -> None:
    """But it has set nothing at Pendo."""
    plan = plan_of(letter(3, TRACK), wanted=False)
    assert not plan.all()
    assert not plan.left
    assert plan.parked == {("events-0@3", None)}


@pytest.mark.parametrize(
    ("ends", "sent"), [(Ends(0, 8), True), (Ends(7, 8), True), (Ends(8, 9), False), (Ends(0, 7), False), (None, False)]
)
def test_fields_whose_newer_events_may_have_expired_are_left(ends: Ends | None, sent: bool) -> None:  # noqa: FBT001
    """Their record must still lie in its log: then all that came after it does, too."""
    logs = {} if ends is None else {SOURCE: ends}
    plan = plan_of(letter(3, identify(plan="pro"), origin=7))
    plan.leave_expired(logs)
    assert bool(plan.all()) is sent
    assert set(left(plan).values()) == (set() if sent else {Refusal.EXPIRED})
    forced = plan_of(letter(3, identify(plan="pro"), origin=7), force=True)
    forced.leave_expired(logs)
    assert forced.all()


def test_a_fact_is_never_too_old() -> None:
    """Nothing newer can be undone by it."""
    plan = plan_of(letter(3, TRACK, origin=7))
    plan.leave_expired({})
    assert plan.all()
    assert plan.origins() == set()
