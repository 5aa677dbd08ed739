"""The watch: what is looked at from time to time, off the record's way.

Whether Kafka answers and is read, how far behind each partition is and since when, whether a secret's file or the pause
switch has changed. What it finds is told to those who registered for it, and shown as metrics.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Final

from pydantic import SecretStr

from consumer import metrics
from consumer.config.load import Loaded, load
from consumer.config.secret_files import SECRET_RECHECK_S, SecretFiles
from consumer.errors import BrokerError, ConfigError
from consumer.kafka.cluster import Cluster
from consumer.kafka.records import Partition
from consumer.kafka.source import Source
from consumer.log import get_logger, mask
from consumer.metrics import Sample
from consumer.worker.partitions import Partitions

log = get_logger(__name__)

PROGRESS_CHECK_S: Final = 1.0
"""How often it is looked whether watermarks move."""
STUCK_AFTER_S: Final = 120.0
"""Records lie there and none is read, though nothing is in the way: the client gives no other sign of it."""
GONE_AFTER: Final = 0.8
"""Of the session's timeout without an answer: then the brokers are gone, before the group notices."""


class Watch:
    """Looks, and tells."""

    def __init__(self, loaded: Loaded, source: Source, cluster: Cluster, partitions: Partitions) -> None:
        self._session_s = loaded.settings.kafka.session_timeout_s
        self._source = source
        self._cluster = cluster
        self._partitions = partitions
        self._secret_files = SecretFiles(loaded.secret_files)
        self._on_secret: dict[str, Callable[[SecretStr], None]] = {}
        self._full: Callable[[], bool] = lambda: False
        self._on_pause: Callable[[bool], None] = lambda _: None
        self._source_file = loaded.source
        self._environ = loaded.environ
        self._file_state = _state(loaded.source)
        self._answered_s = monotonic()
        self._ends: dict[Partition, int] = {}
        # Since when the oldest open offset has been the same.
        self._oldest: dict[Partition, tuple[int, float]] = {}
        # Since when reading has stood at the same position, though there is more and nothing in the way.
        self._standing: dict[Partition, tuple[int, float]] = {}

    def on_secret(self, key: str, use: Callable[[SecretStr], None]) -> None:
        """Call `use` when the file of this secret has changed."""
        self._on_secret[key] = use

    def on_full(self, full: Callable[[], bool]) -> None:
        """Ask `full` whether the buffer is, so that nothing is read."""
        self._full = full

    def on_pause(self, use: Callable[[bool], None]) -> None:
        """Call `use` with `delivery.paused` when the configuration file has changed."""
        self._on_pause = use

    @property
    def kafka_gone(self) -> bool:
        """Whether Kafka has not answered for too long."""
        return monotonic() - self._answered_s > GONE_AFTER * self._session_s

    @property
    def stuck(self) -> bool:
        """Whether the Kafka client has stopped reading, though records lie there and nothing is in the way."""
        return any(monotonic() - since > STUCK_AFTER_S for _, since in self._standing.values())

    async def run(self) -> None:
        """Look for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_progress(), name="watch progress")
            tasks.create_task(self._watch_files(), name="watch files")
            tasks.create_task(self._watch_kafka(), name="watch kafka")

    async def _watch_files(self) -> None:
        while True:
            await asyncio.sleep(SECRET_RECHECK_S)
            for key, secret in self._secret_files.changed().items():
                mask([secret.get_secret_value()])
                use = self._on_secret.get(key)
                log.info("a secret's file changed", key=key, used="now" if use else "after a restart")
                if use:
                    use(secret)
            self._check_pause()

    def _check_pause(self) -> None:
        state = _state(self._source_file)
        if state == self._file_state:
            return
        self._file_state = state
        try:
            paused = load(self._source_file, self._environ).settings.delivery.paused
        except ConfigError as error:
            log.error(  # noqa: TRY400  # the problems say it all
                "the changed configuration is not valid; going on with the old", problems=error.problems
            )
            return
        log.info("the configuration file changed: of it only delivery.paused is used now", paused=paused)
        self._on_pause(paused)

    async def _watch_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_CHECK_S)
            now_s = monotonic()
            oldest = {
                partition: progress.watermark
                for partition, progress in self._partitions.owned.items()
                if progress.open_records_count and progress.watermark is not None
            }
            self._oldest = _since(self._oldest, oldest, now_s)

    async def _look_for_standstill(self) -> None:
        if self._full():
            self._standing = {}
            return
        idle = [partition for partition, p in self._partitions.owned.items() if not p.open_records_count]
        positions = await self._source.positions(idle)
        behind = {partition: at for partition, at in positions.items() if at < self._ends.get(partition, 0)}
        self._standing = _since(self._standing, behind, monotonic())

    async def _watch_kafka(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._session_s / 2):
                    await self._cluster.topics()
                    self._answered_s = monotonic()
                    bounds = await self._source.bounds(sorted(self._partitions.owned))
                    self._partitions.note_beginnings(bounds)
                    self._ends = {partition: end for partition, (_, end) in bounds.items()}
                    await self._look_for_standstill()
            except (BrokerError, TimeoutError) as error:
                self._standing = {}
                log.debug("Kafka did not answer the watch", problem=str(error))
            await asyncio.sleep(min(SECRET_RECHECK_S, self._session_s / 4))

    def samples(self) -> Iterator[Sample]:
        """How far behind each owned partition is, as far as known."""
        for partition, progress in self._partitions.owned.items():
            end = self._ends.get(partition)
            labels = (partition.topic, str(partition.partition))
            _, since = self._oldest.get(partition, (0, monotonic()))
            yield Sample(metrics.BLOCKED_SECONDS, monotonic() - since, labels)
            if end is None or progress.next_offset is None:
                continue
            unread = max(end - progress.next_offset, 0)
            yield Sample(metrics.BACKLOG_RECORDS, unread + progress.open_offsets, labels)
            if progress.committed is not None:
                yield Sample(metrics.LAG_RECORDS, max(end - progress.committed, 0), labels)


def _since(
    before: dict[Partition, tuple[int, float]], offsets: dict[Partition, int], now_s: float
) -> dict[Partition, tuple[int, float]]:
    """Since when each offset has been the same."""
    return {
        partition: before[partition] if before.get(partition, (None,))[0] == offset else (offset, now_s)
        for partition, offset in offsets.items()
    }


def _state(file: Path | None) -> tuple[int, int] | None:
    """What changes when a file is written, or a Kubernetes volume swaps its link."""
    try:
        stat = file.stat() if file else None
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_ino) if stat else None
