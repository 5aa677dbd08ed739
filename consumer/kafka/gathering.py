"""Gathering: whether brokers are to gather records for a moment before they answer.

How many records came with each poll goes in, with the time. Where many come one by one, an answer for each costs more
than all that is done with it; where few come, each is to be here at once.
"""

from collections.abc import Iterable, Sized
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer

OPTIONS: Final = frozenset({"fetch_min_bytes", "fetch_max_wait_ms"})
"""The client's names for what is decided here."""
GATHER_MS: Final = 10
"""What is waited at most, where records come so fast that this is many of them."""
MAX_GATHER_BYTES: Final = 64 * 1024
"""More than this comes at once all the same."""
_AT_ONCE: Final = (1, 500)
"""The client's defaults: with the first byte; how long a broker keeps a fetch for which there is nothing."""
_WINDOW_S: Final = 0.5
_ON: Final = 1_000
"""Records a second from which on it is worth it: ten a wait."""
_OFF: Final = 500


class Gathering:
    """Of one consumer.

    Attributes:
        active: Whether brokers gather at present.
    """

    __slots__ = ("_began", "_records", "active")

    def __init__(self) -> None:
        self.active = False
        self._began = 0.0
        self._records = 0

    def changes(self, records: int, now: float) -> bool:
        """A poll brought so many records, or none: whether it is another matter now."""
        self._records += records
        took_s = now - self._began
        if took_s < _WINDOW_S:
            return False
        before = self.active
        self.active = self._records >= took_s * (_OFF if before else _ON)
        self._began = now
        self._records = 0
        return self.active is not before

    def came(self, consumer: AIOKafkaConsumer, batches: Iterable[Sized], partition_bytes: int) -> None:
        """A poll brought these: see to it that the next fetches go as is right by now.

        Args:
            consumer: The client.
            batches: Records by partition.
            partition_bytes: What comes of one partition at most. No more is waited for: else a broker would wait
                though there is a backlog.
        """
        fetcher = consumer._fetcher  # noqa: SLF001  # it reads both for each request, and sets neither
        if fetcher is not None and self.changes(sum(map(len, batches)), monotonic()):
            gathered = (min(partition_bytes, MAX_GATHER_BYTES), GATHER_MS)
            fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = gathered if self.active else _AT_ONCE  # noqa: SLF001
