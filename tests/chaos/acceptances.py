"""Acceptances: one walk over all requests in the order of arrival, and what is known of each message after it.

Requests and what was produced come in; out comes by message how often Pendo kept it, when and from whom first. On the
way what a request says is compared with what was produced. What all this means for a promise is judged by others.
"""

from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from tests.chaos.findings import Findings
from tests.chaos.log import (
    GONE,
    NO_MESSAGE,
    NOBODY,
    OK,
    STATES,
    Fault,
    FaultKind,
    Kind,
    Lane,
    Produced,
    Request,
    Requests,
)
from tests.chaos.schedule import REQUEST_TIMEOUT_S
from tests.chaos.traffic import fields_digest, mask_names, traits_of

TIMER_S: Final = 0.2
"""An answer that comes so shortly before the client's deadline may come after it, on a busy machine."""
MS_MANY: Final = -(1 << 62)
"""Before all times."""


class Acceptances:
    """What Pendo kept, by message number.

    Attributes:
        count: How often.
        unseen: How often of these the answer got lost.
        arrived_s: When the first of them arrived; likewise `ended_s` and `sender`.
        last_s: When the last of them arrived.
        newest: By id and field the newest event's time.
        pairs: Visitor and account of every group.
    """

    def __init__(self, produced: Produced) -> None:
        many = len(produced)
        self.count = array("H", bytes(2 * many))
        self.unseen = array("H", bytes(2 * many))
        self.arrived_s = array("d", bytes(8 * many))
        self.ended_s = array("d", bytes(8 * many))
        self.sender = array("H", bytes(2 * many))
        self.last_s = array("d", bytes(8 * many))
        self.newest: dict[int, int] = {}
        self.pairs: set[tuple[int, int]] = set()
        self._produced = produced

    def first(self, message: int) -> tuple[float, float, int]:
        """When the first acceptance arrived and ended, and who sent it."""
        return self.arrived_s[message], self.ended_s[message], self.sender[message]

    def add(self, request: Request) -> None:
        """Note one that was kept."""
        message = request.message
        if not self.count[message]:
            self.arrived_s[message], self.ended_s[message] = request.arrived_s, request.ended_s
            self.sender[message] = request.sender
        self.last_s[message] = request.arrived_s
        self.count[message] += 1
        self.unseen[message] += request.status != OK
        if self._produced.kind[message] in STATES:
            self._add_state(message, request.mask)

    def _add_state(self, message: int, mask: int) -> None:
        produced, time = self._produced, self._produced.time[message]
        for bit in mask_names(mask):
            key = self.key(message, bit)
            self.newest[key] = max(self.newest.get(key, MS_MANY), time)
        if produced.kind[message] == Kind.GROUP:
            self.pairs.add((produced.visitor[message], produced.account[message]))

    def key(self, message: int, bit: int) -> int:
        """Whose field it is: type, id and field in one small number, since there are many."""
        is_group = self._produced.kind[message] == Kind.GROUP
        owner = self._produced.account if is_group else self._produced.visitor
        return (owner[message] << 1 | is_group) << 4 | bit

    def superseded(self, message: int, mask: int) -> bool:
        """Whether for each of these fields an event that is not older was accepted."""
        time = self._produced.time[message]
        return all(self.newest.get(self.key(message, bit), MS_MANY) >= time for bit in mask_names(mask))

    def written_over(self, message: int) -> bool:
        """Whether it is a state, and a newer event was accepted for each of its fields."""
        produced = self._produced
        if produced.kind[message] not in STATES:
            return False
        time = produced.time[message]
        return all(
            self.newest.get(self.key(message, bit), MS_MANY) > time for bit in mask_names(produced.mask[message])
        )

    def may_be_stale(self, message: int) -> bool:
        """Whether a state that was never accepted may have been left out: newer ones said it all, the link included."""
        produced = self._produced
        if not produced.mask[message] or not self.superseded(message, produced.mask[message]):
            return False
        is_group = produced.kind[message] == Kind.GROUP
        return not is_group or produced.by_calls or (produced.visitor[message], produced.account[message]) in self.pairs


