"""How far behind a group is, from Kafka alone: what `lag` prints where no pod is asked.

Settings come in, a row a partition comes out. Nothing is committed, no group is joined.
"""

import asyncio
import time
from typing import Any

from consumer.config.settings import Settings
from consumer.kafka.cluster import Cluster
from consumer.kafka.looking import Ends, ends_of, time_of
from consumer.kafka.records import Partition
from consumer.kafka.security import client_options


async def look(settings: Settings, seconds: float) -> list[dict[str, Any]]:
    """One row a partition: topic, partition, committed, end, lag, backlog, oldest_ms, drain_s, blocked_by.

    Args:
        settings: Which brokers, topics and group.
        seconds: Between the two looks that tell how fast it goes; 0 looks once.

    Raises:
        BrokerError: Kafka does not answer.
    """
    options = client_options(settings.kafka)
    cluster = Cluster(options)
    try:
        counts = await cluster.partitions()
        asked = [Partition(topic, n) for topic in settings.kafka.topics for n in range(counts.get(topic, 0))]
        before = await _commits(cluster, settings, asked)
        if seconds:
            await asyncio.sleep(seconds)
        after = await _commits(cluster, settings, asked) if seconds else before
        ends = await ends_of(options, asked)
        oldest = await time_of(options, {p: at for p, at in after.items() if at < ends[p].end})
    finally:
        await cluster.close()
    now_ms = int(time.time() * 1000)
    moved = {p: (at - before.get(p, at)) / seconds if seconds else 0.0 for p, at in after.items()}
    return [_row(p, after.get(p), ends[p], oldest.get(p), moved.get(p, 0.0), now_ms) for p in asked]


async def _commits(cluster: Cluster, settings: Settings, asked: list[Partition]) -> dict[Partition, int]:
    found = await cluster.committed(settings.kafka.group_id, asked)
    return {partition: offset for partition, (offset, _) in found.items()}


def _row(
    partition: Partition, committed: int | None, ends: Ends, oldest_ms: int | None, per_s: float, now_ms: int
) -> dict[str, Any]:
    lag = ends.end - max(ends.first if committed is None else committed, ends.first)
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        "committed": committed,
        "end": ends.end,
        "lag": lag,
        "backlog": None,
        "oldest_ms": None if oldest_ms is None else max(now_ms - oldest_ms, 0),
        "drain_s": _drain_s(lag, per_s),
        "blocked_by": None,
    }


def _drain_s(lag: int, per_s: float) -> float | None:
    """How long it takes at this pace; None when nothing moves."""
    if not lag:
        return 0.0
    return round(lag / per_s, 1) if per_s > 0 else None
