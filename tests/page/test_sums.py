"""The sum of several pods' reports."""

from itertools import pairwise

import pytest

from consumer.metrics import AGE_BUCKETS_S
from consumer.page.sums import quantile, sum_of
from tests.page.states import DAY, MINUTE_MS, NOW_MS, ages, case, days, gate, ledger, partition, report, row


def test_counts_are_added_and_the_books_of_all_still_add_up() -> None:
    """Types that one pod alone has seen, too."""
    one = report(ledger=ledger(track=row(10, open=2)))
    two = report(pod="b", ledger=ledger(1, track=row(5, released=1), group=row(3, dead_lettered=1)))
    found = sum_of([one, two])["ledger"]
    assert (
        found["types"]["track"] | {"received": 15, "delivered": 12, "released": 1, "open": 2} == found["types"]["track"]
    )
    assert found["types"]["group"]["dead_lettered"] == 1
    assert (found["open"], found["released"], found["unaccounted"]) == (2, 1, 1)


def test_a_route_is_as_it_is_where_it_is_worst_and_since_when_the_first_is_so() -> None:
    """And at how many pods."""
    gates = [
        gate(state="circuit", since_ms=2000, in_flight=1, statuses={"503": 2}),
        gate(in_flight=3, statuses={"200": 5}),
        gate(state="circuit", since_ms=1000, statuses={"503": 1}),
    ]
    [found] = sum_of([report(gates=[each]) for each in gates])["gates"]
    assert (found["state"], found["since_ms"], found["pods"], found["of_pods"]) == ("circuit", 1000, 2, 3)
    assert (found["in_flight"], found["statuses"]) == (4, {"503": 3, "200": 5})


def test_partitions_are_put_together_with_their_pods() -> None:
    """In their order."""
    one, two = report(partitions=[partition(1)]), report(pod="b", partitions=[partition(0)])
    found = sum_of([one, two])["partitions"]
    assert [(each["partition"], each["pod"]) for each in found] == [(0, "b"), (1, "pendo-consumer-0")]


def test_cases_that_are_alike_are_one_and_the_newest_is_the_example() -> None:
    """At whichever pod it was."""
    letters = report()["letters"]
    one = case("refused", "400", "track", "", 2, first_ms=10, last_ms=20, letter="old")
    two = case("refused", "400", "track", "", 3, first_ms=5, last_ms=30, letter="new")
    third = case("refused", "422", "track", "", 1, last_ms=25)
    found = sum_of([report(letters=letters | {"cases": [one, third]}), report(letters=letters | {"cases": [two]})])
    first, second = found["letters"]["cases"]
    assert (first["count"], first["first_ms"], first["last_ms"], first["letter"]) == (5, 5, 30, "new")
    assert second["status"] == "422"


def test_days_and_seconds_are_added_though_one_pod_is_younger() -> None:
    """Each pod's newest second is now."""
    rates = report()["rates"]
    one = report(rates=rates | {"seconds": [1, 2, 3]}, days=days(("track", "a", 6)))
    two = report(rates=rates | {"seconds": [10]}, days=[*days(("track", "a", 1), ("track", "b", 9), other=4)][2:])
    found = sum_of([one, two])
    assert found["rates"]["seconds"] == [1, 2, 13]
    assert found["rates"]["received"] == 192.8
    assert [day["day"] for day in found["days"]] == [DAY - 2, DAY - 1, DAY]
    assert found["days"][2] == {
        "day": DAY,
        "names": [
            {"type": "track", "event": "b", "delivered": 9},
            {"type": "track", "event": "a", "delivered": 7},
        ],
        "other": 4,
    }


def test_reasons_are_told_once() -> None:
    """With how many pods have them, since when the first has."""
    pods = [report(not_ready=[{"reason": "kafka", "since_ms": at}]) for at in (None, NOW_MS, NOW_MS - MINUTE_MS)]
    assert sum_of(pods)["not_ready"] == [{"reason": "kafka", "since_ms": NOW_MS - MINUTE_MS, "pods": 3}]


def test_quantiles_lie_in_their_bucket_and_never_fall() -> None:
    """None without events; the last bucket has no upper bound but the one below it."""
    assert quantile(AGE_BUCKETS_S, ages(), 0.5) is None
    assert quantile(AGE_BUCKETS_S, ages(0, 0, 4), 0.5) == pytest.approx(0.0375)
    beyond = [0] * len(AGE_BUCKETS_S) + [3]
    assert quantile(AGE_BUCKETS_S, beyond, 0.99) == AGE_BUCKETS_S[-1]
    several = [quantile(AGE_BUCKETS_S, ages(5, 0, 9, 1, 30), share / 20) or 0.0 for share in range(1, 21)]
    assert all(one <= other for one, other in pairwise(several))


def test_what_is_no_report_is_told() -> None:
    """Of a version that has other fields."""
    with pytest.raises(KeyError):
        sum_of([report(), {"instance": "b"}])


def test_what_is_lost_is_added_and_a_rebalance_is_one_for_all() -> None:
    """Each pod counts its own partitions' losses, and sees the same rebalances."""
    summed = sum_of(
        [
            report(expired={"records": 3, "last_ms": 5}, rebalances=2),
            report(expired={"records": 4, "last_ms": 9}, rebalances=3),
            report(expired={"records": 0, "last_ms": None}, rebalances=1),
        ]
    )
    assert (summed["expired"], summed["rebalances"]) == ({"records": 7, "last_ms": 9}, 3)