class Walk:
    """The walk; `run` it once."""

    def __init__(self, produced: Produced, requests: Requests, faults: Sequence[Fault], findings: Findings) -> None:
        self.acceptances = Acceptances(produced)
        self.ends = array("d")
        """When something was accepted."""
        self.stripped: list[tuple[int, int]] = []
        self.older_after_newer = 0
        self._produced = produced
        self._requests = requests
        self._findings = findings
        # By lane and sender: the latest end of a request that had one, its arrival and its message.
        self._busy: dict[tuple[tuple[Lane, int], int], tuple[float, float, int]] = {}
        self._sent: dict[int, tuple[int, int]] = {}
        self._freezes: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for fault in faults:
            if fault.kind in {FaultKind.STOP_LONG, FaultKind.STOP_SHORT} and fault.sender is not None:
                self._freezes[fault.sender].append((fault.began_s, fault.ended_s))

    def run(self) -> Acceptances:
        """Go through all requests."""
        for request in self._requests:
            if not self._is_ours(request):
                continue
            self._check_lane(request)
            if request.applied:
                self.ends.append(request.ended_s)
                self._check_payload(request)
                self._check_newest(request)
                self.acceptances.add(request)
        for message, missing in self.stripped:
            if not self.acceptances.superseded(message, missing):
                self._findings.problem("wrong payload", f"message {message}: traits are missing that nothing newer set")
        return self.acceptances

    def _is_ours(self, request: Request) -> bool:
        known = request.message < len(self._produced) and request.message != NO_MESSAGE
        if not known or request.sender == NOBODY:
            self._findings.problem("unknown request", f"message {request.message} from process {request.sender}")
            return False
        return True

    def _check_lane(self, request: Request) -> None:
        """A process has one request of a visitor on the wire; how one that the client gave up ended is not known."""
        if request.status == GONE:
            return
        lane = self._produced.lane(request.message), request.sender
        busy_until_s, arrived_s, other = self._busy.get(lane, (0.0, 0.0, 0))
        # What arrived at the very same moment came in the same call.
        if arrived_s != request.arrived_s < busy_until_s:
            self._findings.problem("overlap in a lane", f"messages {other} and {request.message} of one process")
        self._busy[lane] = max((busy_until_s, arrived_s, other), (request.ended_s, request.arrived_s, request.message))

    def _check_payload(self, request: Request) -> None:
        message = request.message
        wanted = self._produced.mask[message]
        _, fields = fields_digest(traits_of(self._produced.worth(message), request.mask))
        if request.digest != self._produced.digest[message] or request.mask & ~wanted or request.fields != fields:
            self._findings.problem("wrong payload", f"message {message}")
        elif request.mask != wanted:
            self.stripped.append((message, wanted & ~request.mask))

    def _check_newest(self, request: Request) -> None:
        """Count fields that a process set to something older than what it had delivered.

        Not to the same again: groups of one account with equal traits may go side by side.
        """
        message = request.message
        if self._produced.kind[message] not in STATES:
            return
        time, sent = self._produced.time[message], self._sent
        for bit in mask_names(request.mask):
            key = self.acceptances.key(message, bit) << 16 | request.sender
            newest, worth = sent.get(key, (MS_MANY, 0))
            if newest <= time:
                # An answer that it cannot have seen tells it nothing.
                sent[key] = (time, self._produced.worth(message)) if self._seen(request) else (newest, worth)
            elif request.status == OK and worth != self._produced.worth(message):
                self.older_after_newer += 1

    def _seen(self, request: Request) -> bool:
        """Whether the sender has seen that its request was accepted: not if it was frozen until its own deadline."""
        return request.status == OK and not any(
            began_s <= request.ended_s <= ended_s and ended_s - request.arrived_s > REQUEST_TIMEOUT_S - TIMER_S
            for began_s, ended_s in self._freezes.get(request.sender, ())
        )
