"""The overview: how far each of our partitions is, and what holds its commit. Asked on request; nothing is changed."""

import time
from collections.abc import Mapping
from typing import Any

from consumer.delivery.routes import Routes
from consumer.delivery.standing import Standing
from consumer.delivery.ticket import Ticket
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.worker.lag import Lag
from consumer.worker.partitions import Partitions


class Overview:
    """Looks at the parts that know."""

    def __init__(self, partitions: Partitions, lag: Lag, routes: Routes) -> None:
        self._partitions = partitions
        self._lag = lag
        self._routes = routes

    def partitions(self) -> list[dict[str, Any]]:
        """Each of ours: offsets, how far behind, and what its oldest open record waits for."""
        owned = sorted(self._partitions.owned.items())
        oldest = {record for _, progress in owned if (record := _oldest(progress)) is not None}
        standings = self._routes.first_standings(oldest)
        return [self._of(partition, progress, standings) for partition, progress in owned]

    def _of(self, partition: Partition, progress: Progress, standings: Mapping[Ticket, Standing]) -> dict[str, Any]:
        behind = self._lag.of(partition)
        return {
            "topic": partition.topic,
            "partition": partition.partition,
            "committed": progress.committed,
            "end": behind.end,
            "lag": behind.lag,
            "backlog": behind.backlog,
            "read": progress.next_offset,
            "open": progress.open_offsets,
            "finished_beyond": progress.finished_beyond,
            "blocked_s": round(behind.blocked_s, 1),
            "oldest_ms": self._oldest_ms(progress),
            "blocked_by": self._blocked_by(partition, progress, standings),
        }

    def _oldest_ms(self, progress: Progress) -> int | None:
        """How long ago the oldest open record arrived in Kafka, milliseconds."""
        oldest = next(progress.open_records(), None)
        return max(int(time.time() * 1000) - oldest.arrived_ms, 0) if isinstance(oldest, Ticket) else None

    def _blocked_by(
        self, partition: Partition, progress: Progress, standings: Mapping[Ticket, Standing]
    ) -> dict[str, Any] | None:
        """An event of the oldest open record; nothing when nothing is open."""
        offset = progress.watermark
        if offset is None or not progress.open_offsets:
            return None
        record = _oldest(progress)
        if record is None:
            return self._routes.unread(partition, offset).to_json()
        return standings[record].to_json() if record in standings else None


def _oldest(progress: Progress) -> Ticket | None:
    """The record that holds the commit; None when nothing is open, or it is not read again yet."""
    offset = progress.watermark
    record = None if offset is None else progress.open_at(offset)
    return record if isinstance(record, Ticket) else None
