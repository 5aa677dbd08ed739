"""The benchmarks run: in small, in process, and without looking at the time."""

import pytest

from benchmarks import engine, pipe
from benchmarks.parties import Cost, Party
from benchmarks.sink import Latency, request_end
from benchmarks.table import table


def test_the_engine_is_measured() -> None:
    """The rig is built from the service's parts by hand, and must not fall behind them."""
    figures = engine.run(1_200, 1, lambda _: None)
    assert figures.events == 1_200
    assert len(figures.shares) == len(engine.CONCURRENCIES) * 2
    assert all(share.whole_us > 0 for share in figures.shares)
    assert "orjson.loads alone" in engine.report(figures)


@pytest.mark.parametrize(
    ("buffer", "end"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 18),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 41),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST", 41),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", None),
        (b"POST / HTTP/1.1\r\nConte", None),
    ],
)
def test_the_endpoint_finds_where_a_request_ends(buffer: bytes, end: int | None) -> None:
    """However its bytes arrive."""
    assert request_end(buffer) == end


def test_ratios_compare_within_one_round() -> None:
    """Median over rounds of whole ÷ floor, not of medians from different moods of the machine."""
    rounds = [
        {
            Party.READ: Cost(events=10, seconds=1, cpu_s=0.1 * mood),
            Party.POST: Cost(events=10, seconds=2, cpu_s=0.9 * mood),
            Party.SERVICE: Cost(events=10, seconds=4, cpu_s=1.2 * mood),
        }
        for mood in (1, 2, 3)
    ]
    ratio = pipe.ratio_of(64, rounds)
    assert ratio.cpu == pytest.approx(1.2)
    assert ratio.rate == pytest.approx(0.5)
    assert "1.20" in pipe.report(pipe.Pipe(Latency.CONSTANT, 10, (), (ratio,)))


def test_a_table_aligns_its_figures() -> None:
    """To the right, so that digits stand below digits."""
    assert table("t", ("", "n"), [("one", "1"), ("ten", "10")]).splitlines() == [
        "t",
        "        n",
        "  one   1",
        "  ten  10",
    ]
