"""The partitions that are ours: where each begins, and how it is given up.

Assignments come in from the source's callbacks; a `Progress` for each partition comes out, restored from its commit.
Restoring happens in the poll loop alone and always ends in a seek. So whatever was polled before it can be dropped:
records may arrive before the callback has finished, and those of an earlier assignment are never mixed in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Final, Protocol

from consumer.delivery.lease import Hold
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import release
from consumer.kafka import offset_map
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.log import get_logger
from consumer.worker import beginnings
from consumer.worker.beginnings import Beginning, Beginnings, StartFrom
from consumer.worker.expiry import Expiry

log = get_logger(__name__)

REVOKE_COMMITS_S: Final = 15.0
"""Beyond the drain, for both commits of a revoke; below the margin that the group is told to wait."""
SETTLE_CHECK_S: Final = 0.01
"""How often a revoke looks whether what is in flight has been answered."""


class Offsets(beginnings.Offsets, Protocol):
    """What is asked of Kafka here."""

    @property
    def partition_count(self) -> int:
        """Partitions that the topics have."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from there; raises `BrokerError` when the partition is not assigned."""


class Delivering(Protocol):
    """What is asked of the delivery engine here."""

    def hold(self, why: Hold) -> None:
        """Start no request."""

    def free(self, why: Hold) -> None:
        """Go on."""

    def drop_released(self) -> None:
        """Forget deliveries whose records went back to Kafka, but for those in flight."""

    def busy_with(self, progresses: Sequence[Progress]) -> bool:
        """Whether a request or a dead letter of these partitions is on its way."""

    def own(self, partitions: int, of: int) -> None:
        """So many of the group's partitions are ours."""

    def take_over(self, flags: int) -> None:
        """Go on with the states that a commit tells of."""


