"""Repeats: what Pendo accepted more often than it was produced, by cause, and what each hard fault cost.

Every duplicate needs a cause: an answer that the service cannot have seen, or a fault between the two acceptances. The
bound of a SIGKILL is the contract's: three times what was in flight, or what was delivered within the pace of commits
if that is more. That pace is 50 ms and a commit's round trip, on a machine that also runs the broker; and commits must
have been possible, so a kill shortly after another fault is only counted. A SIGSTOP beyond the session is like a kill
for whoever takes over. Whoever lives, or ends in order, must not cause any, but for requests that outlive the drain.
"""

from collections import defaultdict
from itertools import pairwise
from math import inf
from typing import Final

from tests.chaos.acceptances import TIMER_S, Acceptances
from tests.chaos.findings import Findings, Hit
from tests.chaos.log import OK, PROCESS_FAULTS, Evidence, Fault, FaultKind, Produced, Request
from tests.chaos.schedule import DRAIN_S, REQUEST_TIMEOUT_S, SESSION_TIMEOUT_S

TIMES_IN_FLIGHT: Final = 3
COMMIT_PACE_S: Final = 0.25
SETTLING_S: Final = 5.0
"""After a fault of a process or of the broker the group changes hands, and commits are refused for a while."""
AFTERMATH_S: Final = 3 * SESSION_TIMEOUT_S
"""Until the last rebalance that a fault brings about: the session's end, a late rejoin, what a drain outlasts."""
GRACEFUL: Final = frozenset(f"rebalance after {kind}" for kind in PROCESS_FAULTS if kind is not FaultKind.BROKER)
"""Living processes, or one that ends in order, hand over what they have committed; without the broker they cannot."""
UNEXPLAINED: Final = "unexplained"
_DEADLY: Final = frozenset({FaultKind.KILL, FaultKind.STOP_LONG})


def count(evidence: Evidence, acceptances: Acceptances, findings: Findings) -> None:
    """Find a cause for each duplicate, and hold the hits to their bound."""
    hard = [fault for fault in evidence.faults if fault.kind in PROCESS_FAULTS]
    causes = Causes(hard)
    copies = _copies(evidence.produced)
    often: dict[int, list[Request]] = defaultdict(list)
    for request in evidence.requests:
        if request.message >= len(evidence.produced):
            continue
        if request.applied and acceptances.count[request.message] > copies.get(request.message, 1):
            often[request.message].append(request)
        for hit in causes.hits.get(request.sender, ()):
            _count_at(hit, request)
    for message, requests in often.items():
        _explain(requests, copies.get(message, 1), causes, findings)
    findings.hits = sorted((hit for hits in causes.hits.values() for hit in hits), key=lambda hit: hit.fault.began_s)
    for hit in findings.hits:
        _check(hit, findings)


def _copies(produced: Produced) -> dict[int, int]:
    """Messages that were produced more than once."""
    copies: dict[int, int] = {}
    for number, message in enumerate(produced.message):
        if message != number:
            copies[message] = copies.get(message, 1) + 1
    return copies


def _count_at(hit: Hit, request: Request) -> None:
    at_s = hit.fault.began_s
    hit.in_flight += request.arrived_s <= at_s <= request.ended_s
    hit.recent += request.applied and at_s - COMMIT_PACE_S <= request.ended_s <= at_s


class Causes:
    """The faults that hit processes and the broker, as causes of duplicates.

    Attributes:
        hits: Of each process that was killed, or frozen for longer than its session, these faults.
    """

    def __init__(self, hard: list[Fault]) -> None:
        # The latest first: of several possible causes it is the likeliest. A short SIGSTOP alone moves no partition.
        self._hard = sorted(hard, key=lambda fault: (fault.kind is FaultKind.STOP_SHORT, -fault.began_s))
        self.hits: dict[int, list[Hit]] = defaultdict(list)
        for fault in hard:
            if fault.kind in _DEADLY and fault.sender is not None:
                others = (other for other in hard if other is not fault)
                clean = not any(o.began_s <= fault.began_s < o.ended_s + SETTLING_S for o in others)
                self.hits[fault.sender].append(Hit(fault, clean=clean))

    def of(self, first: Request, second: Request) -> str | Hit:
        """What made somebody send what had been accepted."""
        if first.status != OK:
            return "answer lost"
        if first.ended_s - first.arrived_s > REQUEST_TIMEOUT_S - TIMER_S:
            return "answer too late"
        for hit in self.hits.get(first.sender, ()):
            # What is killed or frozen sends nothing more: whatever arrives from it meanwhile was on its way.
            at_the_latest = inf if hit.fault.kind is FaultKind.KILL else hit.fault.ended_s
            if first.arrived_s <= at_the_latest and hit.fault.began_s < second.arrived_s:
                return hit
        if self._awoke(first) or self._awoke(second):
            return "sent by a process that had been frozen"
        return self._rebalance(first, second)

    def _awoke(self, request: Request) -> bool:
        faults = (hit.fault for hit in self.hits.get(request.sender, ()) if hit.fault.kind is FaultKind.STOP_LONG)
        return any(fault.ended_s <= request.arrived_s < fault.ended_s + SETTLING_S for fault in faults)

    def _rebalance(self, first: Request, second: Request) -> str:
        for fault in self._hard:
            if fault.began_s < second.arrived_s and first.arrived_s < fault.ended_s + AFTERMATH_S:
                outlived = first.ended_s - first.arrived_s > DRAIN_S
                return "rebalance: the request outlived the drain" if outlived else f"rebalance after {fault.kind}"
        return UNEXPLAINED


def _explain(requests: list[Request], copies: int, causes: Causes, findings: Findings) -> None:
    surplus = len(requests) - copies
    pairs = [(causes.of(*pair), *pair) for pair in pairwise(requests)]
    # A repeat of Segment's own has no cause: where there is one, it explains a pair less.
    pairs.sort(key=lambda found: found[0] == UNEXPLAINED)
    for cause, first, second in pairs[:surplus]:
        if copies > 1 and cause != UNEXPLAINED:
            # Which of the pairs is the duplicate, and which the repeat, is not known.
            findings.duplicates["of a message that was produced twice"] += 1
            continue
        if isinstance(cause, Hit):
            cause.repeated += 1
            findings.duplicates[cause.fault.kind] += 1
            continue
        findings.duplicates[cause] += 1
        if cause == UNEXPLAINED or cause in GRACEFUL:
            between = f"process {first.sender} at {first.ended_s:.3f} and {second.sender} at {second.arrived_s:.3f}"
            kind = "unexplained duplicate" if cause == UNEXPLAINED else "duplicate at a graceful handover"
            findings.problem(kind, f"message {first.message}, {cause}: {between}")


def _check(hit: Hit, findings: Findings) -> None:
    bound = max(TIMES_IN_FLIGHT * hit.in_flight, hit.recent)
    if hit.clean and hit.repeated > bound:
        what = f"{hit.repeated} repeated, {hit.in_flight} in flight, {hit.recent} delivered just before"
        findings.problem(f"too many duplicates after a {hit.fault.kind}", f"process {hit.fault.sender}: {what}")
