"""Standstill: which offsets have not moved, and since when.

Offsets come in with the time at which they were seen; nothing is asked here.
"""

from collections.abc import Mapping

from consumer.kafka.records import Partition


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
