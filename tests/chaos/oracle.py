"""The oracle: a pure function over what was produced, what Pendo's side saw, dead letters, commits and faults.

It decides for every record whether what became of it is allowed, and whether the run has put the promises to the test
at all. What it permits: a repeat of an accepted messageId may be left out; a state may be left out, or lose fields, if
events that are not older set the same fields of the same id, whenever that was. It does not see the service's inside.
"""

from itertools import pairwise
from typing import Final

from tests.chaos import fence, order, repeats
from tests.chaos.acceptances import Acceptances, Walk
from tests.chaos.findings import Findings
from tests.chaos.log import FACTS, LETTER_REASONS, SILENT, STATES, Evidence, FaultKind, Kind
from tests.chaos.schedule import SESSION_TIMEOUT_S

MAX_SILENCE_S: Final = SESSION_TIMEOUT_S + 9.0
"""Longest time without any acceptance while nobody is away: the session's end of a dead process, and a rebalance."""
RECOVERY_S: Final = 5.0
"""After an outage: until the next probe."""
_AWAY: Final = frozenset({FaultKind.OUTAGE, FaultKind.BROKER})


def judge(evidence: Evidence) -> Findings:
    """Reconcile everything."""
    findings = Findings(peak_rss_bytes=evidence.peak_rss_bytes)
    walk = Walk(evidence.produced, evidence.requests, evidence.faults, findings)
    acceptances = walk.run()
    _check_records(evidence, acceptances, findings)
    order.check(evidence.produced, acceptances, findings)
    repeats.count(evidence, acceptances, findings)
    fence.check(evidence, findings)
    findings.counts["lost fields to newer events"] = len(walk.stripped)
    findings.counts["older state after newer"] = walk.older_after_newer
    if walk.older_after_newer and (walk.stripped or findings.counts["suppressed: stale"]):
        findings.problem("newest does not win", f"{walk.older_after_newer} fields set to something older")
    _check_progress(evidence, walk, findings)
    _check_end(evidence, findings)
    _check_faults(evidence, findings)
    return findings


def _check_records(evidence: Evidence, acceptances: Acceptances, findings: Findings) -> None:
    produced = evidence.produced
    letters = _letters(evidence, findings)
    findings.counts["produced"] = len(produced)
    for number, kind in enumerate(produced.kind):
        reason = letters.pop((produced.partition[number], produced.offset[number]), None)
        message = produced.message[number]
        accepted = bool(acceptances.count[message])
        if kind in LETTER_REASONS:
            _check_poison(number, LETTER_REASONS[Kind(kind)], reason, findings)
            if accepted:
                findings.problem("poison accepted", f"record {number}")
        elif reason is not None:
            findings.problem("needless dead letter", f"record {number}, a {Kind(kind).name}: {reason}")
        elif kind in SILENT:
            findings.counts["skipped or filtered"] += 1
            if accepted:
                findings.problem("delivered though not for Pendo", f"record {number}, a {Kind(kind).name}")
        else:
            _check_delivered(number, evidence, acceptances, findings)
    for (partition, offset), reason in letters.items():
        findings.problem("dead letter of nothing", f"{partition}@{offset}: {reason}")


def _letters(evidence: Evidence, findings: Findings) -> dict[tuple[int, int], str]:
    letters: dict[tuple[int, int], str] = {}
    for letter in evidence.letters:
        if (letter.partition, letter.offset) in letters:
            findings.counts["letters published again"] += 1
        letters[letter.partition, letter.offset] = letter.reason
    return letters


def _check_poison(number: int, wanted: str, reason: str | None, findings: Findings) -> None:
    if reason is None:
        findings.problem("missing dead letter", f"record {number}: {wanted}")
    elif reason != wanted:
        findings.problem("wrong reason", f"record {number}: {reason}, not {wanted}")
    else:
        findings.counts["dead-lettered"] += 1


