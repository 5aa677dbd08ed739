"""Order: of each visitor the first acceptances, in the order of offsets, must not overtake each other.

A later event that arrived before an earlier one arrived is a violation, whoever sent them. One that arrived while the
earlier one was still being answered is one too when both came from the same process; from two processes it was in
flight at a handover, which HTTP has no fence against: these are counted apart. Which process sent a request is known
from its base URL. A second delivery of the same event is no disorder here, but a duplicate: see `repeats`. What arrived
at the very same moment came in one call. Nor is it disorder when a state that one process left out, since it had
delivered newer ones, is sent by the next one, which does not know them, when it repeats what followed: in its own turn,
before the later ones come once more.
"""

from dataclasses import dataclass

from tests.chaos.acceptances import Acceptances
from tests.chaos.findings import Findings
from tests.chaos.log import FACTS, STATES, Lane, Produced


@dataclass(slots=True)
class _Latest:
    """Of the visitor's events so far: the latest arrival, and the latest end with its sender."""

    offset: int = -1
    arrived_s: float = 0.0
    ended_s: float = 0.0
    sender: int = -1
    message: int = -1
    last: int = -1
    """The message that arrived latest."""


def check(produced: Produced, acceptances: Acceptances, findings: Findings) -> None:
    """Go through all records; those of one visitor stand in one partition, in the order of their numbers."""
    latest: dict[tuple[Lane, int], _Latest] = {}
    deliverable = FACTS | STATES
    for number, kind in enumerate(produced.kind):
        if kind not in deliverable or produced.message[number] != number or not acceptances.count[number]:
            continue
        lane = produced.lane(number)
        if lane[0] is Lane.ACCOUNT:
            continue
        seen = latest.setdefault(lane, _Latest())
        if produced.offset[number] <= seen.offset:
            findings.problem("bad run", f"record {number} does not lie behind its visitor's last one")
        _compare(number, seen, acceptances, findings)
        seen.offset = produced.offset[number]


def _compare(number: int, seen: _Latest, acceptances: Acceptances, findings: Findings) -> None:
    arrived_s, ended_s, sender = acceptances.first(number)
    both = f"messages {seen.message} and {number}"
    if arrived_s < seen.arrived_s and _left_out_before(seen.last, number, acceptances):
        findings.counts["left out, then repeated with what followed"] += 1
    elif arrived_s < seen.arrived_s:
        findings.problem("order violation", f"{both}: the later one came first")
    elif seen.arrived_s < arrived_s < seen.ended_s:
        if sender == seen.sender:
            findings.problem("order violation", f"{both}: side by side from process {sender}")
        else:
            findings.counts["in flight at a handover"] += 1
    if arrived_s > seen.arrived_s:
        seen.arrived_s, seen.last = arrived_s, number
    if ended_s > seen.ended_s:
        seen.ended_s, seen.sender, seen.message = ended_s, sender, number


def _left_out_before(earlier: int, later: int, acceptances: Acceptances) -> bool:
    """Whether the earlier one need not have been sent, and another process sent both, the later one once more."""
    came_s, _, sender = acceptances.first(earlier)
    return (
        acceptances.written_over(earlier) and sender != acceptances.sender[later] and acceptances.last_s[later] > came_s
    )
