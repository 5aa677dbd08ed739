"""The callers: the crew of a route whose calls carry many ids.

Of each ready lane a cell is made, of many cells one call; its answer goes to the consequences. How long calls wait for
each other is for `linger`, how many ids one carries for `batch`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from consumer.delivery.batch import Batch
from consumer.delivery.call_consequences import CallConsequences
from consumer.delivery.call_lanes import CallLanes
from consumer.delivery.cells import Cell, Cells
from consumer.delivery.crew import Crew
from consumer.delivery.gate import Gate
from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.memory import Memory
from consumer.errors import UnreachableError
from consumer.pendo.calls import Answer, Form
from consumer.pendo.endpoints import Kind
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import NO_ANSWER

Call = Callable[[Kind, bytes], Coroutine[Any, Any, tuple[Answer, int]]]
"""Makes a call about visitors or about accounts; raises `UnreachableError`."""
Called = asyncio.Task[tuple[Answer, int]]

MAX_CALLS: Final = 16
"""Of one route at once: eight thousand ids, more than Pendo takes in the time that it takes."""
MAX_DELIVERIES: Final = 2_000
"""In one call: to put more together would keep the loop from its other work for too long."""


class Callers(Crew[list[Cell], Called]):
    """One route's callers."""

    lanes: CallLanes
    consequences: CallConsequences

    def __init__(
        self,
        route: Route,
        *,
        gate: Gate,
        lanes: CallLanes,
        memory: Memory,
        consequences: CallConsequences,
        batch: Batch,
        form: Form,
        call: Call,
    ) -> None:
        super().__init__(route, gate=gate, lanes=lanes, memory=memory, consequences=consequences)
        self._batch = batch
        self._cells = Cells(form, memory, consequences.settle_suppressed)
        self._form = form
        self._call = call
        self._calls: set[Called] = set()

    def add(self, delivery: Delivery) -> None:
        """See `Crew.add`; with the first that is ready it begins to wait for more."""
        if self.lanes.add(delivery) and len(self.lanes.ready) == 1:
            self.wake()

    async def run(self) -> None:
        """See `Crew.run`."""
        try:
            await super().run()
        finally:
            for call in self._calls:
                call.cancel()

    def _send(self, turn: list[Cell], now: float) -> None:
        body = self._form.body(turn[0].kind, [cell.element for cell in turn])
        call = self._loop.create_task(self._call(turn[0].kind, body), name=f"{self.route} call")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(partial(self._answered, turn, now))

    def _draw(self, turn: list[Cell], told: Called, began: float, now: float) -> int | str:
        status: int | str
        try:
            answer, status = told.result()
        except UnreachableError as error:
            answer, status = Answer(NO_ANSWER), error.kind
        self.consequences.draw_call(turn, answer, status, began, now)
        return status

    def _wait_s(self, now: float) -> float:
        wait_s = super()._wait_s(now)
        # A probe is to find out something, and waits for nobody.
        return wait_s if wait_s or self.gate.probing else self.lanes.linger.wait_s(now, len(self.lanes.ready))

    def _judged(self) -> list[Cell] | None:
        """The cells of the next call: of one kind, and no more than any of their lanes may go with."""
        cells: list[Cell] = []
        passed: list[Lane] = []
        most = 1 if self.gate.probing else self._batch.size
        looked = deliveries = owed = 0
        while len(cells) < most and looked < 2 * self._batch.size and deliveries < MAX_DELIVERIES:
            lane = self._next_lane()
            if lane is None:
                break
            looked += 1
            if cells and not _fits(lane, cells):
                passed.append(lane)
                owed += looked <= self.lanes.linger.owed
                continue
            deliveries += len(lane.queue)
            cell = self._cells.of(lane)
            if cell is None:
                self.lanes.leave(lane, 0)
                continue
            cells.append(cell)
            if lane.narrow is not None:
                most = min(most, lane.narrow.ids)
        self.lanes.put_back(passed)
        self.lanes.linger.took(looked, owed)
        if not cells and looked:
            # All that was looked at was settled without a request; there may be more.
            self.wake()
        return cells or None

    def _next_lane(self) -> Lane | None:
        return self.lanes.take_probe(self.gate.chance) if self.gate.probing else self.lanes.take()


def _fits(lane: Lane, cells: Sequence[Cell]) -> bool:
    """Whether a lane may go in the same call.

    What has failed goes with its like: one that makes its call fail must not take others into it, call by call, until
    nothing passes and it looks like an outage.
    """
    if lane.narrow is not None and lane.narrow.ids <= len(cells):
        return False
    if (lane.failing is None) is not (cells[0].lane.failing is None):
        return False
    return lane.key.startswith(cells[0].kind)
