"""All routes' senders as one: what a rebalance, a stop and a scrape ask of the delivery engine."""

import asyncio
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final, assert_never

from consumer import metrics
from consumer.delivery.crew import Crew
from consumer.delivery.lease import Hold, Lease
from consumer.delivery.letters import skipped_letter
from consumer.delivery.standing import Standing, Wait, first_standings, standings
from consumer.delivery.tally import Counts
from consumer.delivery.ticket import Ticket
from consumer.kafka.letterbox import Letterbox
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, position
from consumer.metrics import Sample
from consumer.outcomes import EventType
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import Stall

_HOLDS: Final[Mapping[Hold, Wait]] = {
    Hold.PAUSED: Wait.PAUSED,
    Hold.OPERATOR: Wait.PAUSED,
    Hold.REBALANCE: Wait.REBALANCE,
    Hold.ASLEEP: Wait.ASLEEP,
}
"""What every event waits for while nothing is sent."""


class Routes:
    """The routes in use, and the letterbox beside them.

    Attributes:
        senders: By route: senders, or callers.
    """

    def __init__(self, senders: Mapping[Route, Crew[Any, Any]], letterbox: Letterbox, lease: Lease) -> None:
        self.senders = senders
        self._lease = lease
        self._letterbox = letterbox

    def in_flight(self) -> int:
        """Requests on the wire, over all routes."""
        return sum(senders.gate.in_flight for senders in self.senders.values())

    def is_sated(self) -> bool:
        """Whether on every route more lies ready than is sent in the next moment."""
        # Each is asked: what one answers depends on what it answered before.
        sated = [senders.is_sated() for senders in self.senders.values()]
        return all(sated)

    def stalls(self) -> list[Stall]:
        """What an operator must mend, each once."""
        return sorted({s.gate.stall for s in self.senders.values() if s.gate.stall is not None})

    @property
    def flooded(self) -> bool:
        """Whether delivery stopped because most events are refused."""
        return any(senders.gate.flood.active for senders in self.senders.values())

    @property
    def flags(self) -> int:
        """What travels with commits: a bit for each route whose flood stop is on, in the order of `Route`."""
        return sum(
            1 << bit
            for bit, route in enumerate(Route)
            if route in self.senders and self.senders[route].gate.flood.active
        )

    def take_over(self, flags: int) -> None:
        """A commit was restored: a flood stop goes on, whoever was in it."""
        for bit, route in enumerate(Route):
            if flags >> bit & 1 and route in self.senders:
                self.senders[route].begin_flood()

    def drop_released(self) -> None:
        """Forget deliveries whose records went back to Kafka, but for those in flight."""
        for senders in self.senders.values():
            senders.drop_released()

    def relieve(self) -> bool:
        """A partition cannot be read on: give up what stands in its way; whether the rest shows only by reading on."""
        if self._lease.held:
            return False
        undecided = [senders.relieve() for senders in self.senders.values()]
        return any(undecided)

    def standings(self, ticket: Ticket) -> list[Standing]:
        """Where the open events of a record stand; those of which only a letter is left, too."""
        held = self._held
        found = [standing for senders in self.senders.values() for standing in standings(senders, ticket, held)]
        letters = sum(owner is ticket for owner in self._letterbox.owners())
        return found + [Standing(position=position(ticket.record), wait=Wait.LETTER)] * letters

    @property
    def _held(self) -> Wait | None:
        return next((wait for why, wait in _HOLDS.items() if why in self._lease.held), None)

    def first_standings(self, tickets: Container[Ticket]) -> dict[Ticket, Standing]:
        """Where an open event of each of these records stands; the records of which only a letter is left, too."""
        found = {
            owner: Standing(position=position(owner.record), wait=Wait.LETTER)
            for owner in self._letterbox.owners()
            if isinstance(owner, Ticket) and owner in tickets
        }
        # What still waits to be sent says more than a letter; of several routes the first does.
        for senders in reversed(list(self.senders.values())):
            found.update(first_standings(senders, tickets, self._held))
        return found

    def open_types(self) -> Counts[EventType]:
        """Open events by type, counted where they wait."""
        counts: Counts[EventType] = Counts()
        for senders in self.senders.values():
            for lane in senders.lanes:
                for delivery in lane.queue:
                    if not delivery.ticket.progress.released:
                        counts[delivery.type] += 1
        for type_ in self._letterbox.open_types():
            counts[type_] += 1
        return counts

    @property
    def held(self) -> frozenset[Hold]:
        """Why nothing is sent."""
        return frozenset(self._lease.held)

    def unread(self, partition: Partition, offset: int) -> Standing:
        """Where a record stands that was open at the last commit and is not read again yet."""
        return Standing(position=f"{partition.topic}-{partition.partition}@{offset}", wait=Wait.UNREAD)

    def is_held(self, why: Hold) -> bool:
        """Whether this is a reason to start no request."""
        return why in self._lease.held

    def skip(self, ticket: Ticket, asked_by: str) -> tuple[int, int]:
        """An operator gives up what is open of a record: how many events, and how many are on the wire and stay."""
        skipped = on_the_wire = 0
        for senders in self.senders.values():
            deliveries = [(lane, each) for lane in senders.lanes for each in lane.queue if each.ticket is ticket]
            for lane, delivery in deliveries:
                if senders.lanes.withdraw(lane, delivery):
                    skipped += 1
                    self._letterbox.park(skipped_letter(delivery, asked_by), ticket)
                else:
                    on_the_wire += 1
            senders.wake()
        return skipped, on_the_wire

    def own(self, partitions: int, of: int) -> None:
        """So many of the group's partitions are ours, and so large a part of its quotas."""
        if partitions:
            for senders in self.senders.values():
                senders.gate.bucket.share(partitions / max(of, partitions))

    def hold(self, why: Hold) -> None:
        """Start no request on any route, until `free`."""
        self._lease.held.add(why)

    def free(self, why: Hold) -> None:
        """This is no reason any more to start no request."""
        self._lease.held.discard(why)
        for senders in self.senders.values():
            if _long(why):
                senders.forgive()
            senders.wake()

    def busy_with(self, progresses: Sequence[Progress]) -> bool:
        """Whether a request or a dead letter of these partitions is on its way."""
        leaving = set(map(id, progresses))
        in_flight = (d.ticket for senders in self.senders.values() for d in senders.lanes.in_flight())
        return any(id(t.progress) in leaving for t in in_flight) or any(
            id(owner.progress) in leaving for owner in self._letterbox.owners()
        )

    def stop(self) -> None:
        """Start no further request."""
        for senders in self.senders.values():
            senders.stop()

    async def drain(self, timeout_s: float) -> bool:
        """After `stop`: wait for what is in flight and for dead letters; whether all were answered in time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        answered = all(await asyncio.gather(*(s.drain(timeout_s) for s in self.senders.values())))
        return await self._letterbox.flush(deadline - asyncio.get_running_loop().time()) and answered

    def samples(self) -> Iterator[Sample]:
        """The engine's metrics."""
        yield Sample(metrics.DEAD_LETTERS_PARKED, len(self._letterbox))
        for why in Hold:
            yield Sample(metrics.SENDING_HELD, int(why in self._lease.held), (why.value,))
        for senders in self.senders.values():
            yield from _samples(senders)


