"""Polling: the loop that reads as long as there is room, and hands records to admission.

It ends when asked to, never by an error of Kafka: those are waited out.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import monotonic, time
from typing import Final, Protocol

from consumer.delivery.tally import Tally
from consumer.errors import BrokerError, UnjoinableError
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, Record
from consumer.log import get_logger
from consumer.worker.partitions import Partitions
from consumer.worker.pressure import MAX_POLL_RECORDS, Pressure, is_full

log = get_logger(__name__)

WORTHWHILE_PARTS: Final = 20
"""A twentieth of the buffer, or a full poll, must be free: a poll for each settled event would cost more than it."""
FULL_CHECK_S: Final = 0.005
"""How often a full buffer is looked at again: far shorter than what stands in it takes to be delivered."""
SATED_CHECK_S: Final = 0.02
"""How often it is looked whether what lies ready goes to its end: each look wakes the process."""
RETRY_DELAY_S: Final = 1.0
RELIEF_INTERVAL_S: Final = 0.25
"""How often what blocks a partition is looked at; a scan of all lanes that wait."""
TRICKLE: Final = 50
"""Records that are read all the same while it is not clear whether a failing head is poison."""
OVERSHOOT: Final = 1.1
"""Of the buffer, for those."""


class Reader(Protocol):
    """Where records come from."""

    async def start(self, assignments: Partitions) -> None:
        """Connect and join the group; waits until that is possible."""

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Where reading stands, as far as known."""

    def prefetched_bytes(self, partitions: int) -> int:
        """What the client may hold beside what is open, with so many partitions."""

    async def poll(
        self, max_records: int, partitions: Collection[Partition] = ()
    ) -> Mapping[Partition, Sequence[Record]]:
        """Records that have arrived; of these partitions alone, when any are named."""


class Admitting(Protocol):
    """Takes what was read."""

    def admit(self, progress: Progress, records: Sequence[Record], now_ms: int) -> None:
        """Open the records of a partition that were not started before; `now_ms` is when they were polled."""


class Delivering(Protocol):
    """Where events go: whether more are wanted, and what gives way."""

    def is_sated(self) -> bool:
        """Whether more lies ready than is sent in the next moment: what is read beside it would only take room."""

    def relieve(self) -> bool:
        """A partition cannot be read on: give up what stands in its way; whether the rest shows only by reading on."""


