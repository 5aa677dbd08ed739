"""The poison clock: attempts count only while others pass; a head needs its own, and its lane's window."""

import pytest

from consumer.delivery.poison import Failing, Poison, Trouble

WINDOW_S = 900.0


class Head:
    """A head that fails, and what the route answers to others meanwhile."""

    def __init__(self) -> None:
        self.poison = Poison(WINDOW_S, 2)
        self.lane = Failing(since=0.0)
        self.trouble = Trouble(first_attempt_ms=0)
        self.answered = 0
        self.accepted = 0

    def fail(self, *, others: int = 0, accepted: int = 0, throttled: bool = False) -> int:
        """Fail once more, after so many answers to others; how many attempts count by now."""
        self.answered += others + 1
        self.accepted += accepted
        answers = {"answered": self.answered, "accepted": self.accepted}
        self.poison.count(self.lane, self.trouble, **answers, throttled=throttled)
        return self.trouble.counted

    def exhausted(self, now: float) -> bool:
        """Whether it is given up."""
        return self.poison.exhausted(self.lane, self.trouble, now)


def test_the_first_failure_never_counts() -> None:
    """What others had before it says nothing."""
    assert Head().fail(others=100, accepted=100) == 0


def test_a_failure_counts_only_when_nine_of_ten_others_were_accepted() -> None:
    """In an outage, or in half of one, no head is poison."""
    head = Head()
    head.fail()
    assert head.fail(others=10, accepted=8) == 0
    assert head.fail(others=10, accepted=9) == 1


def test_a_failure_does_not_count_when_nobody_else_was_answered() -> None:
    """The only visitor there is may fail for ever."""
    head = Head()
    head.fail()
    assert head.fail() == 0


def test_being_told_to_slow_down_never_counts() -> None:
    """429 is about all of us."""
    head = Head()
    head.fail()
    assert head.fail(others=10, accepted=10, throttled=True) == 0


def test_a_head_is_exhausted_only_after_the_window_and_its_own_attempts() -> None:
    """Either alone is not enough."""
    head = Head()
    head.fail()
    head.fail(others=1, accepted=1)
    assert not head.exhausted(WINDOW_S)
    head.fail(others=1, accepted=1)
    assert not head.exhausted(WINDOW_S - 1)
    assert head.exhausted(WINDOW_S)


@pytest.mark.parametrize(("began", "ended", "ends_at"), [(100, 400, WINDOW_S + 300), (-50, 400, WINDOW_S + 400)])
def test_the_window_does_not_run_in_an_outage_and_goes_on_after_it(began: float, ended: float, ends_at: float) -> None:
    """Not from its beginning: on a quiet topic each event of another visitor may end an outage that was none."""
    head = Head()
    for _ in range(3):
        head.fail(others=1, accepted=1)
    head.lane.excuse(began, ended)
    assert not head.exhausted(ends_at - 1)
    assert head.exhausted(ends_at)
