"""The limit: it finds out how many requests at once the destination takes, and asks for no more."""

import pytest

from consumer.delivery.limit import FLOOR, START, Limit

MAXIMUM = 1000


class Window:
    """Round trips of one second, one after another."""

    def __init__(self, maximum: int = MAXIMUM) -> None:
        self.limit = Limit(maximum)
        self.now = 0.0
        self.answer(self.now, 1.0, failed=False)

    def answer(self, now: float, took_s: float, *, failed: bool) -> None:
        """One answer."""
        if failed:
            self.limit.failed()
        self.limit.answered(now, took_s)

    def passes(self, *, answers: int = 10, failed: int = 0, reached: bool = True) -> int:
        """One round trip with so many answers; returns the limit after it."""
        if reached:
            self.limit.reached = True
        for number in range(answers):
            self.answer(self.now + (number + 1) / answers, 1.0, failed=number < failed)
        self.now += 1.0
        return self.limit.value


@pytest.fixture
def window() -> Window:
    """A limit that begins, after its first answer."""
    return Window()


def test_slow_start_doubles_once_a_round_trip(window: Window) -> None:
    """From sixteen to a thousand in six round trips, however many answers each brings."""
    assert window.limit.value == START
    assert [window.passes(answers=n) for n in (1, 10, 100, 3, 10, 10, 10)] == [32, 64, 128, 256, 512, 1000, 1000]


def test_before_a_round_trip_is_over_nothing_grows(window: Window) -> None:
    """A thousand answers within it are one window's."""
    window.limit.reached = True
    for _ in range(1000):
        window.answer(0.9, 1.0, failed=False)
    assert window.limit.value == START


def test_after_the_first_fall_it_grows_by_one(window: Window) -> None:
    """Where it fell is about where the destination's own limit lies."""
    window.passes()
    window.passes(failed=5)
    value = window.limit.value
    assert [window.passes() for _ in range(3)] == [value + 1, value + 2, value + 3]


def test_after_a_long_fall_it_grows_by_one_all_the_same(window: Window) -> None:
    """Though it lies far below what it once was."""
    for _ in range(3):
        window.passes()
    for _ in range(30):
        window.passes(failed=10)
    assert [window.passes() for _ in range(3)] == [FLOOR + 1, FLOOR + 2, FLOOR + 3]


def test_a_limit_that_was_not_reached_does_not_grow(window: Window) -> None:
    """Nobody tried whether more would go well."""
    assert [window.passes(reached=False) for _ in range(3)] == [START] * 3
    window.passes(failed=5)
    value = window.limit.value
    assert [window.passes(reached=False) for _ in range(3)] == [value] * 3


def test_what_was_reached_in_an_earlier_window_does_not_count(window: Window) -> None:
    """Each window is judged by itself."""
    window.passes()
    assert window.passes(reached=False) == 32


def test_one_failure_in_ten_does_not_lower_it(window: Window) -> None:
    """Single events' troubles are not the route's."""
    assert window.passes(answers=10, failed=1, reached=False) == START
    assert window.passes(answers=10, failed=2, reached=False) == int(START * 0.9)


def test_a_bad_window_lowers_it_once(window: Window) -> None:
    """A hundred failures at the same moment are one event, not a hundred."""
    window.passes()
    window.passes()
    assert window.limit.value == 64
    assert window.passes(answers=100, failed=100) == 57


def test_failures_of_an_earlier_window_do_not_count(window: Window) -> None:
    """What was bad before need not be now."""
    window.passes(answers=10, failed=10, reached=False)
    value = window.limit.value
    assert window.passes(answers=10, failed=0, reached=False) == value


def test_it_does_not_fall_below_the_floor(window: Window) -> None:
    """A share of failures must not starve the route; whether it is an outage the circuit decides."""
    for _ in range(50):
        window.passes(failed=10)
    assert window.limit.value == FLOOR


@pytest.mark.parametrize("maximum", [1, 5])
def test_a_maximum_below_the_floor_holds(maximum: int) -> None:
    """In good and in bad times."""
    window = Window(maximum)
    assert [window.limit.value, window.passes(), window.passes(failed=10), window.passes()] == [maximum] * 4


def test_a_window_is_as_long_as_answers_take_now(window: Window) -> None:
    """When round trips grow to ten seconds, it does not judge every second."""
    for _ in range(60):
        window.now += 0.01
        window.answer(window.now, 10.0, failed=False)
    value = window.limit.value
    window.limit.reached = True
    for _ in range(9):
        window.now += 1.0
        window.answer(window.now, 10.0, failed=False)
    assert window.limit.value == value
    window.now += 1.0
    window.answer(window.now, 10.0, failed=False)
    assert window.limit.value == 2 * value


def test_one_slow_answer_does_not_stop_the_clock(window: Window) -> None:
    """The round trip is a mean."""
    window.answer(0.1, 8.0, failed=False)
    assert window.passes() == START
    assert window.passes() == 2 * START


def test_a_restart_begins_slowly(window: Window) -> None:
    """Whatever answers came before it, good or bad."""
    window.passes()
    window.passes(failed=5)
    window.limit.reached = True
    window.limit.restart()
    assert window.limit.value == START
    window.answer(window.now, 1.0, failed=True)
    assert window.passes(reached=False) == START
    assert window.passes() > START


def test_a_restart_doubles_up_to_half_of_what_fell(window: Window) -> None:
    """If too many at once were what brought it down, they must not be back within a few round trips."""
    for _ in range(5):
        window.passes()
    assert window.limit.value == 512
    for _ in range(20):
        window.passes(failed=10)
    window.limit.restart()
    window.answer(window.now, 1.0, failed=False)
    assert [window.passes() for _ in range(6)] == [32, 64, 128, 256, 257, 258]


def test_a_restart_without_a_fall_doubles_on(window: Window) -> None:
    """It never came too near to any limit."""
    window.passes()
    window.limit.restart()
    window.answer(window.now, 1.0, failed=False)
    assert [window.passes() for _ in range(3)] == [32, 64, 128]


def test_each_fall_from_a_height_counts_anew(window: Window) -> None:
    """Not the first of all, nor the last step of a long fall."""
    window.passes()
    window.passes(failed=10)
    for _ in range(100):
        window.passes()
    assert window.limit.value == 28 + 100
    window.passes(failed=10)
    window.passes(failed=10)
    window.limit.restart()
    window.answer(window.now, 1.0, failed=False)
    assert [window.passes() for _ in range(4)] == [32, 64, 65, 66]
