"""The partitions that are ours: where each begins, and how it is given up.

Assignments come in from the source's callbacks; a `Progress` for each partition comes out, restored from its commit.
Restoring happens in the poll loop alone and always ends in a seek. So whatever was polled before it can be dropped:
records may arrive before the callback has finished, and those of an earlier assignment are never mixed in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Final, Literal, Protocol

from consumer.delivery.tally import Tally
from consumer.delivery.ticket import release
from consumer.kafka import offset_map
from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.log import get_logger

log = get_logger(__name__)

StartFrom = Literal["earliest", "latest"] | datetime

REVOKE_COMMITS_S: Final = 15.0
"""Beyond the drain, for both commits of a revoke; below the margin that the group is told to wait."""
SETTLE_CHECK_S: Final = 0.01
"""How often a revoke looks whether what is in flight has been answered."""


class Offsets(Protocol):
    """What is asked of Kafka here."""

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """Committed offsets and metadata."""

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """First and end offsets."""

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """First offsets not older than a time."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from there."""


class Delivering(Protocol):
    """What a revoke asks of the delivery engine."""

    def drop_closing(self) -> None:
        """Forget deliveries of closing partitions, but for those in flight."""

    def busy_with(self, progresses: Sequence[Progress]) -> bool:
        """Whether a request or a dead letter of these partitions is on its way."""


