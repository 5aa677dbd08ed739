"""Lanes: in which order the deliveries of one route may go.

Deliveries come in as they are admitted; `take` hands out the next head that may be sent. Lanes know neither time of
day nor network: `now` is handed in, and they never wait.

Beside the lanes, groups of one account stand in its runs.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import ClassVar

from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.runs import Runs
from consumer.kafka.progress import Progress


class Lanes:
    """All lanes of one route.

    Attributes:
        ready: Lanes whose head may be sent, in the order in which they became so.
        aside: Lanes whose head is set aside, the longest first.
        retries: Lanes whose head has failed, by when it may be tried again.
        max_length: Deliveries in one lane from which on it crowds out others: its partitions are not read meanwhile.
    """

    __slots__ = ("_lanes", "_runs", "_sequence", "aside", "max_length", "ready", "retries")

    together: ClassVar[bool] = False
    """Whether all that stands in a lane goes at once."""

    def __init__(self, max_length: int) -> None:
        self.ready: deque[Lane] = deque()
        self.aside: deque[Lane] = deque()
        # (due, sequence, lane); an entry whose lane has another `due` by now is void.
        self.retries: list[tuple[float, int, Lane]] = []
        self.max_length = max_length
        self._lanes: dict[str, Lane] = {}
        self._runs: Runs[Lane] = Runs()
        self._sequence = 0

    def __len__(self) -> int:
        """How many lanes hold open deliveries."""
        return len(self._lanes)

    def __iter__(self) -> Iterator[Lane]:
        """All lanes with open deliveries."""
        return iter(self._lanes.values())

    def may_go(self, lane: Lane) -> bool:
        """Whether the head waits for no other version of its account."""
        run = lane.queue[0].run
        return run is None or self._runs.may_go(run)

    def withdraw(self, lane: Lane, delivery: Delivery) -> bool:
        """Take a delivery out of its lane for good; whether it could be, which it cannot while it is on the wire."""
        place = lane.queue.index(delivery)
        if place < lane.in_flight:
            return False
        if place == 0:
            run = delivery.run
            if run is not None and lane in run.waiting:
                run.waiting.remove(lane)
            elif lane in self.ready:
                self.ready.remove(lane)
            self.conclude_waiting(lane)
            return True
        lane.queue.remove(delivery)
        if delivery.run is not None:
            self.ready.extend(self._runs.leave(delivery.run))
        return True

    def add(self, delivery: Delivery) -> bool:
        """Put a delivery at the end of its lane; whether the lane became ready by it."""
        request = delivery.request
        if request.account is not None:
            delivery.run = self._runs.join(request.account, request.state_hash)
        lane = self._lanes.get(request.lane)
        if lane is not None:
            lane.queue.append(delivery)
            if len(lane.queue) >= self.max_length:
                _crowd(delivery.ticket.progress, lane)
            return False
        lane = self._lanes[request.lane] = Lane(request.lane, delivery)
        self.ready.append(lane)
        return True

    def take(self) -> Lane | None:
        """Mark the next head that may be sent as in flight, and return its lane."""
        ready = self.ready
        while ready:
            lane = ready.popleft()
            run = lane.queue[0].run
            if run is not None and not self._runs.may_go(run):
                run.waiting.append(lane)
                continue
            lane.in_flight = 1
            return lane
        return None

    def take_probe(self, chance: float = 1.0) -> Lane | None:
        """As `take`, but when no head is ready one that is set aside goes, or the failed one that is due first.

        Args:
            chance: Between 0 and 1: below the share of those set aside, one of them goes although others are ready. So
                a random number makes probes a fair sample of what would go next; 1 is for never.
        """
        if chance * (len(self.aside) + len(self.ready)) < len(self.aside):
            self.wake(self.aside[0])
            self.ready.rotate(1)
        lane = self.take()
        while lane is None and (self.aside or self.retries):
            if self.aside:
                self.wake(self.aside[0])
            else:
                self._pop_retry()
            lane = self.take()
        return lane

    def advance(self, lane: Lane) -> None:
        """The head has got its verdict and leaves; the next one becomes the head."""
        run = lane.queue.pop(0).run
        lane.in_flight = 0
        lane.due = 0.0
        if run is not None:
            self.ready.extend(self._runs.leave(run))
        if lane.queue:
            self.ready.append(lane)
        else:
            del self._lanes[lane.key]

    def retry(self, lane: Lane, due: float, *, asked: bool) -> None:
        """The head failed for now: it stays the head and is ready again at `due`."""
        lane.in_flight = 0
        self._leave_aside(lane)
        lane.due = due
        lane.asked = asked
        self._sequence += 1
        heappush(self.retries, (due, self._sequence, lane))

    def set_aside(self, lane: Lane) -> None:
        """The head stays the head, and waits until the gate knows more: for `wake`, `wake_aside` or a probe."""
        lane.in_flight = 0
        lane.aside = True
        self.aside.append(lane)

    def wake(self, lane: Lane) -> None:
        """A head that was set aside may go again."""
        self._leave_aside(lane)
        self.ready.append(lane)

    def _leave_aside(self, lane: Lane) -> None:
        if lane.aside:
            self.aside.remove(lane)
            lane.aside = False

    def wake_aside(self) -> None:
        """All that were set aside may go again."""
        while self.aside:
            self.wake(self.aside[0])

    def conclude_waiting(self, lane: Lane) -> None:
        """A head leaves that waits for its next attempt, or is set aside."""
        self._leave_aside(lane)
        self.advance(lane)

    def waiting(self) -> list[Lane]:
        """Lanes whose head has failed and waits for its next attempt."""
        return [lane for due, _, lane in self.retries if lane.due == due]

    def next_due(self) -> float | None:
        """When the earliest failed head may be tried again."""
        return self.retries[0][0] if self.retries else None

    def wake_due(self, now: float) -> None:
        """Make lanes ready whose time has come."""
        while self.retries and self.retries[0][0] <= now:
            self._pop_retry()

    def excuse(self, began: float, now: float) -> None:
        """Nobody's retry window has run since `began`."""
        for lane in self._lanes.values():
            if lane.failing is not None:
                lane.failing.excuse(began, now)

    def wake_all(self) -> None:
        """An outage is over: do not wait for delays that it caused; those that Pendo asked for stay."""
        asked = [entry for entry in self.retries if entry[2].asked]
        for entry in sorted(self.retries):
            if not entry[2].asked:
                self._revive(entry[0], entry[2])
        self.retries = asked
        self.retries.sort()

    def _pop_retry(self) -> None:
        due, _, lane = heappop(self.retries)
        self._revive(due, lane)

    def _revive(self, due: float, lane: Lane) -> None:
        if lane.due == due:
            lane.due = 0.0
            self.ready.append(lane)

    def drop_released(self) -> None:
        """Forget the deliveries whose records went back to Kafka, but for those in flight.

        What is in flight keeps its lane busy until it answers, so that the same record, read again, waits for it.
        """
        for lane in list(self._lanes.values()):
            head = lane.queue[0]
            waiting = lane.queue[lane.in_flight :]
            keep = [delivery for delivery in waiting if not delivery.ticket.released]
            if len(keep) == len(waiting):
                continue
            for delivery in waiting:
                if delivery.run is not None and delivery.ticket.released:
                    delivery.run.count -= 1
            keep[:0] = lane.queue[: lane.in_flight]
            lane.queue = keep
            if not keep or keep[0] is not head:
                lane.due = 0.0
                lane.aside = False
        self._rebuild()

    def untried(self, refused: int) -> bool:
        """Whether a probe could go beside those so many that were refused in this round, and set aside."""
        return bool(self.ready) or len(self.aside) > refused

    def in_flight(self) -> Iterator[Delivery]:
        """The deliveries on the wire."""
        return (delivery for lane in self._lanes.values() for delivery in lane.queue[: lane.in_flight])

    def _rebuild(self) -> None:
        """Sort every lane anew into ready or retrying, and every run into standing or gone."""
        self._lanes = {key: lane for key, lane in self._lanes.items() if lane.queue}
        self._runs.rebuild()
        self.retries = [entry for entry in self.retries if entry[2].queue and entry[2].due == entry[0]]
        self.retries.sort()
        self.aside = deque(lane for lane in self.aside if lane.aside and lane.queue)
        standing_by = (lane for lane in self._lanes.values() if not lane.in_flight and not lane.due)
        self.ready = deque(lane for lane in standing_by if not lane.aside)


def _crowd(progress: Progress, lane: Lane) -> None:
    """The partition waits for the longest of its long lanes: a short one is soon through, and the long one grows on."""
    crowd = progress.crowd
    if crowd is None or crowd.crowding <= len(lane.queue):
        progress.crowd = lane