def _long(why: Hold) -> bool:
    """Whether it can last as long as a retry window: then none has run meanwhile."""
    match why:
        case Hold.PAUSED | Hold.OPERATOR | Hold.ASLEEP:
            return True
        case Hold.REBALANCE:
            # The group's own timeouts bound it; and they may follow each other faster than a window runs out.
            return False
        case _:
            assert_never(why)


def _samples(senders: Crew[Any, Any]) -> Iterator[Sample]:
    gate, route = senders.gate, (senders.route.value,)
    for status, count in senders.requests.items():
        yield Sample(metrics.REQUESTS, count, (*route, str(status)))
    yield Sample(metrics.REQUESTS_IN_FLIGHT, gate.in_flight, route)
    yield Sample(metrics.REQUEST_DURATION, senders.durations, route)
    yield Sample(metrics.GATE_STATE, gate.state.value, route)
    yield Sample(metrics.CONCURRENCY_LIMIT, gate.limit.value, route)
    yield Sample(metrics.IN_DOUBT, int(gate.doubt.active), route)
    yield Sample(metrics.LANES_SET_ASIDE, len(senders.lanes.aside), route)
    for stall in Stall:
        yield Sample(metrics.STALLED, int(gate.stall is stall), (*route, stall.value))
    for type_, ages in senders.consequences.ages.items():
        yield Sample(metrics.DELIVERY_AGE, ages, (type_.value,))
