"""When an event happened: every form that Segment writes is read, and nothing that stands there raises."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.segment.timestamps import MAX_NUMBER_MS, MIN_NUMBER_MS, timestamp_ms

AT_MS = 1_561_138_547_404
KEYS = ("timestamp", "originalTimestamp", "receivedAt")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2019-06-21T17:35:47.404Z", AT_MS),
        ("2019-06-21T17:35:47.404+00:00", AT_MS),
        ("2019-06-21T19:35:47.404+02:00", AT_MS),
        ("2019-06-21T23:05:47.404+0530", AT_MS),
        ("2019-06-21T17:35:47.404123Z", AT_MS),
        ("2019-06-21T17:35:47.404999999Z", AT_MS),
        ("2019-06-21T17:35:47.404", AT_MS),
        ("2019-06-21 17:35:47.404", AT_MS),
        ("2019-06-21T17:35:47.4Z", AT_MS - 4),
        ("2019-06-21T17:35:47Z", AT_MS - 404),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
        ("9999-12-31T23:59:59-14:00", 253_402_351_199_000),
        (AT_MS, AT_MS),
        (MIN_NUMBER_MS, MIN_NUMBER_MS),
        (MAX_NUMBER_MS - 1, MAX_NUMBER_MS - 1),
    ],
)
def test_every_form_that_segment_writes_is_read(text: str | int, at_ms: int) -> None:
    """With Z, with an offset, with up to nine digits of a second or none, as milliseconds; no zone is UTC."""
    assert timestamp_ms({"timestamp": text}) == at_ms


def test_a_time_without_a_zone_is_utc_wherever_the_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the time of the machine's zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert timestamp_ms({"timestamp": "2019-06-21T17:35:47.404"}) == AT_MS
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "odd",
    [
        None,
        True,
        0,
        AT_MS // 1000,
        MIN_NUMBER_MS - 1,
        MAX_NUMBER_MS,
        -AT_MS,
        float(AT_MS),
        1_561_138_547.404,
        "",
        "now",
        str(AT_MS),
        "2019-06-31T00:00:00Z",
        "2019-06-21T24:00:00Z",
        "2019-06-21T17:35:60Z",
        "2019-06-21 17:35:47.404 +0000 UTC",
        " 2019-06-21T17:35:47Z",
        "10000-01-01T00:00:00Z",
        "\ud800",
        ["2019-06-21T17:35:47Z"],
        {"$date": "2019-06-21T17:35:47Z"},
    ],
)
def test_what_cannot_be_read_is_no_time(odd: Any) -> None:
    """A number that may be seconds is none either."""
    assert timestamp_ms({"timestamp": odd}) is None
    assert timestamp_ms({"timestamp": odd, "receivedAt": "2019-06-21T17:35:47.404Z"}) == AT_MS


@pytest.mark.parametrize("first", range(3))
def test_segments_own_time_goes_before_the_devices_and_the_servers(first: int) -> None:
    """It is corrected for the device's clock; the server's is when the event came, not when it happened."""
    times = {key: f"2019-06-21T17:35:4{number}Z" for number, key in enumerate(KEYS) if number >= first}
    assert timestamp_ms(times) == AT_MS - 404 - (7 - first) * 1000
    assert timestamp_ms({}) is None


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001
def test_no_millisecond_is_lost(at: datetime) -> None:
    """A float of seconds, times a thousand, is now and then a millisecond short: then the newer event would not win."""
    since = at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert timestamp_ms({"timestamp": at.isoformat() + "Z"}) == since // timedelta(milliseconds=1)


def test_the_millisecond_that_a_float_loses_is_there() -> None:
    """One of those in six out of a thousand."""
    lost = [ms for ms in range(AT_MS, AT_MS + 100_000) if int(_at(ms).timestamp() * 1000) != ms]
    assert all(timestamp_ms({"timestamp": _at(ms).isoformat()}) == ms for ms in [*lost, AT_MS])


def _at(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
@settings(deadline=None)
def test_whatever_stands_there_nothing_raises(fields: dict[str, Any]) -> None:
    """Events are written by anybody."""
    assert isinstance(timestamp_ms(fields), int | None)
