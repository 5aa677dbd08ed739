"""The fence: a process that was frozen beyond its session must not send for partitions that are others' by now.

HTTP has none, so it is the process's own: it sends nothing until a commit has told it that its partitions are still its
own. Seen from outside: a request of a process that has just awoken, for a partition of which another process has sent
shortly before and goes on sending shortly after. Not so shortly, and it may have got the partition back and lost it
again: where a rebalance is under way when it awakes, it takes part in it at once.
"""

from bisect import bisect_left
from collections import defaultdict
from typing import Final

from tests.chaos.findings import Findings
from tests.chaos.log import Evidence, Fault, FaultKind

WATCHED_S: Final = 2.0
"""After the awakening; later it may have got the partition back."""
NEAR_S: Final = 0.5
"""Whoever has a partition sends of it many times a second; to have it for a second alone takes two rebalances."""
FIRST_TURN_S: Final = 0.15
"""What stood between the decision to send and the socket when the process was frozen leaves when it thaws: of three
routes, some of which were just connecting, a dozen requests within milliseconds. Nobody can hold those back."""
MAX_SENT: Final = 3
COUNT: Final = "sent late by a frozen process"


def check(evidence: Evidence, findings: Findings) -> None:
    """Count such requests for every SIGSTOP beyond the session."""
    freezes = [fault for fault in evidence.faults if fault.kind is FaultKind.STOP_LONG]
    own: dict[Fault, list[tuple[int, float]]] = defaultdict(list)
    others: dict[Fault, dict[int, list[float]]] = {fault: defaultdict(list) for fault in freezes}
    for request in evidence.requests:
        if request.message >= len(evidence.produced):
            continue
        partition = evidence.produced.partition[request.message]
        for fault in freezes:
            if not fault.began_s <= request.arrived_s <= fault.ended_s + 2 * WATCHED_S:
                continue
            if request.sender != fault.sender:
                others[fault][partition].append(request.arrived_s)
            elif fault.ended_s + FIRST_TURN_S <= request.arrived_s <= fault.ended_s + WATCHED_S:
                own[fault].append((partition, request.arrived_s))
    for fault, sent in own.items():
        # A call that carries many arrived once.
        late = len({arrived_s for partition, arrived_s in sent if _is_anothers(arrived_s, others[fault][partition])})
        findings.counts[COUNT] += late
        if late > MAX_SENT:
            findings.problem("sent without a lease", f"process {fault.sender}: {late} requests after a SIGSTOP")


def _is_anothers(arrived_s: float, others: list[float]) -> bool:
    """Whether others sent shortly before and after."""
    place = bisect_left(others, arrived_s)
    if place in (0, len(others)):
        return False
    return arrived_s - others[place - 1] < NEAR_S and others[place] - arrived_s < NEAR_S
