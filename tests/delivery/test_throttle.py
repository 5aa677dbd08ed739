"""The throttle: a visitor who is rate limited waits alone; when two are, it is the route."""

import pytest

from consumer.delivery.throttle import Throttle


@pytest.fixture
def throttle() -> Throttle:
    """An open route."""
    return Throttle()


def test_one_lane_closes_only_itself(throttle: Throttle) -> None:
    """However often it is told."""
    for second in range(10):
        throttle.throttled(second, "a", 100)
    assert throttle.closed_until <= 0


def test_two_lanes_close_the_route_until_the_later_time(throttle: Throttle) -> None:
    """Whichever of them was told to wait longer."""
    throttle.throttled(0, "a", 100)
    throttle.throttled(1, "b", 5)
    assert throttle.closed_until == 100
    throttle.throttled(2, "c", 200)
    assert throttle.closed_until == 202


def test_a_lane_whose_time_has_passed_does_not_count(throttle: Throttle) -> None:
    """Two visitors an hour apart are two visitors."""
    throttle.throttled(0, "a", 5)
    throttle.throttled(5, "b", 5)
    assert throttle.closed_until <= 5
    throttle.throttled(6, "c", 5)
    assert throttle.closed_until == 11


def test_a_lane_that_has_passed_does_not_count(throttle: Throttle) -> None:
    """It was let in again before its time: that was about it alone."""
    throttle.throttled(0, "a", 100)
    throttle.passed("a")
    throttle.passed("never throttled")
    throttle.throttled(1, "b", 5)
    assert throttle.closed_until <= 1


def test_a_429_without_a_time_closes_nothing(throttle: Throttle) -> None:
    """The lanes' own delays and the limit, that falls, are the answer to it."""
    for number in range(100):
        throttle.throttled(0, str(number), None)
    assert throttle.closed_until <= 0


def test_what_has_passed_is_not_kept(throttle: Throttle) -> None:
    """A year of rate limits leaves no trace."""
    for number in range(10_000):
        throttle.throttled(number, str(number), 1)
    assert len(throttle.lanes) == 1