class Partitions:
    """Owned partitions.

    Attributes:
        owned: Their progress; a partition that is assigned but not restored yet is missing.
        rebalances: Assignments so far.
        expired: Records that retention deleted before they were read.
    """

    def __init__(
        self,
        offsets: Offsets,
        delivering: Delivering,
        *,
        start_from: StartFrom,
        drain_s: float,
        tally: Tally,
        commit: Callable[[Iterable[Progress]], Awaitable[bool]],
    ) -> None:
        self.owned: dict[Partition, Progress] = {}
        self.rebalances = 0
        self.expired = 0
        self._offsets = offsets
        self._delivering = delivering
        self._start_from = start_from
        self._drain_s = drain_s
        self._tally = tally
        self._commit = commit
        self._unrestored: set[Partition] = set()
        self._anew: set[Partition] = set()
        self._beginnings: dict[Partition, int] = {}
        self._closing: list[Progress] = []
        self._generation = 0

    def progresses(self) -> Iterator[Progress]:
        """All partitions with open work, those closing included."""
        yield from self.owned.values()
        yield from self._closing

    def open_events(self) -> int:
        """Open events, counted from their tickets."""
        return sum(ticket.open for progress in self.progresses() for ticket in progress.open_records())

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """Partitions are ours from now on; the poll loop restores them."""
        self.rebalances += 1
        self._generation += 1
        self._unrestored = set(partitions)
        log.info("partitions assigned", partitions=[str(p) for p in partitions])

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """Give partitions up: start no send, commit, wait for what is in flight, commit again, release the rest."""
        self._generation += 1
        self._unrestored.clear()
        self._anew.clear()
        closing = [self.owned.pop(partition) for partition in partitions if partition in self.owned]
        if not closing:
            return
        self._closing += closing
        for progress in closing:
            progress.closing = True
        self._delivering.drop_closing()
        try:
            # The other members wait for us, and the group throws out who takes too long.
            async with asyncio.timeout(self._drain_s + REVOKE_COMMITS_S):
                await self._commit(closing)
                await self._answered(closing)
                await self._commit(closing)
        except TimeoutError:
            log.warning("a revoke's commit took too long: what was delivered since the last one will repeat")
        finally:
            released = sum(self._release(progress) for progress in closing)
        log.info("partitions revoked", partitions=[str(p) for p in partitions], released=released)

    async def _answered(self, closing: Sequence[Progress]) -> None:
        deadline = monotonic() + self._drain_s
        # A revoke is rare; a signal from every answer would cost the hot path.
        while self._delivering.busy_with(closing) and monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(SETTLE_CHECK_S)

    def _release(self, progress: Progress) -> int:
        if progress not in self._closing:  # a stop in the middle of a revoke was first
            return 0
        events = release(progress, self._tally)
        self._closing.remove(progress)
        return events

    def release_all(self) -> int:
        """At a stop: hand back to Kafka what is open; returns how many events that were."""
        self._closing += self.owned.values()
        self.owned.clear()
        return sum(self._release(progress) for progress in list(self._closing))

    @property
    def unrestored(self) -> bool:
        """Whether `restore` has something to do."""
        return bool(self._unrestored)

    async def restore(self) -> None:
        """Find where assigned partitions begin, and seek there.

        Raises:
            BrokerError: Kafka did not answer; call it again.
        """
        generation = self._generation
        partitions = sorted(self._unrestored)
        committed = await self._offsets.committed(partitions)
        bounds = await self._offsets.bounds(partitions)
        wanted = await self._wanted([p for p in partitions if p not in committed], bounds)
        if generation != self._generation:
            return
        for partition in partitions:
            first, end = bounds[partition]
            commit = None if partition in self._anew else committed.get(partition)
            progress = _begin(partition, commit, end, wanted.get(partition, first))
            self._account_expired(partition, progress.skip_to(first))
            begin = first if progress.watermark is None else progress.watermark
            progress.last_read = begin - 1
            self._offsets.seek(partition, begin)
            self.owned[partition] = progress
        self._unrestored.difference_update(partitions)
        self._anew.difference_update(partitions)

    def note_beginnings(self, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        """Remember where logs begin, to tell what is missing when reading jumps.

        Nothing is passed over yet: what the log has lost may still stand in what the client has read ahead.
        """
        self._beginnings = {partition: first for partition, (first, _) in bounds.items()}

    def note_jump(self, partition: Partition, offset: int) -> None:
        """Reading jumped to `offset`: what lies before the log's beginning expired, the rest are gaps of the log."""
        begin = min(self._beginnings.get(partition, 0), offset)
        self._account_expired(partition, self.owned[partition].skip_to(begin))

    def begin_anew(self, partition: Partition) -> None:
        """A log reads from before what was read: its topic was made anew, and no commit counts for it.

        The client passes over it in silence by reading from the log's beginning, where every offset would count as
        read before. What a broker says of a log's end is no better sign: some are wrong, or late.
        """
        log.warning("the log was made anew: reading it from its beginning", partition=str(partition))
        self._beginnings.pop(partition, None)
        progress = self.owned.pop(partition)
        self._closing.append(progress)
        progress.closing = True
        self._delivering.drop_closing()
        self._release(progress)
        self._unrestored.add(partition)
        self._anew.add(partition)

    def _account_expired(self, partition: Partition, expired: int) -> None:
        if expired:
            self.expired += expired
            log.error(
                "records expired before they were read: raise the topic's retention",
                partition=str(partition),
                records=expired,
            )

    async def _wanted(
        self, partitions: Sequence[Partition], bounds: Mapping[Partition, tuple[int, int]]
    ) -> dict[Partition, int]:
        """Where partitions without a commit begin, by `start_from`."""
        if not partitions:
            return {}
        if self._start_from == "earliest":
            return {partition: bounds[partition][0] for partition in partitions}
        if self._start_from == "latest":
            return {partition: bounds[partition][1] for partition in partitions}
        found = await self._offsets.offsets_at(partitions, int(self._start_from.timestamp() * 1000))
        ends = {partition: bounds[partition][1] for partition in partitions}
        return {partition: ends[partition] if at is None else at for partition, at in found.items()}


def _begin(partition: Partition, committed: tuple[int, str] | None, end: int, wanted: int) -> Progress:
    """The progress that a partition begins with.

    Args:
        partition: Which.
        committed: Its committed offset and metadata, if any.
        end: Its end offset.
        wanted: Where to begin when no commit can be used.
    """
    topic, number = partition
    if committed is not None:
        offset, metadata = committed
        return Progress.restored(
            topic, number, offset, _usable(offset_map.decode(metadata, offset), partition, end - offset)
        )
    progress = Progress(topic, number, wanted)
    # Committed at once, so that a crash before the first settlement does not move `latest`.
    progress.changes = 1
    return progress


def _usable(finished: OffsetMap | None, partition: Partition, unread: int) -> OffsetMap | None:
    """The map, unless it tells of offsets beyond the end: then it is of a topic that was there before.

    Args:
        finished: What the commit's metadata say.
        partition: Which.
        unread: Offsets from the commit to the end.
    """
    if finished is None or sum(finished.runs) <= unread:
        return finished
    log.warning("the offset map reaches beyond the end: the topic was made anew", partition=str(partition))
    return None