class Polling:
    """The poll loop.

    Attributes:
        started: Whether the group has been joined once.
        problem: Why reading fails at present, be it of one partition; None when it does not.
        unjoinable: Whether it is the group that does not take us.
    """

    def __init__(
        self,
        reader: Reader,
        partitions: Partitions,
        admission: Admitting,
        *,
        pressure: Pressure,
        routes: Delivering,
        tally: Tally,
        max_open_events: int,
        max_open_bytes: int,
    ) -> None:
        self.started = False
        self.problem: str | None = None
        self.unjoinable = False
        self._reader = reader
        self._partitions = partitions
        self._admission = admission
        self._pressure = pressure
        self._routes = routes
        self._relieved_s = 0.0
        self._tally = tally
        self._max_open_events = max_open_events
        self._max_open_bytes = max_open_bytes
        self._worthwhile = max(1, min(MAX_POLL_RECORDS, max_open_events // WORTHWHILE_PARTS))
        self._stopping = False
        self._turned_s = monotonic()

    def idle_s(self) -> float:
        """Seconds since a turn last went well; 0 until the group has been joined once."""
        return monotonic() - self._turned_s if self.started else 0.0

    def stop(self) -> None:
        """Admit nothing more."""
        self._stopping = True

    async def run(self) -> None:
        """Poll until stopped."""
        await self._reader.start(self._partitions)
        self.started = True
        self._turned_s = monotonic()
        while not self._stopping:
            try:
                await self._turn()
            except BrokerError as error:
                self.problem = str(error)
                self.unjoinable = isinstance(error, UnjoinableError)
                log.warning("reading from Kafka failed; trying again", problem=self.problem)
                await asyncio.sleep(RETRY_DELAY_S)
            else:
                self.problem = self._partitions.problem
                self.unjoinable = False
                # Only a turn that went well: a client whose inner task has died fails every poll for good.
                self._turned_s = monotonic()

    async def _turn(self) -> None:
        if self._partitions.unrestored:
            await self._partitions.restore()
        owned = self._partitions.owned
        room = self.room()
        waiting = self._pressure.waiting(owned, full=room == 0)
        if (waiting or room == 0) and (trickle := self._trickle()):
            room, waiting = trickle, self._pressure.brimming(owned)
        full = room == 0 or (waiting and len(waiting) == len(owned))
        if full or self._routes.is_sated():
            await asyncio.sleep(FULL_CHECK_S if full else SATED_CHECK_S)
            return
        # Only named when some must wait: the client's own `pause` would throw away what it has read ahead.
        readable = owned.keys() - waiting if waiting else ()
        batches = await self._reader.poll(min(room, MAX_POLL_RECORDS), readable)
        if self._stopping:
            return
        now_ms = int(time() * 1000)
        for partition, records in batches.items():
            progress = self._partitions.owned.get(partition)
            if progress is None:
                continue
            if records[0].offset <= progress.last_read:
                self._partitions.begin_anew(partition)
                continue
            if records[0].offset > progress.last_read + 1:
                self._partitions.note_jump(partition, records[0].offset)
            wanted = self._as_far_as_its_map(partition, progress, records)
            progress.last_read = wanted[-1].offset
            self._admission.admit(progress, wanted, now_ms)
        if self._partitions.gaps_due:
            await self._pass_gaps()
        # A full prefetch buffer answers without ever yielding; the loop must have its turn.
        await asyncio.sleep(0)

    def _as_far_as_its_map(
        self, partition: Partition, progress: Progress, records: Sequence[Record]
    ) -> Sequence[Record]:
        """Of a partition that was taken over with a full map only what that map calls open; then it waits as any other.

        Else each handover would add a poll's worth, until the map is cut.
        """
        if not progress.unread or progress.next_offset is None or not is_full(progress):
            return records
        wanted = [record for record in records if record.offset < progress.next_offset]
        if not wanted or len(wanted) == len(records):
            return records
        self._partitions.read_from(partition, progress.next_offset)
        return wanted

    async def _pass_gaps(self) -> None:
        """Pass over what the client never hands out; only here is all admitted that lies before its position."""
        self._partitions.gaps_due = False
        positions = await self._reader.positions(sorted(self._partitions.owned))
        for partition, offset in positions.items():
            # A revoke may have come meanwhile; whatever comes back is restored by this loop first.
            if partition in self._partitions.owned:
                self._partitions.note_position(partition, offset)

    def room(self) -> int:
        """How many events may be opened now; 0 until there is room for a poll that is worth its price."""
        room = self._max_open_events - self._tally.open_events
        if room < self._worthwhile or self._held_bytes() >= self._max_open_bytes:
            return 0
        return room

    def holds_back(self) -> bool:
        """Whether nothing is read on purpose: the buffer is full, or enough lies ready."""
        return self.room() == 0 or self._routes.is_sated()

    def _held_bytes(self) -> int:
        prefetched = self._reader.prefetched_bytes(len(self._partitions.owned))
        return self._tally.open_bytes + min(prefetched, self._max_open_bytes // 2)

    def _trickle(self) -> int:
        """Ask for relief; how many records are to be read all the same.

        Whether a failing head is poison shows only while others pass; when all others are through, some must be read.
        """
        now_s = monotonic()
        if now_s - self._relieved_s < RELIEF_INTERVAL_S:
            return 0
        self._relieved_s = now_s
        if not self._routes.relieve() or self._held_bytes() >= OVERSHOOT * self._max_open_bytes:
            return 0
        return max(min(TRICKLE, int(OVERSHOOT * self._max_open_events) - self._tally.open_events), 0)
