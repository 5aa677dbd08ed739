"""The overview: how far each of our partitions is, and what holds its commit. Asked on request; nothing is changed."""

import time
from typing import Any

from consumer.delivery.routes import Routes
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
        return [self._of(partition, progress) for partition, progress in sorted(self._partitions.owned.items())]

    def _of(self, partition: Partition, progress: Progress) -> dict[str, Any]:
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
            "blocked_by": self._blocked_by(partition, progress),
        }

    def _oldest_ms(self, progress: Progress) -> int | None:
        """How long ago the oldest open record arrived in Kafka, milliseconds."""
        oldest = next(progress.open_records(), None)
        return max(int(time.time() * 1000) - oldest.arrived_ms, 0) if isinstance(oldest, Ticket) else None

    def _blocked_by(self, partition: Partition, progress: Progress) -> dict[str, Any] | None:
        """The first event of the oldest open record; nothing when nothing is open."""
        offset = progress.watermark
        if offset is None or not progress.open_offsets:
            return None
        record = progress.open_at(offset)
        if not isinstance(record, Ticket):
            return self._routes.unread(partition, offset).to_json()
        standings = self._routes.standings(record)
        return standings[0].to_json() if standings else None
