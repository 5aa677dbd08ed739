"""Beginnings: where a partition begins that this process did not have before.

Commits, bounds and `start_from` come in, a `Progress` comes out. Each partition is asked for by itself, beside the poll
loop: one whose leader is away delays no other. It asks Kafka, but changes nothing there.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol, assert_never

from consumer.errors import BrokerError
from consumer.kafka import offset_map
from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.log import get_logger

log = get_logger(__name__)

StartFrom = Literal["earliest", "latest"] | datetime

PATIENCE_S: Final = 0.25
"""A leader that is there answers in milliseconds; for any other the poll loop does not wait longer."""
RETRY_S: Final = 1.0
"""Between two questions to a leader that does not answer."""


class Offsets(Protocol):
    """What is asked of Kafka here."""

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """Committed offsets and metadata."""

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """First and end offsets."""

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """First offsets not older than a time."""


class Beginning(NamedTuple):
    """A new epoch of a partition.

    Attributes:
        progress: Where it begins.
        flags: What travelled with its commit.
        expired: Records that retention deleted before they were read.
    """

    progress: Progress
    flags: int
    expired: int


class Beginnings:
    """Asks where partitions begin, and keeps the answers until they are fetched."""

    def __init__(self, offsets: Offsets, start_from: StartFrom) -> None:
        self._offsets = offsets
        self._start_from = start_from
        self._asked: dict[Partition, asyncio.Task[Beginning]] = {}
        self._fresh: list[asyncio.Task[Beginning]] = []
        self._silent: dict[Partition, str] = {}
        # What there was before this process joined its group; None when nobody said.
        self._existing: set[Partition] | None = None
        self._begun_topics: set[str] = set()

    def __bool__(self) -> bool:
        """Whether a partition's beginning is asked for, or to be fetched."""
        return bool(self._asked)

    @property
    def problem(self) -> str | None:
        """Why a partition cannot begin at present; None when all can."""
        return next(iter(self._silent.values()), None)

    async def joining(self, partitions: Sequence[Partition]) -> None:
        """The group is about to be joined for the first time: note what there is, to tell what is new later.

        Raises:
            BrokerError: Kafka did not answer.
        """
        if self._start_from == "latest":
            committed = await self._offsets.committed(partitions)
            self._begun_topics = {partition.topic for partition in committed}
        self._existing = set(partitions)

    def ask(self, partition: Partition, commit: tuple[int, str] | None) -> None:
        """Ask where a partition begins, until Kafka answers; without a commit it is where `start_from` says."""
        self._ask(partition, commit, anew=False)

    def ask_anew(self, partition: Partition) -> None:
        """Likewise for one whose log was made anew: all of it is new, and no commit counts."""
        self._ask(partition, None, anew=True)

    def _ask(self, partition: Partition, commit: tuple[int, str] | None, *, anew: bool) -> None:
        asking = self._insist(partition, commit, anew=anew)
        self._asked[partition] = task = asyncio.create_task(asking, name=f"beginning of {partition}")
        self._fresh.append(task)

    async def wait(self) -> None:
        """Give leaders that are there the time to answer; none when they have had it."""
        fresh, self._fresh = self._fresh, []
        if fresh:
            await asyncio.wait(fresh, timeout=PATIENCE_S)

    def answered(self) -> Iterator[tuple[Partition, Beginning]]:
        """The beginnings that have become known; each is forgotten when the next is asked for."""
        for partition, asked in list(self._asked.items()):
            if asked.done():
                yield partition, asked.result()
                # Not before: what is done with it may fail, and then it comes again.
                del self._asked[partition]

    def forget(self) -> None:
        """Nothing that was asked is of use any more."""
        for asked in self._asked.values():
            asked.cancel()
        self._asked.clear()
        self._silent.clear()

    async def _insist(self, partition: Partition, commit: tuple[int, str] | None, *, anew: bool) -> Beginning:
        while True:
            try:
                first, end = (await self._offsets.bounds([partition]))[partition]
                start = first if anew or commit is not None else await self._start(partition, first, end)
            except BrokerError as error:
                if partition not in self._silent:
                    log.warning(
                        "a partition cannot begin yet; trying again", partition=str(partition), problem=str(error)
                    )
                self._silent[partition] = str(error)
                await asyncio.sleep(RETRY_S)
            else:
                self._silent.pop(partition, None)
                return begun(partition, commit, first=first, end=end, start=start)

    async def _start(self, partition: Partition, first: int, end: int) -> int:
        """Where a partition without a commit begins, by `start_from`.

        Raises:
            BrokerError: Kafka did not answer.
        """
        match self._start_from:
            case "earliest":
                return first
            case "latest":
                return first if self._is_new(partition) else end
            case datetime() as time:
                at = (await self._offsets.offsets_at([partition], int(time.timestamp() * 1000)))[partition]
                return end if at is None else at
            case _:
                assert_never(self._start_from)

    def _is_new(self, partition: Partition) -> bool:
        """Whether a partition without a commit was added to its topic when the group was reading that already.

        Then its records are newer than the group, and `latest`, which is for what was there before, would lose them.
        """
        if self._existing is None:
            return False
        return partition not in self._existing or partition.topic in self._begun_topics


def begun(partition: Partition, commit: tuple[int, str] | None, *, first: int, end: int, start: int) -> Beginning:
    """A new epoch.

    Args:
        partition: Which.
        commit: Its committed offset and metadata, if any.
        first: The log's first offset.
        end: Its end offset.
        start: Where to begin without a commit.
    """
    if commit is None:
        progress, flags = Progress(*partition, start), 0
        # Committed at once, so that a crash before the first settlement does not move `latest`.
        progress.changes = 1
        progress.last_read = start - 1
    else:
        progress, flags = _gone_on_from(partition, *commit, end)
    expired = progress.skip_to(first)
    progress.last_read = max(progress.last_read, first - 1)
    return Beginning(progress, flags, expired)


def _gone_on_from(partition: Partition, offset: int, metadata: str, end: int) -> tuple[Progress, int]:
    finished = _usable(offset_map.decode(metadata, offset), partition, end - offset)
    progress = Progress.restored(*partition, offset, finished)
    progress.last_read = offset - 1
    # What the commit says already; a state that is over by the next one is taken back.
    progress.committed_flags = 0 if finished is None else finished.flags
    return progress, progress.committed_flags


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
