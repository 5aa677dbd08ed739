"""Consequences of a call: what its answer does to each of the deliveries that it carried.

Beyond `consequences`: an answer may say of each id what became of it, or of all of them that something among them is
wrong. Then it is found out what, by calls of half as many, at last by single deliveries. Nothing is waited for.
"""

from collections import defaultdict
from collections.abc import Sequence
from time import time
from typing import Final, assert_never

from consumer.delivery.batch import Batch
from consumer.delivery.call_lanes import CallLanes
from consumer.delivery.cells import Cell
from consumer.delivery.consequences import Consequences, note_attempt
from consumer.delivery.gate import Gate
from consumer.delivery.lane import Lane, Narrow
from consumer.delivery.letters import Letters, letter_of
from consumer.delivery.memory import Memory
from consumer.delivery.poison import Failing, Poison, Together, Trouble
from consumer.delivery.retry import Backoff
from consumer.delivery.suspects import lock
from consumer.kafka.records import position
from consumer.log import get_logger
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.calls import Answer
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import ACCEPTED, OPTED_OUT, Accepted, Later, Locked, OptedOut, Refused, Verdict

log = get_logger(__name__)

# Looking a member up in its enum takes as long as a small function.
_DELIVERED: Final = Outcome.DELIVERED
_MERGED: Final = Outcome.MERGED
_NO_REASON: Final = Reason.NONE
ANY: Final = 1 << 30
"""As many ids in one call as there may be."""
TOO_MUCH: Final = frozenset({408, 413})
"""Pendo's words for a call that carries too much."""
UNTOLD: Final = Refused(Reason.REFUSED, "Pendo failed at it without a word")

Arrived = defaultdict[tuple[EventType, str], list[int]]
"""When what a call delivered had come, by type and name; milliseconds since the epoch."""