def _check_delivered(number: int, evidence: Evidence, acceptances: Acceptances, findings: Findings) -> None:
    produced = evidence.produced
    message = produced.message[number]
    if acceptances.count[message]:
        # Of a message that was produced twice and accepted once, the second is the one that was left out.
        if message != number and acceptances.count[message] == 1:
            findings.counts["suppressed: repeat"] += 1
        else:
            findings.counts["delivered"] += 1
    elif produced.kind[number] in STATES and acceptances.may_be_stale(message):
        findings.counts["suppressed: stale"] += 1
    else:
        where = f"{produced.partition[number]}@{produced.offset[number]}"
        committed = produced.offset[number] < evidence.committed.get(produced.partition[number], 0)
        state = "committed" if committed else "not committed"
        findings.problem("lost", f"record {number}, a {Kind(produced.kind[number]).name}, {where}: {state}")


def _check_progress(evidence: Evidence, walk: Walk, findings: Findings) -> None:
    """Something is accepted all the time, but while Pendo or the broker is away."""
    away = _merged(sorted((f.began_s, f.ended_s + RECOVERY_S) for f in evidence.faults if f.kind in _AWAY))
    ends = sorted(walk.ends)
    longest = longest_outside = 0.0
    for before, after in pairwise((evidence.began_s, *ends)):
        longest = max(longest, after - before)
        outside = after - before - sum(max(0.0, min(after, end) - max(before, begin)) for begin, end in away)
        if outside > MAX_SILENCE_S:
            findings.problem("no progress", f"{outside:.1f} s from {before - evidence.began_s:.1f} s on")
        longest_outside = max(longest_outside, outside)
    took_s = ends[-1] - evidence.began_s if ends else 0.0
    findings.figures["longest window without progress, s"] = longest
    findings.figures["the same outside of outages, s"] = longest_outside
    findings.figures["accepted a second"] = len(ends) / took_s if took_s > 0 else 0.0
    findings.figures["took, s"] = took_s


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin, end in spans:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _check_end(evidence: Evidence, findings: Findings) -> None:
    for partition, end in evidence.ends.items():
        committed = evidence.committed.get(partition, 0)
        if committed != end:
            findings.problem("lag at the end", f"partition {partition}: {committed} of {end}")
    if sum(evidence.ends.values()) != len(evidence.produced):
        findings.problem(
            "bad run", f"{sum(evidence.ends.values())} records on the topic, {len(evidence.produced)} known"
        )
    for sender, status in evidence.exits.items():
        if status:
            findings.problem("bad exit", f"process {sender}: {status}")
    for died in evidence.died:
        findings.problem("ended by itself", died)
    if evidence.unaccounted:
        findings.problem("unaccounted", f"{evidence.unaccounted} scrapes")
    if not evidence.scrapes:
        findings.problem("bad run", "no process was ever asked for its count")
    if not evidence.fresh:
        findings.problem("bad run", "nothing was produced after the last fault")


def _check_faults(evidence: Evidence, findings: Findings) -> None:
    """A run in which no fault hit proves nothing."""
    findings.faults.update(fault.kind.value for fault in evidence.faults)
    for kind in evidence.wanted:
        if not findings.faults[kind.value]:
            findings.problem("proves nothing", f"no fault of the kind {kind.value}")
    hit = findings.duplicates.total() > 0 or evidence.released > 0
    if not hit:
        findings.problem("proves nothing", "nothing was repeated and nothing released: no fault hit work in flight")
    if FaultKind.KILL in evidence.wanted and not any(
        hit.in_flight for hit in findings.hits if hit.fault.kind is FaultKind.KILL
    ):
        findings.problem("proves nothing", "no SIGKILL hit a request in flight")
    delivered = sum(1 for kind in evidence.produced.kind if kind in FACTS | STATES)
    if not delivered:
        findings.problem("proves nothing", "nothing was produced that Pendo takes")
