"""The ledger: what was produced and where it was found come in, what is missing and a table for people go out.

Every event is accounted for by identity, not by sums: it was accepted by Pendo once, or lies in the dead-letter topic
once, or was meant for neither and is found in neither. An identify or group may be missing when a newer one of the same
visitor or account was accepted. Pure: it asks nobody.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from consumer.outcomes import EventType, Outcome, Reason
from consumer.sandbox.traffic import Produced
from consumer.segment.timestamps import timestamp_ms

# More would scroll the finding itself away.
_MAX_EXAMPLES: Final = 3

_NAME_WIDTH: Final = 48
_COUNT_WIDTH: Final = 10


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the identity of its event, and the reason in its headers."""

    identity: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a run left behind.

    Attributes:
        produced: Every record, with what should have become of it.
        accepted: How often Pendo accepted each `messageId`.
        letters: What lies in the dead-letter topic.
        settled: The service's own count by type, outcome and reason.
        statuses: Pendo's answers.
        attempts: How many messages took so many requests.
        visitors: That Pendo now holds; likewise `accounts` and `track_events`.
        exit_status: The service's.
        seconds: From the first record produced to the last event settled.
    """

    produced: Sequence[Produced]
    accepted: Mapping[str, int]
    letters: Sequence[Letter]
    settled: Mapping[tuple[str, str, str], int]
    statuses: Mapping[str, int]
    attempts: Mapping[int, int]
    visitors: int
    accounts: int
    track_events: int
    exit_status: int
    seconds: float


def problems_of(findings: Findings) -> list[str]:
    """Return what is not accounted for, one line a kind; empty when all is well."""
    findings = replace(findings, produced=_without_superseded(findings))
    by_kind: dict[str, list[str]] = {}
    reasons: dict[str, list[str]] = {}
    for letter in findings.letters:
        reasons.setdefault(letter.identity, []).append(letter.reason)
    for record in findings.produced:
        kind = _judge(record, findings.accepted.get(record.identity, 0), reasons.get(record.identity, []))
        if kind:
            by_kind.setdefault(kind, []).append(record.identity)
    known = {record.identity for record in findings.produced}
    unknown = [identity for identity in [*findings.accepted, *reasons] if identity not in known]
    if unknown:
        by_kind["never produced, but found"] = unknown
    lines = [_line(kind, identities) for kind, identities in sorted(by_kind.items())]
    return lines + _miscounted(findings) + _ended_badly(findings)


def table_of(findings: Findings) -> list[str]:
    """Return the ledger as lines to print."""
    return [
        *_section("Events", {" ".join(filter(None, key)): n for key, n in sorted(findings.settled.items())}),
        *_section("Requests to Pendo, by answer", dict(sorted(findings.statuses.items()))),
        *_section("Messages, by requests they took", {str(n): count for n, count in sorted(findings.attempts.items())}),
        *_section("Dead letters, by reason", Counter(letter.reason for letter in findings.letters)),
        "Pendo now holds",
        _row("visitors", findings.visitors),
        _row("accounts", findings.accounts),
        _row("track events", findings.track_events),
        f"Settled in {findings.seconds:.1f} s; the service ended with exit status {findings.exit_status}",
    ]


def _without_superseded(findings: Findings) -> list[Produced]:
    """Expect what is missing, but has a newer write of the same visitor or account accepted, to be suppressed."""
    newest: dict[str, int] = {}
    states = {id(record): _state_of(record) for record in findings.produced}
    for record in findings.produced:
        key, at_ms = states[id(record)]
        if key and findings.accepted.get(record.identity):
            newest[key] = max(at_ms, newest.get(key, 0))

    def superseded(record: Produced) -> bool:
        key, at_ms = states[id(record)]
        missing = record.outcome is Outcome.DELIVERED and not findings.accepted.get(record.identity)
        return missing and at_ms <= newest.get(key, -1)

    return [
        replace(record, outcome=Outcome.SUPPRESSED, reason=Reason.STALE) if superseded(record) else record
        for record in findings.produced
    ]


def _state_of(record: Produced) -> tuple[str, int]:
    """Whose fields a record writes, and how new they are; nobody's for what is no identify or group."""
    if record.type not in {EventType.IDENTIFY, EventType.GROUP} or record.outcome is not Outcome.DELIVERED:
        return "", 0
    event = orjson.loads(record.value)
    whose = event.get("groupId") if record.type is EventType.GROUP else event.get("userId")
    return f"{record.type}:{whose}", timestamp_ms(event) or 0


def _judge(record: Produced, accepted: int, reasons: Sequence[str]) -> str:
    """Return what is wrong with one record's end; nothing when it ended once, and as it should."""
    found = accepted + len(reasons)
    if record.outcome in {Outcome.FILTERED, Outcome.SKIPPED, Outcome.SUPPRESSED}:
        return f"should have been {record.outcome.value}, but found" if found else ""
    if found == 0:
        return "lost"
    if found > 1:
        return "found more than once"
    if record.outcome is Outcome.DEAD_LETTERED and reasons != [record.reason.value]:
        return f"should have been a dead letter ({record.reason.value})"
    if record.outcome is Outcome.DELIVERED and not accepted:
        return f"should have been delivered, but is a dead letter ({reasons[0]})"
    return ""


def _miscounted(findings: Findings) -> list[str]:
    expected = Counter((each.type.value, each.outcome.value, each.reason.value) for each in findings.produced)
    keys = sorted(expected.keys() | findings.settled.keys())
    return [
        f"counted by the service as {' '.join(filter(None, key))}: {findings.settled.get(key, 0)}, not {expected[key]}"
        for key in keys
        if findings.settled.get(key, 0) != expected[key]
    ]


def _ended_badly(findings: Findings) -> list[str]:
    status = findings.exit_status
    return [f"the service ended with exit status {status}, not 0"] if status else []


def _line(kind: str, identities: Sequence[str]) -> str:
    more = ", …" if len(identities) > _MAX_EXAMPLES else ""
    return f"{len(identities)} {kind}: {', '.join(identities[:_MAX_EXAMPLES])}{more}"


def _section(title: str, counts: Mapping[str, int]) -> Iterable[str]:
    yield f"{title:<{_NAME_WIDTH}}{sum(counts.values()):>{_COUNT_WIDTH},}"
    for name, count in counts.items():
        yield _row(name, count)


def _row(name: str, count: int) -> str:
    return f"  {name:<{_NAME_WIDTH - 2}}{count:>{_COUNT_WIDTH},}"