class Partitions:
    """Owned partitions.

    Attributes:
        owned: Their progress; a partition that is assigned but not restored yet is missing.
        rebalances: Assignments so far.
        gaps_due: Set when it is known anew where logs begin: then what reading has passed over can be told from losses.
        expiry: What retention deleted before it was read.
    """

    def __init__(
        self,
        offsets: Offsets,
        delivering: Delivering,
        *,
        start_from: StartFrom,
        drain_s: float,
        tag: bytes,
        tally: Tally,
        commit: Callable[[Iterable[Progress]], Awaitable[bool]],
    ) -> None:
        self.owned: dict[Partition, Progress] = {}
        self.rebalances = 0
        self.gaps_due = False
        self.expiry = Expiry()
        self._offsets = offsets
        self._delivering = delivering
        self._drain_s = drain_s
        self._tag = tag
        self._tally = tally
        self._commit = commit
        # Assigned, but whose commits they go on from is not known yet; then they are in one of the others.
        self._unrestored: set[Partition] = set()
        self._beginnings = Beginnings(offsets, start_from)
        # Given up at a rebalance that is not over: who gets them is not known, or not what was committed meanwhile.
        self._kept: dict[Partition, Progress] = {}
        self._leaving: list[Progress] = []
        self._generation = 0

    def progresses(self) -> Iterator[Progress]:
        """All partitions with open work, those kept over a rebalance included."""
        yield from self.owned.values()
        yield from self._kept.values()

    def committable(self) -> Iterator[Progress]:
        """Partitions that we may commit: ours, and those whose revoke is not over."""
        yield from self.owned.values()
        yield from self._leaving

    @property
    def uncommitted(self) -> bool:
        """Whether something was settled of partitions that we may not commit, since a rebalance is not over."""
        return any(p.changes != p.committed_changes for p in self._kept.values())

    @property
    def problem(self) -> str | None:
        """Why an assigned partition is not read, while others are; None when all are."""
        return self._beginnings.problem

    def open_events(self) -> int:
        """Open events, counted from their tickets."""
        return sum(ticket.open for progress in self.progresses() for ticket in progress.open_records())

    async def joining(self, partitions: Sequence[Partition]) -> None:
        """The group is about to be joined for the first time; these partitions there are.

        Raises:
            BrokerError: Kafka did not answer; call it again.
        """
        await self._beginnings.joining(partitions)

    def forget(self) -> None:
        """What was asked of an assignment that is over, or by a process that ends, is of no use."""
        self._generation += 1
        self._unrestored.clear()
        self._beginnings.forget()

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """Give partitions up: start no send, commit, wait for what is in flight, commit again, keep the rest.

        What is kept goes on when the partition comes back and nobody else has committed meanwhile.
        """
        self.forget()
        self._delivering.hold(Hold.REBALANCE)
        leaving = {partition: self.owned.pop(partition) for partition in partitions if partition in self.owned}
        if not leaving:
            return
        self._kept |= leaving
        self._leaving = list(leaving.values())
        for progress in self._leaving:
            # Nothing of it is read in any case: whoever fails meanwhile stands in nobody's way.
            progress.pressed = False
        try:
            # The other members wait for us, and the group throws out who takes too long.
            async with asyncio.timeout(self._drain_s + REVOKE_COMMITS_S):
                await self._commit(self._leaving)
                await self._answered(self._leaving)
                await self._commit(self._leaving)
        except TimeoutError:
            log.warning("a revoke's commit took too long: what was delivered since the last one may repeat")
        finally:
            self._leaving = []
        log.info("partitions revoked", partitions=[str(p) for p in partitions], open_events=self._tally.open_events)

    async def _answered(self, leaving: Sequence[Progress]) -> None:
        deadline = monotonic() + self._drain_s
        # A revoke is rare; a signal from every answer would cost the hot path.
        while self._delivering.busy_with(leaving) and monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(SETTLE_CHECK_S)

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """Partitions are ours from now on; the poll loop restores them. What was kept of others is released."""
        self.rebalances += 1
        self.forget()
        self._unrestored = set(partitions)
        self._delivering.own(len(partitions), self._offsets.partition_count)
        released = self._release([p for p in self._kept if p not in self._unrestored])
        if not partitions:
            self._delivering.free(Hold.REBALANCE)
        log.info("partitions assigned", partitions=[str(p) for p in partitions], released=released)

    def _release(self, partitions: Iterable[Partition]) -> int:
        """Hand back to Kafka what was kept of these; returns how many events that were."""
        progresses = [self._kept.pop(partition) for partition in partitions]
        events = sum(release(progress, self._tally) for progress in progresses)
        if progresses:
            self._delivering.drop_released()
        return events

    def release_all(self) -> int:
        """At a stop: hand back to Kafka what is open; returns how many events that were."""
        self.forget()
        self._kept |= self.owned
        self.owned.clear()
        return self._release(list(self._kept))

    @property
    def unrestored(self) -> bool:
        """Whether `restore` has something to do."""
        return bool(self._unrestored) or bool(self._beginnings)

    async def restore(self) -> None:
        """Take on what was assigned, and seek to where it begins; what Kafka does not answer for is left for later.

        Raises:
            BrokerError: The group's commits are not known, or a partition is ours no more; call it again.
        """
        if self._unrestored:
            await self._sort_out()
        await self._beginnings.wait()
        for partition, beginning in self._beginnings.answered():
            self._begin(partition, beginning)

    async def _sort_out(self) -> None:
        """Go on with what nobody else had meanwhile, and ask where the others begin."""
        generation = self._generation
        committed = await self._offsets.committed(sorted(self._unrestored))
        if generation != self._generation:
            return
        for partition in sorted(self._unrestored):
            commit = committed.get(partition)
            if not self._go_on_with(partition, commit):
                self._beginnings.ask(partition, commit)
            self._unrestored.discard(partition)
        # Whatever could be sent is ours; what is still to begin has nothing in the lanes.
        self._delivering.free(Hold.REBALANCE)

    def _begin(self, partition: Partition, beginning: Beginning) -> None:
        self._take_on(partition, beginning.progress)
        self._delivering.take_over(beginning.flags)
        self.expiry.forget(partition)
        self.expiry.count(partition, beginning.expired)

    def read_from(self, partition: Partition, offset: int) -> None:
        """Have the client hand out again what lies there and beyond, though it has handed it out before."""
        self._offsets.seek(partition, offset)

    def _take_on(self, partition: Partition, progress: Progress) -> None:
        self._offsets.seek(partition, progress.last_read + 1)
        self.owned[partition] = progress

    def _go_on_with(self, partition: Partition, commit: tuple[int, str] | None) -> bool:
        """Go on with what was kept of a partition, if nobody but us has committed since; else release it."""
        if partition not in self._kept:
            return False
        if self._is_ours(self._kept[partition], commit):
            # First: a partition that was lost meanwhile cannot be sought, and must not be lost from what is kept.
            self._take_on(partition, self._kept[partition])
            del self._kept[partition]
            return True
        released = self._release([partition])
        log.info("what was open is read again: somebody else had the partition", released=released)
        return False

    def _is_ours(self, kept: Progress, commit: tuple[int, str] | None) -> bool:
        """Whether the commit is the last of our own: none, when none of ours was ever confirmed."""
        return kept.committed is None if commit is None else offset_map.writer_of(commit[1]) == self._tag

    def note_beginnings(self, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        """Remember where logs begin, to tell what is missing when reading jumps.

        Nothing is passed over yet: what the log has lost may still stand in what the client has read ahead.
        """
        self.expiry.note_beginnings({partition: first for partition, (first, _) in bounds.items()})
        self.gaps_due = True

    def note_jump(self, partition: Partition, offset: int) -> None:
        """Reading jumped to `offset`: what lies before the log's beginning expired, the rest are gaps of the log."""
        self.expiry.note_jump(partition, self.owned[partition], offset)

    def note_position(self, partition: Partition, offset: int) -> None:
        """Reading stands at `offset`, and all that it met before is admitted: nothing else lies there.

        Markers of transactions and aborted records are never handed out; at the end of a log no record jumps over them.
        """
        progress = self.owned[partition]
        if progress.next_offset is None or offset < progress.next_offset:
            return
        if offset == progress.next_offset and not progress.unread:
            return
        self.note_jump(partition, offset)
        progress.skip_to(offset)
        progress.last_read = max(progress.last_read, offset - 1)

    def begin_anew(self, partition: Partition) -> None:
        """A log reads from before what was read: its topic was made anew, and no commit counts for it.

        The client passes over it in silence by reading from the log's beginning, where every offset would count as
        read before. What a broker says of a log's end is no better sign: some are wrong, or late.
        """
        log.warning("the log was made anew: reading it from its beginning", partition=str(partition))
        self.expiry.forget(partition)
        self._kept[partition] = self.owned.pop(partition)
        self._release([partition])
        self._beginnings.ask_anew(partition)
