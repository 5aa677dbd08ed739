"""The token bucket: a quota is kept over every stretch of time, and used up when there is work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery.bucket import BURST_S, Bucket


def _spent(bucket: Bucket, start: float, until: float) -> list[float]:
    """When tokens are taken by somebody who always has work."""
    times, now = [], start
    while now < until:
        wait_s = bucket.wait_s(now)
        if wait_s:
            now += wait_s + 1e-6
        else:
            bucket.take()
            times.append(now)
    return times


def test_without_a_quota_nobody_waits() -> None:
    """Nor when part of nothing is ours."""
    bucket = Bucket()
    bucket.share(0.5)
    for _ in range(1000):
        assert bucket.wait_s(0) == 0
        bucket.take()


@pytest.mark.parametrize("quota", [0.5, 1, 3, 40, 2000])
def test_a_quota_is_used_up_and_no_more(quota: float) -> None:
    """To the token, but for the burst at the beginning."""
    spent = len(_spent(Bucket(quota), 1000, 1020))
    assert 20 * quota - 1 <= spent <= 20 * quota + max(1, BURST_S * quota)


@pytest.mark.parametrize("quota", [1, 3, 40])
def test_idle_time_saves_little(quota: float) -> None:
    """After a quiet night not a night's quota goes at once."""
    bucket = Bucket(quota)
    _spent(bucket, 0, 5)
    at_once = 0
    while bucket.wait_s(10_000) == 0:
        bucket.take()
        at_once += 1
    assert at_once == max(1, BURST_S * quota)


def test_the_wait_is_until_there_is_a_token() -> None:
    """Not longer: nobody looks in between."""
    bucket = Bucket(4)
    bucket.wait_s(100)
    bucket.take()
    assert bucket.wait_s(100) == 0.25
    assert bucket.wait_s(100.125) == 0.125
    assert bucket.wait_s(100.25) == 0


def test_a_share_of_the_quota_is_of_the_whole() -> None:
    """However often partitions change hands."""
    bucket = Bucket(100)
    for part in (0.5, 0.25, 1, 0.1):
        bucket.share(part)
    assert bucket.rate == 10
    assert len(_spent(bucket, 1000, 1010)) <= 10 * 10 + 1


def test_a_smaller_share_takes_back_what_was_saved() -> None:
    """The burst is the new rate's."""
    bucket = Bucket(1000)
    bucket.wait_s(1000)
    bucket.share(0.01)
    assert bucket.wait_s(1000) == 0
    bucket.take()
    assert bucket.wait_s(1000) == pytest.approx(0.1)


@given(
    quota=st.floats(0.2, 500),
    pauses=st.lists(st.floats(0, 3), max_size=60),
)
def test_no_ten_seconds_ever_see_more_than_the_quota(quota: float, pauses: list[float]) -> None:
    """But for one burst, whenever work comes."""
    bucket, now, times = Bucket(quota), 1000.0, []
    for pause_s in pauses:
        now += pause_s
        while bucket.wait_s(now) == 0:
            bucket.take()
            times.append(now)
    for first in times:
        within = sum(first <= time <= first + 10 for time in times)
        assert within <= 10 * quota + max(1, BURST_S * quota) + 1e-6
