"""All routes' senders as one: what a rebalance, a stop and a scrape ask of the delivery engine."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from consumer import metrics
from consumer.delivery.senders import Senders
from consumer.kafka.letterbox import Letterbox
from consumer.kafka.progress import Progress
from consumer.metrics import Sample
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import Stall


class Routes:
    """The routes in use, and the letterbox beside them.

    Attributes:
        senders: By route.
    """

    def __init__(self, senders: Mapping[Route, Senders], letterbox: Letterbox) -> None:
        self.senders = senders
        self._letterbox = letterbox

    def in_flight(self) -> int:
        """Requests on the wire, over all routes."""
        return sum(senders.gate.in_flight for senders in self.senders.values())

    def stalls(self) -> list[Stall]:
        """What an operator must mend, each once."""
        return sorted({s.gate.stall for s in self.senders.values() if s.gate.stall is not None})

    def drop_closing(self) -> None:
        """Forget deliveries of partitions that are closing, but for those in flight."""
        for senders in self.senders.values():
            senders.drop_closing()

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
        for senders in self.senders.values():
            yield from _samples(senders)


def _samples(senders: Senders) -> Iterator[Sample]:
    gate, route = senders.gate, (senders.route.value,)
    for status, count in senders.requests.items():
        yield Sample(metrics.REQUESTS, count, (*route, str(status)))
    yield Sample(metrics.REQUESTS_IN_FLIGHT, gate.in_flight, route)
    yield Sample(metrics.REQUEST_DURATION, senders.durations, route)
    yield Sample(metrics.GATE_STATE, gate.state.value, route)
    yield Sample(metrics.CONCURRENCY_LIMIT, gate.limit, route)
    for stall in Stall:
        yield Sample(metrics.STALLED, int(gate.stall is stall), (*route, stall.value))
    for type_, ages in senders.ages.items():
        yield Sample(metrics.DELIVERY_AGE, ages, (type_.value,))
