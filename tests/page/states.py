"""Reports as pods give them, in the states in which somebody looks: healthy, outage, flood, empty, busy, blocked."""

from collections.abc import Callable
from typing import Any, Final

from consumer.metrics import AGE_BUCKETS_S
from consumer.outcomes import Outcome

Json = dict[str, Any]

NOW_MS: Final = 1_790_134_920_000
"""2026-09-23 03:42 UTC."""
MINUTE_MS: Final = 60_000
DAY: Final = NOW_MS // 86_400_000
REMEDIES: Final = {
    "circuit": "Pendo is unreachable: nothing to do here, it goes on by itself",
    "retry": "it failed and is tried again; if others pass it is dead-lettered in the end, or skip it",
    "turn": "it waits for its turn: more concurrency or a higher rate limit, if Pendo takes it",
    "flood": "most events are refused: look into the dead-letter topic for the reason",
}


def ages(*counts: int) -> list[int]:
    """Buckets of ages, the first ones given."""
    return [*counts, *[0] * (len(AGE_BUCKETS_S) + 1 - len(counts))]


def row(received: int = 0, *, released: int = 0, open: int = 0, **settled: int) -> Json:  # noqa: A002
    """A line of the ledger that adds up: what is not named was delivered."""
    counts = dict.fromkeys([outcome.value for outcome in Outcome], 0) | settled
    counts["delivered"] = received - released - open - sum(settled.values())
    return {"received": received, **counts, "released": released, "open": open}


def ledger(unaccounted: int = 0, **types: Json) -> Json:
    """All types."""
    waiting = sum(each["open"] for each in types.values())
    released = sum(each["released"] for each in types.values())
    sums = {"open": waiting, "open_bytes": waiting * 900, "released": released, "unaccounted": unaccounted}
    return {"types": types, **sums}


def gate(route: str = "segmentio", state: str = "open", **more: Any) -> Json:
    """A route's."""
    return {
        "route": route,
        "state": state,
        "stall": None,
        "doubt": False,
        "since_ms": NOW_MS - 190 * MINUTE_MS,
        "in_flight": 0,
        "limit": 64,
        "waiting": 0,
        "aside": 0,
        "statuses": {},
    } | more


def partition(number: int, **more: Any) -> Json:
    """One that is through."""
    end = 310_000 + 1_733 * number
    return {
        "topic": "segment-events",
        "partition": number,
        "committed": end,
        "end": end,
        "lag": 0,
        "backlog": 0,
        "read": end,
        "open": 0,
        "finished_beyond": 0,
        "blocked_s": 0.0,
        "oldest_ms": None,
        "blocked_by": None,
    } | more


def blocked(number: int, offset: int, waits_for: str, **more: Any) -> Json:
    """What an oldest open record waits for."""
    at = f"segment-events-{number}@{offset}"
    return {
        "position": at,
        "waits_for": waits_for,
        "route": "segmentio",
        "lane": "3f9a1c07be52",
        "behind": 0,
        "front": at,
        "attempts": 0,
        "status": "",
        "first_attempt_ms": None,
        "remedy": REMEDIES[waits_for],
    } | more


def case(reason: str, status: str, type_: str, field: str, count: int, **more: Any) -> Json:
    """Dead letters that are alike."""
    return {
        "reason": reason,
        "status": status,
        "type": type_,
        "field": field,
        "count": count,
        "first_ms": NOW_MS - 150 * MINUTE_MS,
        "last_ms": NOW_MS - 9 * MINUTE_MS,
        "position": "segment-events-2@313102",
        "letter": "segment-events-dead-letter-0@41",
        "message": f"{field} is a list, not an object" if field else f"Pendo answered {status}",
    } | more


