"""Beginnings: where a partition begins that this process did not have before.

Commits, bounds and `start_from` come in, a `Progress` comes out. It asks Kafka, but changes nothing there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from consumer.kafka import offset_map
from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.log import get_logger

log = get_logger(__name__)

StartFrom = Literal["earliest", "latest"] | datetime


class Times(Protocol):
    """Tells which records are how old."""

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """First offsets not older than a time."""


async def wanted(
    times: Times,
    start_from: StartFrom,
    partitions: Sequence[Partition],
    bounds: Mapping[Partition, tuple[int, int]],
) -> dict[Partition, int]:
    """Where partitions without a commit begin, by `start_from`.

    Raises:
        BrokerError: Kafka did not answer.
    """
    if not partitions:
        return {}
    if start_from == "earliest":
        return {partition: bounds[partition][0] for partition in partitions}
    if start_from == "latest":
        return {partition: bounds[partition][1] for partition in partitions}
    found = await times.offsets_at(partitions, int(start_from.timestamp() * 1000))
    ends = {partition: bounds[partition][1] for partition in partitions}
    return {partition: ends[partition] if at is None else at for partition, at in found.items()}


def begun(partition: Partition, commit: tuple[int, str] | None, end: int, start: int) -> tuple[Progress, int]:
    """A new epoch, and the flags that travelled with the commit.

    Args:
        partition: Which.
        commit: Its committed offset and metadata, if any.
        end: Its end offset.
        start: Where to begin without a commit.
    """
    topic, number = partition
    if commit is None:
        progress = Progress(topic, number, start)
        # Committed at once, so that a crash before the first settlement does not move `latest`.
        progress.changes = 1
        progress.last_read = start - 1
        return progress, 0
    offset, metadata = commit
    finished = _usable(offset_map.decode(metadata, offset), partition, end - offset)
    progress = Progress.restored(topic, number, offset, finished)
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
