"""What is said to somebody who was woken: the worst first, that nothing is lost, what to do."""

from collections.abc import Callable
from typing import Any

import pytest

from consumer.page.phrases import duration
from consumer.page.sums import sum_of
from consumer.page.telling import gate_words, words_of
from consumer.page.words import Level, Words
from tests.page import states
from tests.page.states import MINUTE_MS, NOW_MS, blocked, gate, partition, report

SINCE_MS = NOW_MS - 30 * MINUTE_MS


def told(*reports: dict[str, Any]) -> Words:
    return words_of(sum_of(reports))


def unready(reason: str, **more: Any) -> dict[str, Any]:
    return report(not_ready=[{"reason": reason, "since_ms": SINCE_MS}], **more)


def stalled(route: str, stall: str) -> dict[str, Any]:
    gates = [gate(), gate(route, "stalled", stall=stall, since_ms=SINCE_MS)]
    return unready(stall, gates=gates)


@pytest.mark.parametrize(
    ("make", "level", "headline", "in_detail"),
    [
        (states.report, "good", "Everything Pendo should have is on its way", "within 19 ms"),
        (states.outage, "notice", "Pendo has answered nothing since 03:11 UTC, for 30 minutes", "20,000 events are"),
        (states.flood, "trouble", "Pendo refuses most of what is sent since 03:35 UTC, for 7 minutes", "probes"),
        (states.empty, "good", "All is ready; no event has come yet", "Since the start, 03:38 UTC"),
        (states.stuck, "notice", "One record has been waiting for 8 minutes; others pass it", "7 attempts"),
        (lambda: report(partitions=[]), "good", "Nothing to do: no partition is ours", "stands by"),
        (lambda: unready("stopping"), "notice", "Stopping", "awaited"),
        (
            lambda: stalled("track", "credentials"),
            "trouble",
            "Pendo refuses our credential since 03:12 UTC, for 30 minutes",
            "nothing goes by track",
        ),
        (
            lambda: stalled("segmentio", "endpoint"),
            "trouble",
            "What answers is not Pendo since 03:12 UTC, for 30 minutes",
            "Nothing is lost",
        ),
        (
            lambda: unready("kafka"),
            "trouble",
            "Kafka cannot be read since 03:12 UTC, for 30 minutes",
            "Nothing is lost",
        ),
        (
            lambda: unready("kafka", started_ms=NOW_MS - 20_000),
            "notice",
            "Just started: joining the group",
            "Since 03:41 UTC",
        ),
        (
            lambda: unready("dead_letter", letters=report()["letters"] | {"parked": 1, "problem": "topic x is away"}),
            "trouble",
            "Dead letters cannot be published since 03:12 UTC, for 30 minutes",
            "1 event is waiting for it here, and nothing is committed past it. topic x is away",
        ),
        (
            lambda: report(ledger=states.ledger(-2, track=states.row(5))),
            "trouble",
            "The books do not add up",
            "settled twice: 2",
        ),
    ],
)
def test_each_state_is_said_in_a_sentence(
    make: Callable[[], dict[str, Any]], level: str, headline: str, in_detail: str
) -> None:
    """With times that are those of the log."""
    words = told(make())
    assert (words.level.value, words.headline) == (level, headline)
    assert in_detail in words.detail
    assert words.level is not Level.TROUBLE or words.steps


@pytest.mark.parametrize(
    ("reason", "headline", "step"),
    [
        ("operator", "Somebody has paused delivery at 1 of 2 pods since 03:12 UTC, for 30 minutes", "resume"),
        ("paused", "Delivery is paused by the configuration since 03:12 UTC, for 30 minutes", "delivery.paused"),
        ("asleep", "This process stood still since 03:12 UTC, for 30 minutes", "CPU"),
    ],
)
def test_a_pause_says_by_whom(reason: str, headline: str, step: str) -> None:
    """And how it ends."""
    words = told(report(held=[{"reason": reason, "since_ms": SINCE_MS}]), report(instance="b"))
    assert words.headline == headline
    assert step in words.steps[0]


def test_a_rebalance_is_no_news() -> None:
    """It lasts for seconds, and goes on by itself."""
    words = told(report(held=[{"reason": "rebalance", "since_ms": NOW_MS}]))
    assert words.headline == "Everything Pendo should have is on its way"


