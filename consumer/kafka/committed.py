"""How far a group has come in a partition, as its commit with the offset map tells: a pure value."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from consumer.kafka.cluster import Cluster
from consumer.kafka.offset_map import OffsetMap, decode
from consumer.kafka.records import Partition


@dataclass(frozen=True)
class Committed:
    """One partition's commit.

    Attributes:
        offset: What was committed; None without a commit.
        finished: What is finished beyond it; None when nothing is known to be.
    """

    offset: int | None = None
    finished: OffsetMap | None = None

    @cached_property
    def _begins(self) -> list[int]:
        """Where each run begins, and where the last one ends."""
        runs = () if self.finished is None else self.finished.runs
        return list(accumulate(runs, initial=self.offset or 0))

    def is_finished(self, offset: int) -> bool | None:
        """Whether a record is settled; None when it lies beyond what the commit tells of."""
        if self.offset is None:
            return None
        run = bisect_right(self._begins, offset) - 1
        if run < 0:
            return True
        return run % 2 == 1 if run < len(self._begins) - 1 else None


async def commits_of(options: Mapping[str, Any], group: str, topics: Iterable[str]) -> dict[Partition, Committed]:
    """A group's commits, of every partition that these topics have.

    Raises:
        BrokerError: Kafka does not answer.
    """
    cluster = Cluster(dict(options))
    try:
        counts = await cluster.partitions()
        asked = [Partition(topic, number) for topic in topics for number in range(counts.get(topic, 0))]
        commits = await cluster.committed(group, asked) if asked else {}
    finally:
        await cluster.close()
    found = dict.fromkeys(asked, Committed())
    return found | {
        partition: Committed(offset, decode(metadata, offset)) for partition, (offset, metadata) in commits.items()
    }
