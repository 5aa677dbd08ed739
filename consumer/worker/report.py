"""The report: all that this pod knows of itself, as plain values for the page and for scripts.

The parts' states come in; counts, states and times go out, with no id and no value of any event. Asked on request;
nothing is changed, and nothing is said in words yet: that is done when the reports of all pods are one.
"""

import asyncio
import secrets
import socket
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from time import monotonic, time
from typing import Any, Final

from consumer import __version__
from consumer.delivery.crew import Crew
from consumer.delivery.daily import Day, merged
from consumer.delivery.gate import GateState
from consumer.delivery.routes import Routes
from consumer.delivery.tally import Tally
from consumer.kafka.letterbox import Letterbox
from consumer.metrics import AGE_BUCKETS_S
from consumer.outcomes import EventType, Outcome
from consumer.worker.history import History, Look
from consumer.worker.lag import Lag
from consumer.worker.overview import Overview
from consumer.worker.partitions import Partitions

SHOWN_NAMES: Final = 25
"""Of a day, in a report that goes out every second; all of them are in the table to be taken away."""

RECENT_S: Final = 300
"""Rebalances of the last five minutes are told."""
MAX_REBALANCES: Final = 50
"""More in five minutes are a storm all the same."""


class Report:
    """Looks at the parts that know.

    Attributes:
        history: The last minute; it has to be run.
        overview: How far each partition is.
    """

    def __init__(
        self,
        tally: Tally,
        routes: Routes,
        letterbox: Letterbox,
        partitions: Partitions,
        lag: Lag,
        not_ready: Callable[[], Sequence[str]],
    ) -> None:
        self.history = History(self._look)
        self._tally = tally
        self._routes = routes
        self._letterbox = letterbox
        self._partitions = partitions
        self.overview = Overview(partitions, lag, routes)
        self._not_ready = not_ready
        self._pod = socket.gethostname()
        # Since when there have been so many.
        self._rebalances: deque[tuple[float, int]] = deque(maxlen=MAX_REBALANCES)
        # Pods are told apart by it: a name may be a pod's twice, and an address another's tomorrow.
        self._instance = secrets.token_hex(8)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        since = self.history.since_ms
        return {
            "pod": self._pod,
            "instance": self._instance,
            "version": __version__,
            "now_ms": int(time() * 1000),
            "started_ms": self.history.started_ms,
            "not_ready": [{"reason": str(why), "since_ms": since(("unready", why))} for why in self._not_ready()],
            "held": [{"reason": why.value, "since_ms": since(("held", why))} for why in sorted(self._routes.held)],
            "ledger": self._ledger(),
            "rates": {"bounds_s": AGE_BUCKETS_S, **self.history.to_json()},
            "gates": [self._gate(crew) for crew in self._routes.senders.values()],
            "partitions": self.overview.partitions(),
            "letters": {
                "parked": len(self._letterbox),
                "problem": self._letterbox.problem,
                "topic": self._letterbox.topic,
                "cases": self._letterbox.cases.to_json(),
            },
            "days": self._days(SHOWN_NAMES),
            "expired": {"records": self._partitions.expiry.expired, "last_ms": self._partitions.expiry.last_ms},
            "rebalances": self._partitions.rebalances - self._rebalances_before(),
        }

    def deliveries(self) -> dict[str, Any]:
        """What was delivered on each day, by every name that is counted."""
        return {"instance": self._instance, "days": self._days(None)}

    def _days(self, names: int | None) -> list[dict[str, Any]]:
        """What was delivered on each day of UTC, the oldest first; of each so many names, the most frequent first."""
        days = merged(crew.consequences.days for crew in self._routes.senders.values())
        return [_day(day, names) for day in days]

    def _ledger(self) -> dict[str, Any]:
        tally, open_ = self._tally, self._routes.open_types()
        types = {}
        for type_ in EventType:
            if received := tally.received.get(type_, 0):
                settled = dict.fromkeys(Outcome, 0)
                for (its, outcome, _), count in tally.settled.items():
                    if its is type_:
                        settled[outcome] += count
                waiting = open_[type_]
                # Nobody keeps of which type it was what went back to Kafka; of all together it is known.
                released = received - sum(settled.values()) - waiting
                row = {outcome.value: count for outcome, count in settled.items()}
                types[type_.value] = {"received": received, **row, "released": released, "open": waiting}
        return {
            "types": types,
            "open": tally.open_events,
            "open_bytes": tally.open_bytes,
            "released": tally.released,
            "unaccounted": tally.unaccounted(self._partitions.open_events()),
        }

    def _gate(self, crew: Crew[Any, Any]) -> dict[str, Any]:
        gate = crew.gate
        since_ms = self.history.since_ms(("gate", crew.route, gate.state, gate.stall))
        if gate.state is GateState.CIRCUIT and gate.outage_since is not None:
            since_ms = int((time() - asyncio.get_running_loop().time() + gate.outage_since) * 1000)
        return {
            "route": crew.route.value,
            "state": gate.state.name.lower(),
            "stall": gate.stall.value if gate.stall else None,
            "doubt": gate.doubt.active,
            "since_ms": since_ms,
            "in_flight": gate.in_flight,
            "limit": gate.limit.value,
            "waiting": sum(len(lane.queue) - lane.in_flight for lane in crew.lanes),
            "aside": len(crew.lanes.aside),
            "statuses": {str(status): count for status, count in crew.requests.items()},
        }

    def _look(self) -> Look:
        tally = self._tally
        self._rebalances_before()
        delivered = sum(
            count for (_, outcome, _), count in tally.settled.items() if outcome in {Outcome.DELIVERED, Outcome.MERGED}
        )
        ages = [0] * (len(AGE_BUCKETS_S) + 1)
        for crew in self._routes.senders.values():
            for histogram in crew.consequences.ages.values():
                ages = [have + more for have, more in zip(ages, histogram.counts, strict=True)]
        return Look(
            received=tally.received.total(),
            delivered=delivered,
            settled=tally.settled.total(),
            parked=sum(count for (_, outcome, _), count in tally.settled.items() if outcome is Outcome.DEAD_LETTERED),
            ages=ages,
            states=list(self._states()),
        )

    def _rebalances_before(self) -> int:
        """How many there had been five minutes ago; none at the start, when the first joins the group."""
        now_s, seen = monotonic(), self._rebalances
        if not seen or seen[-1][1] != self._partitions.rebalances:
            seen.append((now_s, self._partitions.rebalances))
        while len(seen) > 1 and now_s - seen[1][0] > RECENT_S:
            seen.popleft()
        return seen[0][1] if now_s - seen[0][0] > RECENT_S else 0

    def _states(self) -> Iterator[Hashable]:
        for crew in self._routes.senders.values():
            yield "gate", crew.route, crew.gate.state, crew.gate.stall
        yield from (("held", why) for why in self._routes.held)
        yield from (("unready", why) for why in self._not_ready())


def _day(day: Day, names: int | None) -> dict[str, Any]:
    frequent = sorted(day.names.items(), key=lambda item: (-item[1], item[0]))
    shown = frequent[:names]
    rest = sum(events for _, events in frequent[len(shown) :])
    return {"day": day.number, "names": [_name(name, events) for name, events in shown], "other": day.other + rest}


def _name(name: tuple[EventType, str], events: int) -> Mapping[str, Any]:
    return {"type": name[0].value, "event": name[1], "delivered": events}