def test_a_wrong_credential_says_when_a_restart_is_needed() -> None:
    """A file is read again; what the environment or the configuration says is not."""
    words = told(stalled("segmentio", "credentials"))
    assert "`pendo.api_key`" in words.steps[0]
    assert "restart" in words.steps[1]


def test_after_a_flood_the_whole_command_is_said() -> None:
    """Without a reason it would send letters again that were always wrong."""
    assert "`pendo-consumer dlq replay --reason refused`" in told(states.flood()).steps[-1]


def test_a_wrong_credential_is_told_before_an_outage_of_another_route() -> None:
    """The one has to be mended, the other mends itself."""
    stall = stalled("track", "credentials")
    words = told(stall | {"gates": [gate("segmentio", "circuit"), stall["gates"][1]]})
    assert words.headline.startswith("Pendo refuses our credential")
    assert "`pendo.track_event_secret`" in words.steps[0]


def test_an_outage_of_one_route_of_two_names_it() -> None:
    """The others deliver."""
    words = told(report(gates=[gate("segmentio", "circuit", since_ms=SINCE_MS), gate("track")]))
    assert words.headline.endswith("on the route segmentio")


@pytest.mark.parametrize(
    ("settled", "backlog", "oldest_ms", "headline"),
    [
        (100.0, 90_000, 100_000, "Catching up: 90,000 records are waiting"),
        (0.0, 90_000, 100_000, "90,000 records are waiting, and nothing moves"),
        (100.0, 90_000, 10, "Catching up: 90,000 records are waiting"),
        (100.0, 3_000, 10, "Everything Pendo should have is on its way"),
        (0.0, 1, 10, "Everything Pendo should have is on its way"),
    ],
)
def test_being_behind_is_said_with_how_long_it_takes(
    settled: float, backlog: int, oldest_ms: int, headline: str
) -> None:
    """What is gone in a minute is no backlog; a single event that has just come is none either."""
    words = told(
        report(
            rates=report()["rates"] | {"settled": settled},
            partitions=[partition(0, backlog=backlog, oldest_ms=oldest_ms)],
        )
    )
    assert words.headline == headline
    assert ("15 minutes" in words.detail) == (settled > 0 and backlog == 90_000)


def test_when_all_is_there_it_says_so() -> None:
    """At night nothing comes."""
    rates = report()["rates"] | {"received": 0.0, "delivered": 0.0, "settled": 0.0}
    words = told(report(rates=rates, partitions=[partition(0)]))
    assert words.headline == "Pendo has everything it should have"


def test_what_waits_for_an_outage_is_not_called_a_bad_record() -> None:
    """Only what waits by itself is."""
    by = blocked(0, 1, "circuit")
    words = told(report(partitions=[partition(0, blocked_s=500.0, blocked_by=by)]))
    assert "One record" not in words.headline


def test_a_time_of_another_day_has_its_date() -> None:
    """An outage over a weekend."""
    since_ms = NOW_MS - 50 * 60 * MINUTE_MS
    words = told(report(gates=[gate(state="circuit", since_ms=since_ms)]))
    assert words.headline == "Pendo has answered nothing since 2026-09-21 01:42 UTC, for 2 days 2 hours"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0004, "1 ms"),
        (0.25, "250 ms"),
        (1.2, "1 second"),
        (59.4, "59 seconds"),
        (61, "1 minute"),
        (3_600, "1 hour"),
        (4_000, "1 hour 6 minutes"),
        (40_000, "11 hours"),
        (90_000, "1 day 1 hour"),
    ],
)
def test_how_long_is_said_as_people_do(seconds: float, said: str) -> None:
    """Not to the second where nobody cares."""
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("one", "begins"),
    [
        (gate(), "open"),
        (gate(doubt=True), "in doubt"),
        (gate(state="circuit"), "closed: Pendo answers nothing"),
        (gate(state="flood"), "stopped: most"),
        (gate(state="stalled", stall="credentials"), "stalled: Pendo refuses"),
        (gate(state="stalled", stall="endpoint"), "stalled: what answers"),
    ],
)
def test_a_gate_says_why(one: dict[str, Any], begins: str) -> None:
    """Not only a number."""
    assert gate_words(one).startswith(begins)
