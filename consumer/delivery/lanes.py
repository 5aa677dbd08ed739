"""Lanes: in which order the deliveries of one route may go.

Deliveries come in as they are admitted; `take` hands out the next head that may be sent. Lanes know neither time of
day nor network: `now` is handed in, and they never wait.

A lane is the FIFO of one visitor or account, with at most one delivery in flight. A failing head stays the head:
nothing is ever put back. Beside the lanes, groups of one account stand in *runs* of equal traits. Inside a run groups
of different visitors go side by side; the runs go one after another, in the order of arrival. A head only ever waits
for earlier arrivals, so there is no deadlock.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush

from consumer.delivery.ticket import Ticket
from consumer.outcomes import EventType
from consumer.pendo.requests import Request


class Run:
    """Open groups of one account with equal traits, next to each other in the order of arrival."""

    __slots__ = ("account", "count", "state_hash", "waiting")

    def __init__(self, account: str, state_hash: int) -> None:
        self.account = account
        self.state_hash = state_hash
        self.count = 0
        self.waiting: list[Lane] = []


class Delivery:
    """A request on its way.

    Attributes:
        request: What to send.
        ticket: The record that it came in.
        type: The event's type.
        index: The event's place in its record's array or batch; None when the value is one event.
        message_id: The event's messageId, for a dead letter's header.
        attempts: Requests that were sent, the one in flight included.
        first_attempt_ms: When the first was, milliseconds since the epoch.
        run: For a group with an account the run it stands in.
    """

    __slots__ = ("attempts", "first_attempt_ms", "index", "message_id", "request", "run", "ticket", "type")

    def __init__(
        self, request: Request, ticket: Ticket, type_: EventType, index: int | None, message_id: str | None
    ) -> None:
        self.request = request
        self.ticket = ticket
        self.type = type_
        self.index = index
        self.message_id = message_id
        self.attempts = 0
        self.first_attempt_ms = 0
        self.run: Run | None = None


class Lane:
    """The queue of one visitor or account on one route.

    Attributes:
        key: `visitor:ID` or `account:ID`.
        queue: Open deliveries; the head stays in it while it is in flight.
        in_flight: Whether the head is on the wire.
        due: When a failed head may be tried again; 0 when it has not failed. Seconds of the loop's clock.
        ordered: Whether `due` was Pendo's own `Retry-After`, which an end of an outage does not cut short.
    """

    __slots__ = ("due", "in_flight", "key", "ordered", "queue")

    def __init__(self, key: str) -> None:
        self.key = key
        self.queue: deque[Delivery] = deque()
        self.in_flight = False
        self.due = 0.0
        self.ordered = False


class Lanes:
    """All lanes of one route.

    Attributes:
        ready: Lanes whose head may be sent, in the order in which they became so.
    """

    __slots__ = ("_lanes", "_retries", "_runs", "_sequence", "ready")

    def __init__(self) -> None:
        self.ready: deque[Lane] = deque()
        self._lanes: dict[str, Lane] = {}
        self._runs: dict[str, deque[Run]] = {}
        # (due, sequence, lane); an entry whose lane has another `due` by now is void.
        self._retries: list[tuple[float, int, Lane]] = []
        self._sequence = 0

    def __len__(self) -> int:
        """How many lanes hold open deliveries."""
        return len(self._lanes)

    def add(self, delivery: Delivery) -> bool:
        """Put a delivery at the end of its lane; whether the lane became ready by it."""
        request = delivery.request
        if request.account is not None:
            self._join_run(delivery, request.account, request.state_hash)
        lane = self._lanes.get(request.lane)
        if lane is not None:
            lane.queue.append(delivery)
            return False
        lane = self._lanes[request.lane] = Lane(request.lane)
        lane.queue.append(delivery)
        self.ready.append(lane)
        return True

    def _join_run(self, delivery: Delivery, account: str, state_hash: int) -> None:
        runs = self._runs.get(account)
        if runs is None:
            runs = self._runs[account] = deque()
        if not runs or runs[-1].state_hash != state_hash:
            runs.append(Run(account, state_hash))
        run = delivery.run = runs[-1]
        run.count += 1

    def take(self) -> Lane | None:
        """Mark the next head that may be sent as in flight, and return its lane."""
        ready = self.ready
        while ready:
            lane = ready.popleft()
            run = lane.queue[0].run
            if run is not None and self._runs[run.account][0] is not run:
                run.waiting.append(lane)
                continue
            lane.in_flight = True
            return lane
        return None

    def take_probe(self) -> Lane | None:
        """As `take`, but when no head is ready the failed one that is due first goes at once."""
        lane = self.take()
        while lane is None and self._retries:
            self._pop_retry()
            lane = self.take()
        return lane

    def advance(self, lane: Lane) -> None:
        """The head has got its verdict and leaves; the next one becomes the head."""
        head = lane.queue.popleft()
        lane.in_flight = False
        lane.due = 0.0
        if head.run is not None:
            self._leave_run(head.run)
        if lane.queue:
            self.ready.append(lane)
        else:
            del self._lanes[lane.key]

    def _leave_run(self, run: Run) -> None:
        run.count -= 1
        runs = self._runs[run.account]
        while runs and runs[0].count == 0:
            runs.popleft()
        if not runs:
            del self._runs[run.account]
        elif runs[0].waiting:
            self.ready.extend(runs[0].waiting)
            runs[0].waiting = []

    def retry(self, lane: Lane, due: float, *, ordered: bool) -> None:
        """The head failed for now: it stays the head and is ready again at `due`."""
        lane.in_flight = False
        lane.due = due
        lane.ordered = ordered
        self._sequence += 1
        heappush(self._retries, (due, self._sequence, lane))

    def next_due(self) -> float | None:
        """When the earliest failed head may be tried again."""
        return self._retries[0][0] if self._retries else None

    def wake_due(self, now: float) -> None:
        """Make lanes ready whose time has come."""
        while self._retries and self._retries[0][0] <= now:
            self._pop_retry()

    def wake_all(self) -> None:
        """An outage is over: do not wait for delays that it caused; those that Pendo asked for stay."""
        ordered = [entry for entry in self._retries if entry[2].ordered]
        for entry in sorted(self._retries):
            if not entry[2].ordered:
                self._revive(entry[0], entry[2])
        self._retries = ordered
        self._retries.sort()

    def _pop_retry(self) -> None:
        due, _, lane = heappop(self._retries)
        self._revive(due, lane)

    def _revive(self, due: float, lane: Lane) -> None:
        if lane.due == due:
            lane.due = 0.0
            self.ready.append(lane)

    def drop_closing(self) -> None:
        """Forget the deliveries whose records go back to Kafka, but for those in flight.

        What is in flight keeps its lane busy until it answers, so that the same record, read again, waits for it.
        """
        for lane in list(self._lanes.values()):
            head = lane.queue[0]
            keep = deque(d for d in lane.queue if not d.ticket.closing or (d is head and lane.in_flight))
            if len(keep) == len(lane.queue):
                continue
            for delivery in lane.queue:
                if delivery.run is not None and delivery.ticket.closing and not (delivery is head and lane.in_flight):
                    delivery.run.count -= 1
            lane.queue = keep
            if not keep or keep[0] is not head:
                lane.due = 0.0
        self._rebuild()

    def in_flight(self) -> Iterator[Delivery]:
        """The deliveries on the wire."""
        return (lane.queue[0] for lane in self._lanes.values() if lane.in_flight)

    def _rebuild(self) -> None:
        """Sort every lane anew into ready or retrying, and every run into standing or gone."""
        self._lanes = {key: lane for key, lane in self._lanes.items() if lane.queue}
        for account, runs in list(self._runs.items()):
            self._runs[account] = standing = deque(run for run in runs if run.count)
            for run in standing:
                run.waiting = []
            if not standing:
                del self._runs[account]
        self._retries = [entry for entry in self._retries if entry[2].queue and entry[2].due == entry[0]]
        self._retries.sort()
        self.ready = deque(lane for lane in self._lanes.values() if not lane.in_flight and not lane.due)