class CallConsequences(Consequences):
    """Acts on the answers to calls."""

    __slots__ = ("_batch", "_call_lanes")

    def __init__(
        self,
        route: Route,
        *,
        gate: Gate,
        lanes: CallLanes,
        memory: Memory,
        backoff: Backoff,
        poison: Poison,
        letters: Letters,
        batch: Batch,
    ) -> None:
        super().__init__(route, gate=gate, lanes=lanes, memory=memory, backoff=backoff, poison=poison, letters=letters)
        self._call_lanes = lanes
        self._batch = batch

    def draw_call(self, cells: Sequence[Cell], answer: Answer, status: int | str, began: float, now: float) -> None:
        """Act on an answer.

        Args:
            cells: What the call carried.
            answer: Pendo's.
            status: The HTTP status, or `timeout` or `connection`.
            began: When the call went; seconds of the loop's clock.
            now: When it was answered.
        """
        gate, head = self._gate, cells[0].lane.queue[0]
        self._tell_traced(cells, status, now - began)
        on_all = answer.verdict
        if isinstance(on_all, Locked):
            on_all = self._judge_locked(cells, on_all, status)
        verdicts = _verdicts(cells, answer, on_all, status)
        doubted = gate.doubt.active
        changed = self._tell_gate(cells, verdicts, on_all, began, now)
        if status == "timeout" or status in TOO_MUCH:
            self._batch.too_large(len(cells))
        elif isinstance(on_all, Accepted):
            self._batch.passed(len(cells))
        self._audit(cells, verdicts)
        self._draw_each(cells, verdicts, status, began, now, forbidden=_is_forbidden(on_all))
        if doubted is not gate.doubt.active:
            self._suspects.on_doubt(head, status, now)
        if changed:
            self._changes.note(head, status, now)

    def _tell_traced(self, cells: Sequence[Cell], status: int | str, took_s: float) -> None:
        for cell in cells:
            for _, delivery, _ in cell.parts:
                if delivery.ticket.traced:
                    delivery.ticket.attempted(delivery.index, self._route, status, took_s)

    def _judge_locked(self, cells: Sequence[Cell], verdict: Locked, status: int | str) -> Verdict:
        """One of a call is forbidden when any of them met it before, whoever stands first in it."""
        alone = len(cells) == 1 and len(cells[0].parts) == 1
        heads = (cell.lane.queue[0] for cell in cells)
        judged = (self._suspects.judge(head, verdict, status, alone=alone) for head in heads)
        return next((each for each in judged if each is not verdict), verdict)

    def _tell_gate(
        self, cells: Sequence[Cell], verdicts: Sequence[Verdict | None], on_all: Verdict, began: float, now: float
    ) -> bool:
        """One answer, and beside it the other lanes' verdicts; whether the gate changed."""
        if _is_forbidden(on_all):
            # One of them is forbidden, not all: a call of many must not look like a flood of refusals.
            return self._gate.end(now, cells[0].lane.key, on_all, began, self._lanes)
        # What is not known yet was answered for its own sake, and counts for nothing.
        told = [(cell.lane.key, verdict or OPTED_OUT) for cell, verdict in zip(cells, verdicts, strict=True)]
        first = next((i for i, (_, verdict) in enumerate(told) if isinstance(verdict, Accepted)), 0)
        key, verdict = told.pop(first)
        return self._gate.end(now, key, verdict, began, self._lanes, told)

    def _draw_each(
        self,
        cells: Sequence[Cell],
        verdicts: Sequence[Verdict | None],
        status: int | str,
        began: float,
        now: float,
        *,
        forbidden: bool,
    ) -> None:
        again: list[Lane] = []
        arrived_ms: Arrived = defaultdict(list)
        together = Together(sum(len(cell.parts) for cell in cells))
        later: list[tuple[Cell, Trouble]] = []
        for cell, verdict in zip(cells, verdicts, strict=True):
            if isinstance(verdict, Accepted | OptedOut):
                self._end(cell, verdict, arrived_ms)
                continue
            trouble = self._remaining(cell, status, now - began)
            if trouble is None:
                continue
            if forbidden:
                # Of many nobody is convicted by this: others must pass once more.
                lock(cell.lane, together, now)
            match verdict:
                case None:
                    # Of a call that took too long some may have been written.
                    self._memory.forget_values(cell.parts[0][2])
                    _narrow(cell, len(cells))
                    again.append(cell.lane)
                case Refused():
                    self._refused_in_call(cell, trouble, verdict, again)
                case Later():
                    self._memory.forget_values(cell.parts[0][2])
                    later.append((cell, trouble))
                case Locked():
                    self._suspects.take(cell.lane, trouble, now, together)
                case _:
                    assert_never(verdict)
        if later and isinstance(verdict, Later):
            self._failed_in_call(later, verdict, now, alone=together.left == 1)
        self._call_lanes.go_again(again)
        self._count(arrived_ms)

    def _end(self, cell: Cell, verdict: Accepted | OptedOut, arrived_ms: Arrived) -> None:
        """All of a cell has its end."""
        if isinstance(verdict, Accepted):
            self._accepted_in_call(cell, arrived_ms)
        else:
            self._opted_out(cell)
        for _, delivery, _ in cell.parts:
            if delivery.trouble is not None:
                delivery.trouble.locked_with.left -= 1
        cell.lane.failing = None
        self._call_lanes.leave(cell.lane, len(cell.parts))

    def _accepted_in_call(self, cell: Cell, arrived_ms: Arrived) -> None:
        """The newest is delivered, the others were merged into it."""
        parts = cell.parts
        newest = parts[-1][1]
        # Whoever owns the record by now: what Pendo has is known.
        self._memory.note_events([sent.identity for _, _, sent in parts])
        for stamp, _, sent in parts[-1:] if cell.is_newest else parts:
            self._memory.note(sent, stamp)
        for _, delivery, sent in parts:
            ticket = delivery.ticket
            if ticket.progress.released:
                self._memory.forget_values(sent)
            outcome = _DELIVERED if delivery is newest else _MERGED
            ticket.settle(delivery.type, outcome, _NO_REASON, delivery.index)
            arrived_ms[delivery.type, delivery.request.name].append(ticket.arrived_ms)

    def _opted_out(self, cell: Cell) -> None:
        for _, delivery, _ in cell.parts:
            delivery.ticket.settle(delivery.type, Outcome.SUPPRESSED, Reason.OPTED_OUT, delivery.index)

    def _count(self, arrived_ms: Arrived) -> None:
        """All that one call delivered is counted at once."""
        now_s = time()
        for (type_, name), several in arrived_ms.items():
            self.days.count(type_, name, now_s, len(several))
            self.ages[type_].observe_all([age if (age := now_s - each / 1000) > 0 else 0.0 for each in several])

    def _remaining(self, cell: Cell, status: int | str, took_s: float) -> Trouble | None:
        """Count the attempt of what is still ours of a cell; the trouble of the first, None when nothing is ours."""
        lane = cell.lane
        mine = [delivery for delivery in lane.queue[: lane.in_flight] if not delivery.ticket.progress.released]
        lane.queue[: lane.in_flight] = mine
        lane.in_flight = len(mine)
        troubles = [note_attempt(delivery, status, took_s) for delivery in mine]
        if not troubles:
            self._call_lanes.leave(lane, 0)
            return None
        return troubles[0]

    def _refused_in_call(self, cell: Cell, trouble: Trouble, verdict: Refused, again: list[Lane]) -> None:
        """What was refused is a dead letter; but of several that went together nobody knows which is wrong."""
        lane = cell.lane
        if self._gate.flood.active:
            self._lanes.set_aside(lane)
        elif len(cell.parts) > 1:
            _go_in_parts(lane)
            again.append(lane)
        else:
            delivery = lane.queue[0]
            self._letters.park(letter_of(delivery, trouble, verdict.reason, verdict.message), delivery.ticket)
            self._call_lanes.leave(lane, 1)

    def _failed_in_call(
        self, failed: Sequence[tuple[Cell, Trouble]], verdict: Later, now: float, *, alone: bool
    ) -> None:
        """All wait as long; while others pass, with fewer that go together."""
        gate, (first, trouble) = self._gate, failed[0]
        if alone:
            self._failed(first.lane, trouble, verdict, now)
            return
        others_pass = False
        for cell, _ in failed:
            lane = cell.lane
            if lane.failing is None:
                lane.failing = Failing(now)
            others_pass = lane.failing.others_pass(answered=gate.answered, accepted=gate.accepted) or others_pass
        narrower = others_pass and not verdict.throttled
        # While it is found out which of them it is, the others should not wait for long.
        attempts = 1 if narrower else trouble.attempts
        delay_s = self._backoff.delay_s(attempts) if verdict.after_s is None else verdict.after_s
        for cell, _ in failed:
            if narrower:
                _narrow(cell, len(failed))
            self._lanes.retry(cell.lane, now + delay_s, asked=verdict.after_s is not None)

    def _audit(self, cells: Sequence[Cell], verdicts: Sequence[Verdict | None]) -> None:
        """What cannot be undone is written down: which records asked for it."""
        if self._route is not Route.BULKDELETE:
            return
        taken = [cell for cell, verdict in zip(cells, verdicts, strict=True) if isinstance(verdict, Accepted)]
        if taken:
            positions = [position(delivery.ticket.record) for cell in taken for _, delivery, _ in cell.parts]
            log.info("Pendo was asked to delete visitors, and agreed", visitors=len(taken), positions=positions)


