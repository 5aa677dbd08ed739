"""The telling: of all that holds, what is said first to somebody who was woken. Pure.

The sum of all pods' reports comes in; a headline, what it means for the events, and steps come out.
"""

from collections.abc import Callable
from typing import Any, Final

from consumer.page.phrases import (
    at_time,
    backlog,
    duration,
    kept,
    many,
    number,
    pods,
    reason_since,
    records,
    since_when,
)
from consumer.page.troubles import expired, flood, kafka, letters, outage, stalled, storm, unaccounted
from consumer.page.words import Level, Words

Json = dict[str, Any]

BLOCKED_S: Final = 60.0
"""A record that fails once is tried again within this; before, it is nobody's business."""
OLD_S: Final = 60.0
"""An event that waits for longer has not gone straight through."""
MANY_LETTERS: Final = 5
LETTERS_SHARE: Final = 0.05
"""Of what came to its end: a source has always some events that nobody can take."""
FEW: Final = 1000
"""So many are soon through, at whatever pace."""


def words_of(view: Json) -> Words:
    """Say how it is.

    Args:
        view: The sum of the pods' reports.
    """
    return next(words for tell in _TOLD if (words := tell(view)) is not None)


def _paused(view: Json) -> Words | None:
    for reason in view["held"]:
        since = since_when(reason["since_ms"], view)
        if reason["reason"] == "operator":
            where = "" if pods(view) == 1 else f" at {reason['pods']} of {pods(view)} pods"
            return Words(
                Level.NOTICE,
                f"Somebody has paused delivery{where}{since}",
                kept(view, "nothing is sent"),
                ("`resume` below, or `pendo-consumer resume`, goes on with it.",),
            )
        if reason["reason"] == "paused":
            return Words(
                Level.NOTICE,
                f"Delivery is paused by the configuration{since}",
                kept(view, "nothing is sent"),
                ("Set `delivery.paused` to false in the file: it is read again when it changes.",),
            )
        if reason["reason"] == "asleep":
            return Words(
                Level.NOTICE,
                f"This process stood still{since}",
                kept(view, "it first has to see whether its partitions are still its own"),
                ("If it comes again: give it more CPU.",),
            )
    return None


def _stopping(view: Json) -> Words | None:
    if reason_since(view, "stopping") is None:
        return None
    return Words(Level.NOTICE, "Stopping", "What is in flight is awaited; what is open after that is read again.")


def _blocked(view: Json) -> Words | None:
    blocked = [one for one in view["partitions"] if one["blocked_by"] and one["blocked_s"] >= BLOCKED_S]
    held = [one for one in blocked if one["blocked_by"]["waits_for"] in {"retry", "letter", "account", "unread"}]
    if not held:
        return None
    worst = max(held, key=lambda one: float(one["blocked_s"]))
    by = worst["blocked_by"]
    where = f"{worst['topic']}-{worst['partition']}"
    more = "" if len(held) == 1 else f" {len(held) - 1} more are below."
    return Words(
        Level.NOTICE,
        f"One record has been waiting for {duration(worst['blocked_s'])}; others pass it",
        f"Nothing is lost, but {where} cannot commit beyond {by['position']}: {_tries(by)}{by['remedy']}.{more}",
        (
            "It is dead-lettered by itself once its retry window is over.",
            f"To be rid of it now: skip `{by['position']}` below.",
        ),
    )


def _tries(by: Json) -> str:
    return f"{many(by['attempts'], 'attempt')}, the last answer {by['status']}; " if by["attempts"] else ""


def _parked(view: Json) -> Words | None:
    parked, ended = view["rates"]["parked"], view["rates"]["ended"]
    if parked < MANY_LETTERS or parked < LETTERS_SHARE * ended:
        return None
    newest = max(view["letters"]["cases"], key=lambda case: int(case["last_ms"]), default=None)
    case = f", the newest as `{newest['reason']}`" if newest else ""
    return Words(
        Level.NOTICE,
        f"Of {many(ended, 'event')} in the last minute {parked:,} became dead letters",
        f"They are kept in the dead-letter topic{case}; all others go on.",
        (
            "Look at the newest dead letters below, and with `dlq show` at one: what changed at the source, or here?",
            "Mend it, in the source, the mapping or a handler; then `dlq replay` sends them again.",
        ),
    )


def _behind(view: Json) -> Words | None:
    waiting, pace = backlog(view), view["rates"]["settled"]
    oldest_s = max((one["oldest_ms"] or 0 for one in view["partitions"]), default=0) / 1000
    if not waiting or (oldest_s < OLD_S and waiting <= max(pace * OLD_S, FEW)):
        return None
    oldest = f"the oldest is {duration(oldest_s)} old" if oldest_s >= 1 else "none is old yet"
    if not pace:
        return Words(
            Level.NOTICE,
            f"{records(waiting)} waiting, and nothing moves",
            f"Nothing is lost; {oldest}.",
            ("Look at the gates and at what blocks the partitions below.",),
        )
    return Words(
        Level.NOTICE,
        f"Catching up: {records(waiting)} waiting",
        f"Nothing is lost; {oldest}. At the present pace of {number(pace)} a second it takes about "
        f"{duration(waiting / pace)}, if nothing new comes.",
        ("If that is too long: more pods, up to one for each partition, or a higher `delivery.max_concurrency`.",),
    )


def _good(view: Json) -> Words:
    if not view["partitions"]:
        return Words(
            Level.GOOD,
            "Nothing to do: no partition is ours",
            "Other pods have them all, or the group is changing hands. This pod stands by.",
        )
    if not sum(row["received"] for row in view["ledger"]["types"].values()):
        return Words(
            Level.GOOD,
            "All is ready; no event has come yet",
            f"Since the start, {at_time(view['started_ms'], view)}, nothing was there to be read.",
        )
    if not backlog(view) and not view["rates"]["received"]:
        return Words(
            Level.GOOD, "Pendo has everything it should have", "Nothing waits, and nothing new comes just now."
        )
    p50_s = view["rates"]["p50_s"]
    took = "" if p50_s is None else f" Half of the events are there within {duration(p50_s)}."
    return Words(Level.GOOD, "Everything Pendo should have is on its way", f"Nothing is in the way.{took}")


_TOLD: Final[tuple[Callable[[Json], Words | None], ...]] = (
    *(
        unaccounted,
        kafka,
        stalled,
        flood,
        letters,
        expired,
        _stopping,
        outage,
        _paused,
        storm,
        _parked,
        _blocked,
        _behind,
    ),
    _good,
)


def gate_words(gate: Json) -> str:
    """A gate's state and why, in words."""
    match gate["state"], gate["stall"]:
        case "stalled", "credentials":
            return "stalled: Pendo refuses the credential; one request at a time is tried"
        case "stalled", _:
            return "stalled: what answers is not Pendo's endpoint; one request at a time is tried"
        case "circuit", _:
            return "closed: Pendo answers nothing; one request at a time is tried, and it goes on by itself"
        case "flood", _:
            return "stopped: most of what is sent is refused; only probes go"
        case _ if gate["doubt"]:
            return "in doubt: one event met 401 or 403; another shows whether the credential or the event is wrong"
        case _:
            return "open"
