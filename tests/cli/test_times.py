"""Times on a command line."""

import time

import pytest

from consumer.cli.times import since


@pytest.mark.parametrize(("text", "ago_s"), [("90s", 90), ("5m", 300), ("24h", 86_400), ("7d", 604_800)])
def test_so_long_ago(text: str, ago_s: int) -> None:
    """In seconds, minutes, hours or days."""
    assert abs(since(text) - (time.time() - ago_s) * 1000) < 5_000


@pytest.mark.parametrize("text", ["2026-01-20T09:30:00Z", "2026-01-20T10:30:00+01:00", "2026-01-20 09:30"])
def test_an_iso_time(text: str) -> None:
    """Without a zone it is UTC."""
    assert since(text) == 1_768_901_400_000


@pytest.mark.parametrize("text", ["999999d", "1969-07-20T20:17:00Z", "0001-01-01"])
def test_before_the_epoch_is_the_epoch(text: str) -> None:
    """Kafka's client refuses a negative time."""
    assert since(text) == 0


@pytest.mark.parametrize("text", ["", "yesterday", "5", "5w", "-5m", "1e3s"])
def test_what_is_no_time(text: str) -> None:
    """A usage error of the command."""
    with pytest.raises(ValueError, match=r".*"):
        since(text)