def _verdicts(cells: Sequence[Cell], answer: Answer, on_all: Verdict, status: int | str) -> list[Verdict | None]:
    """The verdict on each; None where it is not known which of them are wrong."""
    if not isinstance(on_all, Accepted):
        undecided = len(cells) > 1 and (isinstance(on_all, Refused | OptedOut) or status in TOO_MUCH)
        return [None if undecided else on_all] * len(cells)
    named = [answer.refused.get(cell.id) for cell in cells]
    untold = answer.failures > len(cells) - named.count(None)
    if not untold:
        return [refused or ACCEPTED for refused in named]
    return [refused or (UNTOLD if named.count(None) == 1 else None) for refused in named]


def _is_forbidden(on_all: Verdict) -> bool:
    return isinstance(on_all, Refused) and on_all.reason is Reason.FORBIDDEN


def _narrow(cell: Cell, ids: int) -> None:
    """It goes with half as many next; when it was the only one, its deliveries go in parts."""
    lane = cell.lane
    if ids == 1:
        _go_in_parts(lane)
        return
    if lane.narrow is None:
        lane.narrow = Narrow(ANY)
    lane.narrow.ids = -(-ids // 2)


def _go_in_parts(lane: Lane) -> None:
    if lane.narrow is None:
        lane.narrow = Narrow(ANY)
    lane.narrow.doubtful = lane.in_flight
