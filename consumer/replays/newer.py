"""Newer state: what other events have written of those whose letters are sent again, so that none goes back in time.

The source topics are read beside the replay, without a group. What newer events wrote before a letter goes out is left
out of it, by the engine's memory. What they write while a letter is on the wire may be overtaken by it: then the newer
events are sent once more, and again, until none came meanwhile. They know nothing of commits.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any, Final

from consumer.delivery.lane import Delivery
from consumer.delivery.memory import Memory
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.progress import Progress
from consumer.kafka.reading import Log, open_log
from consumer.kafka.records import Record, position
from consumer.mapping.router import Router
from consumer.outcomes import EventType, Outcome, Reason
from consumer.replays.plan import Plan, Planned
from consumer.writing import Write, writes_in

FIELDS_ROOM: Final = 10
"""So many times the keys of a plan are remembered, so that none with many fields is forgotten."""


def memory_for(plan: Plan) -> Memory:
    """A memory that forgets nothing of what a plan is about."""
    keys = {planned.key for planned in plan.with_state()}
    return Memory(ids=FIELDS_ROOM * (len(keys) + 1), message_ids=2 * len(plan.all()) + 2, suppress_unchanged=False)


class Newer:
    """Follows the source topics, and mends what a letter has overtaken.

    Args:
        router: From events to requests.
        memory: The engine's: what it knows to be newer is left out of a letter.
        plan: Whose letters are sent again.
        send: Takes a newer event that is to be sent once more.
    """

    def __init__(self, router: Router, memory: Memory, plan: Plan, send: Callable[[Delivery], None]) -> None:
        self._router = router
        self._memory = memory
        self._send = send
        self._plan = plan
        self._keys = {planned.key for planned in plan.with_state()}
        # By key: how many of its letters are open, and how many newer events that are sent once more.
        self._letters: Counter[str] = Counter()
        self._mending: Counter[str] = Counter()
        # By key: what newer events wrote since one of its letters was admitted.
        self._writes: dict[str, list[Write]] = {}
        # By key: when something of it was delivered that a newer event may have been overtaken by.
        self._unproven: dict[str, float] = {}
        self._logs: list[Log] = []

    @property
    def settled(self) -> bool:
        """Whether every key has at Pendo what was written last, as far as the topics tell and letters were settled."""
        return not self._unproven and not self._mending

    async def open(self, stack: AsyncExitStack, options: Mapping[str, Any], topics: Iterable[str]) -> None:
        """Read what came after the oldest letter that writes fields, to the topics' ends; nothing if none does.

        Args:
            stack: Closes what is opened.
            options: The Kafka client's.
            topics: Where events come from, beside those that letters came from.

        Raises:
            BrokerError: They cannot be read.
        """
        if not self._keys:
            return
        since_ms = min(planned.came_ms for planned in self._plan.with_state())
        for topic in sorted({*topics, *(origin.topic for origin in self._plan.origins())}):
            self._logs.append(await stack.enter_async_context(open_log(options, topic, since_ms=since_ms)))
        await self.catch_up()

    async def catch_up(self) -> None:
        """Read on to the topics' ends, and send once more what was overtaken.

        Raises:
            BrokerError: They cannot be read.
        """
        asked_s = monotonic()
        for log in self._logs:
            async for record in log.catch_up():
                self._see(record)
        self._mend(asked_s)

    def begun(self, planned: Planned) -> None:
        """A letter was admitted."""
        if planned.key is not None:
            self._letters[planned.key] += 1

    def ended(self, planned: Planned, outcome: Outcome) -> None:
        """A letter was settled."""
        if planned.key is not None:
            self._ended(self._letters, planned.key, outcome)

    def none_open(self) -> None:
        """No letter is open: those that were let go of do not count any more."""
        self._letters.clear()

    def _ended(self, counted: Counter[str], key: str, outcome: Outcome) -> None:
        if outcome in {Outcome.DELIVERED, Outcome.MERGED}:
            self._unproven[key] = monotonic()
        counted[key] -= 1
        if counted[key] <= 0:
            del counted[key]
        if not self._watched(key):
            self._writes.pop(key, None)

    def _watched(self, key: str) -> bool:
        """Whether something of it is on its way, or may have overtaken what is newer."""
        return key in self._letters or key in self._mending or key in self._unproven

    def _see(self, record: Record) -> None:
        for write in writes_in(record, self._plan.envelope_path, self._router):
            if write.state.key in self._keys and (position(record), write.event.index) not in self._plan.parked:
                self._note(write)

    def _note(self, write: Write) -> None:
        self._memory.note(write.request, write.stamp, delivered=False)
        key = write.state.key
        if self._watched(key):
            kept = [earlier for earlier in self._writes.get(key, ()) if not _covers(write, earlier)]
            self._writes[key] = [*kept, write]

    def _mend(self, asked_s: float) -> None:
        """Send once more what came while a letter was on the wire, of keys of which all was read since.

        Args:
            asked_s: Whatever was delivered before this time has been read.
        """
        for key, delivered_s in list(self._unproven.items()):
            if delivered_s >= asked_s or key in self._letters or key in self._mending:
                continue
            del self._unproven[key]
            for write in self._writes.pop(key, ()):
                self._mending[key] += 1
                ticket = MendingTicket(write.record, self, key)
                ticket.admit(1)
                self._send(Delivery(write.request, ticket, write.event.type, write.event.index, write.event.message_id))

    def mended(self, key: str, outcome: Outcome) -> None:
        """A newer event was sent once more: what came meanwhile may be overtaken by it in turn."""
        self._ended(self._mending, key, outcome)


class MendingTicket(Ticket):
    """The ticket of a newer event that is sent once more; it belongs to no partition of ours."""

    __slots__ = ("_key", "_newer")

    def __init__(self, record: Record, newer: Newer, key: str) -> None:
        super().__init__(record, Progress(record.topic, record.partition), Tally(), record.timestamp)
        self._newer = newer
        self._key = key

    def settle(self, type_: EventType, outcome: Outcome, reason: Reason, index: int | None = None) -> None:  # noqa: ARG002
        """Tell that it went."""
        self._newer.mended(self._key, outcome)


def _covers(write: Write, earlier: Write) -> bool:
    return write.stamp >= earlier.stamp and set(write.state.fields).issuperset(earlier.state.fields)
