"""The phrases: numbers, times and amounts as a person says them. Pure.

Values and the sum of all pods' reports come in, parts of sentences go out. Times are UTC, as in the log.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]

DAY_S: Final = 86_400
LONG_S: Final = 60.0
"""How long something lasts is told from here on."""
EXACT: Final = 10
"""Of 37 hours nobody counts the minutes."""
UNITS: Final = ((DAY_S, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def duration(seconds: float) -> str:
    """So long, as a person says it: two units at most."""
    if seconds < 1:
        return f"{max(round(seconds * 1000), 1)} ms"
    whole = round(seconds)
    place = next(place for place, (size, _) in enumerate(UNITS) if whole >= size)
    (size, name), rest = UNITS[place], ""
    count = whole // size
    if name in {"day", "hour"} and count < EXACT:
        smaller, its_name = UNITS[place + 1]
        rest = f" {many(whole % size // smaller, its_name)}" if whole % size >= smaller else ""
    return many(count, name) + rest


def many(count: int, name: str) -> str:
    """So many of something."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def events(count: int) -> str:
    """So many events, with their verb."""
    return "1 event is" if count == 1 else f"{count:,} events are"


def records(count: int) -> str:
    """So many records, with their verb."""
    return "1 record is" if count == 1 else f"{count:,} records are"


def number(value: float) -> str:
    """A rate."""
    return f"{value:,.0f}" if value >= 10 else f"{value:,.1f}"  # noqa: PLR2004  # below, a digit more tells something


def backlog(view: Json) -> int:
    """Records that are not settled; until Kafka has told, a few seconds after a start, those that are here."""
    told = sum(one["backlog"] or 0 for one in view["partitions"])
    return max(told, int(view["ledger"]["open"]))


def kept(view: Json, meanwhile: str) -> str:
    """That nothing is lost, and where it is."""
    open_ = view["ledger"]["open"]
    rest = max(backlog(view) - open_, 0)
    here = f"{events(open_)} waiting here" if open_ else "nothing waits here"
    kafka = f"{rest:,} more in Kafka" if rest else "all of them still in Kafka, too" if open_ else "the rest in Kafka"
    return f"Nothing is lost: {here}, {kafka}; {meanwhile}."


def pods(view: Json) -> int:
    """How many pods there are."""
    return max((gate["of_pods"] for gate in view["gates"]), default=1)


def reason_since(view: Json, reason: str) -> int | None:
    """Since when this is a reason not to be ready; None when it is none."""
    found: Iterator[Json] = (each for each in view["not_ready"] if each["reason"] == reason)
    return next((each["since_ms"] or view["now_ms"] for each in found), None)


def worst_gate(view: Json, state: str) -> Json | None:
    """The route that has been in a state for longest."""
    found: Iterable[Json] = (gate for gate in view["gates"] if gate["state"] == state)
    return min(found, key=lambda gate: int(gate["since_ms"] or view["now_ms"]), default=None)


def since_when(since_ms: int | None, view: Json) -> str:
    """` since 03:12 UTC, for 12 minutes`; nothing when it is not known."""
    if since_ms is None:
        return ""
    for_s = (view["now_ms"] - since_ms) / 1000
    return f" since {at_time(since_ms, view)}" + (f", for {duration(for_s)}" if for_s >= LONG_S else "")


def at_time(at_ms: int, view: Json) -> str:
    """A time of the day; with its date when that is not clear."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    is_today = view["now_ms"] - at_ms < DAY_S * 1000
    return f"{at:%H:%M} UTC" if is_today else f"{at:%Y-%m-%d %H:%M} UTC"
