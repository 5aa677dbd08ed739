"""Standstill: which offsets have not moved, since when, and what that says of the client and of a partition.

Offsets come in with the time at which they were seen; each standstill leaves one line in the log. What is said of it on
`/livez` and as a metric is others' business.
"""

from collections.abc import Mapping
from typing import Final

from consumer.kafka.records import Partition
from consumer.log import get_logger

log = get_logger(__name__)

STUCK_AFTER_S: Final = 120.0
"""Records lie there and none is read, though nothing is in the way: the client gives no other sign of it."""
BLOCKED_AFTER_S: Final = 300.0
"""The same record is the oldest open one: no short outage any more, and long before the topic's retention."""


class Standstill:
    """Offsets, each with the time since which it has been the same."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[Partition, tuple[int, float]] = {}

    def observe(self, offsets: Mapping[Partition, int], now_s: float) -> None:
        """These they are now; what is not among them does not stand still."""
        self._seen = {
            partition: before if (before := self._seen.get(partition)) and before[0] == offset else (offset, now_s)
            for partition, offset in offsets.items()
        }

    def for_s(self, partition: Partition, now_s: float) -> float:
        """How long a partition's has been the same; 0 when nothing is known of it."""
        return now_s - self._seen[partition][1] if partition in self._seen else 0.0

    def longer_than(self, duration_s: float, now_s: float) -> dict[Partition, int]:
        """Those that have been the same for longer."""
        return {
            partition: offset for partition, (offset, since_s) in self._seen.items() if now_s - since_s > duration_s
        }


class Positions(Standstill):
    """Where reading stands in partitions in which records lie and nothing is in the way."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        super().__init__()
        self._told = False

    def stuck(self, now_s: float) -> dict[Partition, int]:
        """Those in which the Kafka client has stopped reading."""
        return self.longer_than(STUCK_AFTER_S, now_s)

    def tell(self, now_s: float) -> None:
        """Say it once: it lasts until the process is restarted, or heals."""
        stuck = self.stuck(now_s)
        if stuck and not self._told:
            log.error(
                "the Kafka client reads no more, though records lie there and nothing is in the way: /livez answers 503"
                " from now on, so that the process is restarted",
                standing_at=_positions(stuck),
                for_s=round(max(self.for_s(partition, now_s) for partition in stuck)),
            )
        self._told = bool(stuck)


class Watermarks(Standstill):
    """The oldest open records."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[Partition, int] = {}

    def tell(self, now_s: float) -> None:
        """Say once of each record that it has been its partition's oldest open one for long."""
        blocked = self.longer_than(BLOCKED_AFTER_S, now_s)
        new = {partition: offset for partition, offset in blocked.items() if self._told.get(partition) != offset}
        if new:
            log.warning(
                "the same record has been the oldest open one for long, and holds the commit: delivery is paused or"
                " stalled, Pendo is away, its event keeps failing, or its dead letter is not taken",
                positions=_positions(new),
                for_s=round(max(self.for_s(partition, now_s) for partition in new)),
            )
        self._told = blocked


def _positions(offsets: Mapping[Partition, int]) -> list[str]:
    return [f"{partition}@{offset}" for partition, offset in offsets.items()]
