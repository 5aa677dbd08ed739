"""The sum of the reports of several pods: counts are added, states are the worst, lists are put together. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

Json = dict[str, Any]

STATES: Final = ("open", "flood", "circuit", "stalled")
"""A gate's, the worst last."""
MAX_CASES: Final = 50
MAX_DAYS: Final = 8
COUNTED: Final = ("open", "open_bytes", "released", "unaccounted")


def sum_of(reports: Sequence[Json]) -> Json:
    """One report of all pods; at least one must be there.

    Raises:
        KeyError: One is no report.
    """
    return {
        "now_ms": max(each["now_ms"] for each in reports),
        "started_ms": min(each["started_ms"] for each in reports),
        "versions": sorted({each["version"] for each in reports}),
        "not_ready": _since(each["not_ready"] for each in reports),
        "held": _since(each["held"] for each in reports),
        "ledger": _ledger([each["ledger"] for each in reports]),
        "rates": _rates([each["rates"] for each in reports]),
        "gates": _gates([gate for each in reports for gate in each["gates"]]),
        "partitions": sorted(
            ({**partition, "pod": each["pod"]} for each in reports for partition in each["partitions"]),
            key=lambda partition: (partition["topic"], partition["partition"]),
        ),
        "letters": _letters([each["letters"] for each in reports]),
        "days": days_of(each["days"] for each in reports),
        "expired": {
            "records": sum(each["expired"]["records"] for each in reports),
            "last_ms": max((each["expired"]["last_ms"] or 0 for each in reports), default=0) or None,
        },
        # Each pod sees the same ones.
        "rebalances": max(each["rebalances"] for each in reports),
    }


def _since(lists: Iterable[Sequence[Json]]) -> list[Json]:
    """Reasons, each once, with how many pods name it and since when the first does."""
    found: dict[str, Json] = {}
    for each in (each for reasons in lists for each in reasons):
        one = found.setdefault(each["reason"], {"reason": each["reason"], "since_ms": each["since_ms"], "pods": 0})
        one["pods"] += 1
        one["since_ms"] = _earlier(one["since_ms"], each["since_ms"])
    return list(found.values())


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _ledger(ledgers: Sequence[Json]) -> Json:
    types: dict[str, Json] = {}
    for type_, row in ((type_, row) for each in ledgers for type_, row in each["types"].items()):
        whole = types.setdefault(type_, dict.fromkeys(row, 0))
        for name, count in row.items():
            whole[name] = whole.get(name, 0) + count
    return {"types": types, **{name: sum(each[name] for each in ledgers) for name in COUNTED}}


def _rates(rates: Sequence[Json]) -> Json:
    bounds, ages = rates[0]["bounds_s"], _columns([each["ages"] for each in rates])
    # Each pod's seconds end now; the youngest pod has fewest.
    seconds = _columns([each["seconds"][::-1] for each in rates])[::-1]
    return {
        **{name: round(sum(each[name] for each in rates), 2) for name in ("received", "delivered", "settled")},
        **{name: sum(each[name] for each in rates) for name in ("ended", "parked")},
        "seconds": seconds,
        "p50_s": quantile(bounds, ages, 0.5),
        "p99_s": quantile(bounds, ages, 0.99),
    }


def _columns(rows: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip_longest(*rows, fillvalue=0)]


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """So old so large a share is at most; within a bucket as if all lay evenly in it. None when there is nothing.

    Args:
        bounds: The buckets' upper bounds; beyond the last there is one more bucket, of which the bound is told.
        counts: What lies in each.
        share: Like 0.99.
    """
    wanted, below = share * sum(counts), 0
    if not wanted:
        return None
    lower = 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= wanted:
            return round(float(lower + (bound - lower) * (wanted - below) / count), 4)
        below += count
        lower = bound
    return float(bounds[-1])


def _gates(gates: Sequence[Json]) -> list[Json]:
    return [_gate([gate for gate in gates if gate["route"] == route]) for route in _distinct(g["route"] for g in gates)]


def _gate(gates: Sequence[Json]) -> Json:
    """One route's: as it is at the pods where it is worst, since when it is so at the first."""
    worst = max(gates, key=lambda gate: (STATES.index(gate["state"]), gate["doubt"]))
    alike = [gate for gate in gates if (gate["state"], gate["stall"]) == (worst["state"], worst["stall"])]
    since_ms = None
    for gate in alike:
        since_ms = _earlier(since_ms, gate["since_ms"])
    statuses: dict[str, int] = {}
    for status, count in (item for gate in gates for item in gate["statuses"].items()):
        statuses[status] = statuses.get(status, 0) + count
    return {
        **{name: worst[name] for name in ("route", "state", "stall", "doubt")},
        "since_ms": since_ms,
        "pods": len(alike),
        "of_pods": len(gates),
        **{name: sum(gate[name] for gate in gates) for name in ("in_flight", "limit", "waiting", "aside")},
        "statuses": statuses,
    }


def _letters(letters: Sequence[Json]) -> Json:
    cases: dict[tuple[str, ...], Json] = {}
    for case in (case for each in letters for case in each["cases"]):
        key = (case["reason"], case["status"], case["type"], case["field"])
        have = cases.get(key)
        cases[key] = dict(case) if have is None else _case(have, case)
    newest_first = sorted(cases.values(), key=lambda case: -int(case["last_ms"]))
    return {
        "parked": sum(each["parked"] for each in letters),
        "problem": next((each["problem"] for each in letters if each["problem"]), None),
        "topic": letters[0]["topic"],
        "cases": newest_first[:MAX_CASES],
    }


def _case(one: Json, other: Json) -> Json:
    newer = other if other["last_ms"] >= one["last_ms"] else one
    return {
        **newer,
        "count": one["count"] + other["count"],
        "first_ms": min(one["first_ms"], other["first_ms"]),
    }


def days_of(several: Iterable[Sequence[Json]]) -> list[Json]:
    """The days of all pods, the oldest first, each with its names, the most frequent first."""
    days: dict[int, dict[tuple[str, str], int]] = {}
    other: dict[int, int] = {}
    for day in (day for each in several for day in each):
        names = days.setdefault(day["day"], {})
        other[day["day"]] = other.get(day["day"], 0) + day["other"]
        for name in day["names"]:
            key = (name["type"], name["event"])
            names[key] = names.get(key, 0) + name["delivered"]
    return [{"day": day, "names": list(_names(days[day])), "other": other[day]} for day in sorted(days)][-MAX_DAYS:]


def _names(names: dict[tuple[str, str], int]) -> Iterator[Json]:
    for (type_, event), count in sorted(names.items(), key=lambda item: (-item[1], item[0])):
        yield {"type": type_, "event": event, "delivered": count}


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