def days(*names: tuple[str, str, int], other: int = 0) -> list[Json]:
    """The last three days."""
    return [
        {
            "day": DAY - ago,
            "names": [{"type": t, "event": e, "delivered": n // (ago + 1)} for t, e, n in names],
            "other": other,
        }
        for ago in (2, 1, 0)
    ]


NAMES: Final = (
    ("track", "Report Opened", 48_210),
    ("track", "Viewed Pricing Page", 31_904),
    ("identify", "", 17_733),
    ("track", "Invoice Paid", 9_120),
    ("group", "", 4_018),
    ("track", "Seat Invited", 1_377),
)


def report(**changed: Any) -> Json:
    """A healthy pod's."""
    statuses = {"200": 112_361, "503": 14, "timeout": 2}
    return {
        "pod": "pendo-consumer-0",
        "instance": "a",
        "version": "0.1.0",
        "now_ms": NOW_MS,
        "started_ms": NOW_MS - 190 * MINUTE_MS,
        "not_ready": [],
        "held": [],
        "ledger": ledger(
            identify=row(19_010, suppressed=1_204, dead_lettered=11, open=3),
            group=row(4_377, suppressed=350),
            track=row(84_901, filtered=2_310, skipped=812, dead_lettered=2, open=9),
            page=row(9_874, skipped=1_202),
        ),
        "rates": {
            "bounds_s": list(AGE_BUCKETS_S),
            "received": 96.4,
            "delivered": 94.9,
            "settled": 96.2,
            "ended": 5_800,
            "parked": 1,
            "seconds": [90 + (place * 37) % 23 - (place * place) % 11 for place in range(60)],
            "ages": ages(900, 3_100, 1_400, 240, 31, 8, 2),
        },
        "gates": [gate(in_flight=7, waiting=5, statuses=statuses)],
        "partitions": [
            partition(0, lag=12, backlog=4, open=4, oldest_ms=90),
            partition(1, lag=9, backlog=2, open=2, oldest_ms=60),
            partition(2, lag=17, backlog=6, open=6, oldest_ms=140),
            partition(3),
        ],
        "letters": {
            "parked": 0,
            "problem": None,
            "topic": "segment-events-dead-letter",
            "cases": [
                case("invalid_traits", "", "identify", "traits", 11),
                case("refused", "400", "track", "", 2, letter="segment-events-dead-letter-0@38"),
            ],
        },
        "days": days(*NAMES, other=212),
        "expired": {"records": 0, "last_ms": None},
        "rebalances": 1,
    } | changed


def outage() -> Json:
    """Pendo has answered nothing for half an hour."""
    since_ms = NOW_MS - 30 * MINUTE_MS - 12_000
    healthy = report()
    return report(
        ledger=ledger(
            identify=row(21_402, suppressed=1_204, dead_lettered=11, open=2_391),
            group=row(4_790, suppressed=350, open=413),
            track=row(101_380, filtered=2_310, skipped=812, dead_lettered=2, open=16_480),
            page=row(10_590, skipped=1_202, open=716),
        ),
        rates=healthy["rates"]
        | {"received": 0.0, "delivered": 0.0, "settled": 0.0, "seconds": [0] * 60, "ages": ages()},
        gates=[
            gate(
                state="circuit",
                since_ms=since_ms,
                in_flight=1,
                limit=2,
                waiting=19_999,
                statuses={"200": 112_361, "503": 841, "timeout": 96, "connection": 12},
            )
        ],
        partitions=[
            partition(
                number,
                lag=44_100 + 97 * number,
                backlog=44_100 + 97 * number,
                open=5_000,
                oldest_ms=30 * MINUTE_MS,
                blocked_s=1_812.4 - number,
                blocked_by=blocked(
                    number, 309_900 + 1_733 * number, "circuit", attempts=1 if number else 38, status="503"
                ),
            )
            for number in range(4)
        ],
    )


def flood() -> Json:
    """Most of what is sent is refused."""
    since_ms = NOW_MS - 7 * MINUTE_MS
    return report(
        not_ready=[{"reason": "flood", "since_ms": since_ms}],
        ledger=ledger(
            identify=row(19_410, suppressed=1_204, dead_lettered=131, open=260),
            group=row(4_377, suppressed=350),
            track=row(89_901, filtered=2_310, skipped=812, dead_lettered=84, open=4_916),
            page=row(9_974, skipped=1_202, open=99),
        ),
        rates=report()["rates"]
        | {"delivered": 0.2, "settled": 0.2, "seconds": [*(88 + place % 9 for place in range(6)), *[0] * 52, 1, 0]},
        gates=[
            gate(
                state="flood",
                since_ms=since_ms,
                in_flight=1,
                waiting=5_274,
                aside=41,
                statuses={"200": 112_361, "400": 256},
            )
        ],
        partitions=[
            partition(
                number,
                lag=10_400 + number,
                backlog=10_400 + number,
                open=1_300,
                oldest_ms=7 * MINUTE_MS,
                blocked_s=421.0,
                blocked_by=blocked(number, 310_000 + 1_733 * number, "flood", attempts=2, status="400"),
            )
            for number in range(4)
        ],
        letters=report()["letters"]
        | {
            "cases": [
                case("refused", "400", "identify", "", 120, last_ms=NOW_MS - 7 * MINUTE_MS),
                case("refused", "400", "track", "", 84, last_ms=NOW_MS - 8 * MINUTE_MS),
                case("invalid_traits", "", "identify", "traits", 11),
            ]
        },
    )


def empty() -> Json:
    """A first start: nothing has come."""
    return report(
        started_ms=NOW_MS - 4 * MINUTE_MS,
        ledger=ledger(),
        rates=report()["rates"]
        | {"received": 0.0, "delivered": 0.0, "settled": 0.0, "seconds": [0] * 60, "ages": ages()},
        gates=[gate(since_ms=NOW_MS - 4 * MINUTE_MS)],
        partitions=[partition(number, end=0, committed=None, lag=None, read=0) for number in range(4)],
        letters=report()["letters"] | {"cases": []},
        days=[],
    )


def stuck() -> Json:
    """One record keeps failing while others pass."""
    partitions = report()["partitions"]
    by = blocked(1, 311_733, "retry", attempts=7, status="500", first_attempt_ms=NOW_MS - 8 * MINUTE_MS)
    partitions[1] |= {
        "blocked_s": 491.0,
        "oldest_ms": 8 * MINUTE_MS,
        "open": 1,
        "finished_beyond": 812,
        "blocked_by": by,
    }
    return report(partitions=partitions)


def behind() -> Json:
    """A million records came at once, and are being worked off."""
    busy = {"received": 3_102.0, "delivered": 3_088.4, "settled": 3_101.2}
    return report(
        ledger=ledger(
            identify=row(219_010, suppressed=11_204, dead_lettered=11, open=3_100),
            group=row(40_377, suppressed=3_350, open=410),
            track=row(1_384_901, filtered=22_310, skipped=8_812, dead_lettered=2, open=15_011),
            page=row(98_740, skipped=12_020, open=1_479),
        ),
        rates=report()["rates"]
        | busy
        | {
            "seconds": [3_000 + (place * 97) % 230 - (place * place) % 160 for place in range(60)],
            "ages": [0] * 11 + [20, 900, 178_000, 5_300, 0, 0, 0],
        },
        gates=[gate(in_flight=128, limit=128, waiting=19_872, statuses={"200": 1_645_120, "429": 118, "503": 14})],
        partitions=[
            partition(
                number,
                lag=301_000 - 907 * number,
                backlog=299_500 - 907 * number,
                open=5_000,
                oldest_ms=8 * MINUTE_MS,
                blocked_s=0.2,
                blocked_by=blocked(number, 1_310_000 + number, "turn"),
            )
            for number in range(4)
        ],
    )


STATES: Final[dict[str, Callable[[], Json]]] = {
    "healthy": report,
    "outage": outage,
    "flood": flood,
    "empty": empty,
    "stuck": stuck,
    "behind": behind,
}
