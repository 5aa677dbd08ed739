"""The flood stop: what is wrong with all events must not empty the topic into the dead-letter topic."""

import pytest

from consumer.delivery.flood import ROUND, Flood

MIN_EVENTS = 100
SHARE = 0.5


def _count(flood: Flood, answers: str, *, left: bool = True) -> None:
    """Count answers: R for refused, A for accepted."""
    for answer in answers:
        if flood.active:
            flood.probed(refused=answer == "R", left=left)
        elif answer == "R":
            flood.refused()
        else:
            flood.answers += 1


def _active() -> Flood:
    flood = Flood(SHARE, MIN_EVENTS)
    _count(flood, "R" * MIN_EVENTS)
    assert flood.active
    return flood


def test_before_there_are_enough_answers_nothing_is_said() -> None:
    """One poison event on a quiet topic, or ninety-nine, are dead-lettered at once."""
    flood = Flood(SHARE, MIN_EVENTS)
    _count(flood, "R" * (MIN_EVENTS - 1))
    assert not flood.active
    _count(flood, "R")
    assert flood.active


def test_half_refused_is_no_flood_more_is() -> None:
    """The share is exclusive."""
    flood = Flood(SHARE, MIN_EVENTS)
    _count(flood, "RA" * MIN_EVENTS)
    assert not flood.active
    _count(flood, "R" * 2)
    assert flood.active


def test_only_the_last_answers_count() -> None:
    """A bad morning is forgotten by noon, and a good one is no excuse."""
    flood = Flood(SHARE, MIN_EVENTS)
    _count(flood, "R" * 50 + "A" * 10_000 + "R" * 50)
    assert not flood.active
    _count(flood, "R")
    assert flood.active


def test_a_share_of_one_is_never_exceeded() -> None:
    """So an operator switches it off."""
    flood = Flood(1.0, MIN_EVENTS)
    _count(flood, "R" * 10 * MIN_EVENTS)
    assert not flood.active


def test_refused_probes_never_end_it() -> None:
    """However many: nothing has been accepted yet, so no round has begun."""
    flood = _active()
    for _ in range(1000):
        _count(flood, "R")
        assert (flood.active, flood.in_round) == (True, False)
    _count(flood, "R", left=False)
    assert (flood.active, flood.in_round) == (True, False)


def test_an_acceptance_begins_a_round() -> None:
    """It counts in it."""
    flood = _active()
    _count(flood, "A")
    assert (flood.in_round, flood.round_refused) == (True, 0)
    _count(flood, "RRA")
    assert (flood.in_round, flood.round_refused) == (True, 2)


@pytest.mark.parametrize(("refused", "over"), [(0, True), (10, True), (11, False), (19, False)])
def test_a_round_decides_by_the_share(refused: int, over: bool) -> None:  # noqa: FBT001  # a table of examples
    """At most half of twenty refused: the topic is sound enough; else one lucky acceptance was no more than that."""
    flood = _active()
    _count(flood, "A" * (ROUND - refused) + "R" * refused)
    assert (flood.active, flood.in_round, flood.round_refused) == (not over, False, 0)


def test_a_round_does_not_decide_early() -> None:
    """Nineteen acceptances are not twenty."""
    flood = _active()
    _count(flood, "A" * (ROUND - 1))
    assert flood.active


@pytest.mark.parametrize(("round_", "over"), [("A", True), ("AR", True), ("ARR", False)])
def test_a_round_with_nothing_left_decides_by_what_it_has(round_: str, over: bool) -> None:  # noqa: FBT001  # likewise
    """A quiet topic must not wait for events that do not come."""
    flood = _active()
    _count(flood, round_[:-1])
    _count(flood, round_[-1], left=False)
    assert flood.active is not over


def test_the_next_round_starts_from_nothing() -> None:
    """What an earlier one saw does not help it."""
    flood = _active()
    _count(flood, "A" * 9 + "R" * 11)
    assert flood.active
    _count(flood, "A" * 10)
    assert flood.active
    _count(flood, "A" * 10)
    assert not flood.active


def test_afterwards_the_window_is_empty() -> None:
    """Old refusals must not bring it back with the next one; it takes as many as the first time."""
    flood = _active()
    _count(flood, "A" * ROUND)
    _count(flood, "R" * (MIN_EVENTS - 1))
    assert not flood.active
    _count(flood, "R")
    assert flood.active


def test_refusals_from_before_do_not_count_afterwards() -> None:
    """Forty in a hundred are bearable, whatever there was before the flood."""
    flood = _active()
    _count(flood, "A" * ROUND)
    _count(flood, "A" * 60 + "R" * 40)
    assert not flood.active


def test_it_can_be_taken_over() -> None:
    """From an earlier process, by a flag in its commit: at once, whatever this one has seen; it ends as any other."""
    flood = Flood(SHARE, MIN_EVENTS)
    _count(flood, "A" * 50)
    flood.begin()
    assert (flood.active, flood.in_round) == (True, False)
    _count(flood, "R" * 5 + "A" * ROUND)
    assert not flood.active
