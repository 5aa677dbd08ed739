"""Reading and committing: the one place that holds aiokafka's consumer.

Records, assignments and offsets go out as plain values. What to read next, what to commit and what to do at a
rebalance is decided by the worker. The comments name aiokafka's behaviour that each line answers to.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError, OffsetMetadataTooLargeError
from aiokafka.structs import TopicPartition

from consumer.config.settings import KafkaSettings
from consumer.errors import BrokerError, UnjoinableError
from consumer.kafka import gathering
from consumer.kafka.cluster import Cluster
from consumer.kafka.offset_map import without_runs
from consumer.kafka.options import consumer_options
from consumer.kafka.records import Partition, Record
from consumer.kafka.starting import start
from consumer.kafka.trouble import UNJOINABLE, told
from consumer.log import get_logger

log = get_logger(__name__)

COMMIT_TIMEOUT_S: Final = 10.0
"""`commit()` neither returns nor fails while no coordinator is reachable."""
OFFSETS_TIMEOUT_S: Final = 10.0
POSITION_TIMEOUT_S: Final = 0.5
"""The client knows where it stands, or waits until it does: then it is asked again later."""
RETRY_DELAY_S: Final = 2.0
"""Between tries while the broker is away at the start."""
POLL_TIMEOUT_MS: Final = 200
"""How long a poll of an idle topic waits; a stop is noticed within it."""
NAMED_POLL_TIMEOUT_MS: Final = 20
"""Likewise when only some partitions are asked for: records of the others do not end the wait."""
PREFETCH_SHARE: Final = 0.25
"""Of the bound on open bytes, for what the client reads ahead of all partitions together."""
MAX_PREFETCH_BYTES: Final = 256 * 1024
"""Of one partition: more would only be held for longer."""
MIN_PREFETCH_BYTES: Final = 16 * 1024
"""Of one partition: a poll's worth of small records; a larger record comes all the same, alone."""
FETCH_BYTES: Final = "max_partition_fetch_bytes"
"""The client's name for it."""

T = TypeVar("T")


class Assignments(Protocol):
    """Who is told of a rebalance."""

    async def joining(self, partitions: Sequence[Partition]) -> None:
        """The group is about to be joined for the first time; these partitions there are."""

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """These partitions are about to belong to somebody else."""

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """These partitions are ours from now on."""


class _Listener(ConsumerRebalanceListener):
    """Turns aiokafka's callbacks into ours; it swallows their exceptions, so they are logged here by name."""

    def __init__(self, assignments: Assignments) -> None:
        self._assignments = assignments

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called before a rejoin, the first join included, never by `stop()`."""
        await self._assignments.revoked(sorted(Partition(*tp) for tp in revoked))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called after a join; records of the new partitions may have arrived by then."""
        await self._assignments.assigned(sorted(Partition(*tp) for tp in assigned))


class Source:
    """The consumer's life: `start`, many `poll`s and `commit`s, `stop`."""

    def __init__(
        self, settings: KafkaSettings, options: Mapping[str, Any], cluster: Cluster, *, max_open_bytes: int
    ) -> None:
        self._prefetch_bytes = int(PREFETCH_SHARE * max_open_bytes)
        self._partition_bytes = 0
        self._partition_count = 0
        self._settings = settings
        self._cluster = cluster
        self._options = consumer_options(settings, options)
        self._consumer: AIOKafkaConsumer | None = None
        self._metadata_refused = False
        # What a deployment has set itself is left alone.
        self._gathering = None if gathering.OPTIONS & settings.consumer_options.keys() else gathering.Gathering()

    async def start(self, assignments: Assignments) -> None:
        """Connect and join the group; waits as long as the brokers or the topics are not there."""
        problem = ""
        while self._consumer is None:
            try:
                partitions = await self._require_topics()
                self._partition_count = len(partitions)
                self._partition_bytes = self._share_prefetch(self._partition_count)
                await assignments.joining(partitions)
                self._consumer = await self._connect()
            except BrokerError as error:
                if str(error) != problem:
                    problem = str(error)
                    log.warning("waiting for Kafka", problem=problem, servers=self._settings.bootstrap_servers)
                await asyncio.sleep(RETRY_DELAY_S)
        self._consumer.subscribe(topics=list(self._settings.topics), listener=_Listener(assignments))

    async def _require_topics(self) -> list[Partition]:
        """The partitions that there are. Subscribing to a missing topic would create it on brokers that allow it."""
        partitions = await self._cluster.partitions()
        missing = sorted(set(self._settings.topics) - partitions.keys())
        if missing:
            raise BrokerError(f"topic {', '.join(missing)} does not exist; this service creates none")
        return [Partition(topic, number) for topic in self._settings.topics for number in range(partitions[topic])]

    def _share_prefetch(self, partitions: int) -> int:
        """Bytes to read ahead of each partition: any process may come to own all of them."""
        share = self._prefetch_bytes // max(partitions, 1)
        bounded = min(max(share, MIN_PREFETCH_BYTES), MAX_PREFETCH_BYTES)
        return int(self._settings.consumer_options.get(FETCH_BYTES, bounded))

    @property
    def partition_count(self) -> int:
        """Partitions that the topics have: as the client knows them now, else as they had at the start."""
        if self._consumer is None:
            return self._partition_count
        found = [self._consumer.partitions_for_topic(topic) for topic in self._settings.topics]
        return sum(len(partitions) for partitions in found if partitions) or self._partition_count

    def prefetched_bytes(self, partitions: int) -> int:
        """What the client may hold, read ahead, with so many partitions."""
        return partitions * self._partition_bytes

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**{**self._options, FETCH_BYTES: self._partition_bytes})
        try:
            await start(consumer.start())
        except (KafkaError, OSError) as error:
            await _stop(consumer, COMMIT_TIMEOUT_S)
            raise BrokerError(f"cannot connect: {told(error)}") from error
        except asyncio.CancelledError:
            # A stop before it had begun: nobody else knows of this client.
            await _stop(consumer, COMMIT_TIMEOUT_S)
            raise
        return consumer

    async def poll(
        self, max_records: int, partitions: Collection[Partition] = ()
    ) -> Mapping[Partition, Sequence[Record]]:
        """Records that have arrived, at most `max_records`; waits a little when there are none.

        When partitions are named, those of others wait where they are; the client's `pause` would throw them away.

        It must run to its end: cancelled, it would switch off a timer inside the client for good.

        Raises:
            BrokerError: The client reports an error that it does not retry by itself.
        """
        try:
            timeout_ms = NAMED_POLL_TIMEOUT_MS if partitions else POLL_TIMEOUT_MS
            named = [TopicPartition(*partition) for partition in partitions]
            batches = await self._client.getmany(*named, timeout_ms=timeout_ms, max_records=max_records)
        except UNJOINABLE as error:
            raise UnjoinableError(f"polling: {told(error)}") from error
        except KafkaError as error:
            raise BrokerError(f"polling: {told(error)}") from error
        if self._gathering is not None:
            self._gathering.came(self._client, batches.values(), self._partition_bytes)
        return {Partition(*tp): records for tp, records in batches.items()}

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from there.

        Raises:
            BrokerError: The partition is not assigned.
        """
        try:
            self._client.seek(TopicPartition(*partition), offset)
        except KafkaError as error:
            raise BrokerError(f"a seek in {partition}: {told(error)}") from error

    async def commit(self, positions: Mapping[Partition, tuple[int, str]]) -> None:
        """Commit offsets with their metadata; without it when the broker finds it too large.

        Raises:
            BrokerError: Not confirmed; it may have been done all the same.
        """
        offsets = {TopicPartition(*partition): position for partition, position in positions.items()}
        for shortened in (_whole, without_runs, _nothing):
            described = {tp: (offset, shortened(metadata, offset)) for tp, (offset, metadata) in offsets.items()}
            try:
                await self._commit(described)
            except BrokerError as error:
                if shortened is _nothing or not isinstance(error.__cause__, OffsetMetadataTooLargeError):
                    raise
                self._warn_of_metadata()
            else:
                return

    def _warn_of_metadata(self) -> None:
        # Once: it lasts, and commits are many.
        if not self._metadata_refused:
            self._metadata_refused = True
            log.warning("the broker refuses the offset map, committing less of it: raise offset.metadata.max.bytes")

    async def _commit(self, offsets: dict[TopicPartition, tuple[int, str]]) -> None:
        # Thrown out of the group, the client would commit as nobody in particular, which a broker takes while the group
        # is empty: over what those have committed who had the partitions meanwhile.
        coordinator = self._client._coordinator  # noqa: SLF001  # the client says it nowhere else
        if coordinator is None or coordinator.generation < 0:
            raise BrokerError("a commit: not a member of the group at present")
        await self._ask("a commit", self._client.commit(offsets), COMMIT_TIMEOUT_S)

    async def committed(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, str]]:
        """Committed offsets and their metadata.

        Raises:
            BrokerError: No answer.
        """
        return await self._cluster.committed(self._settings.group_id, partitions)

    async def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        """First offset and end offset.

        Raises:
            BrokerError: No answer.
        """
        tps = [TopicPartition(*partition) for partition in partitions]
        first = await self._ask("first offsets", self._client.beginning_offsets(tps), OFFSETS_TIMEOUT_S)
        end = await self._ask("end offsets", self._client.end_offsets(tps), OFFSETS_TIMEOUT_S)
        return {Partition(*tp): (first[tp], end[tp]) for tp in tps}

    async def positions(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where the client stands, markers of transactions passed over; only of partitions where it knows at once."""
        found: dict[Partition, int] = {}
        for partition in partitions:
            tp = TopicPartition(*partition)
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(POSITION_TIMEOUT_S):
                    found[partition] = await self._client.position(tp)
        return found

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> dict[Partition, int | None]:
        """The first offset whose record is not older; None when all are.

        Raises:
            BrokerError: No answer.
        """
        times = {TopicPartition(*partition): time_ms for partition in partitions}
        found = await self._ask("offsets by time", self._client.offsets_for_times(times), OFFSETS_TIMEOUT_S)
        return {Partition(*tp): at.offset if at is not None else None for tp, at in found.items()}

    async def stop(self, timeout_s: float) -> None:
        """Leave the group, within `timeout_s`."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await _stop(consumer, timeout_s)

    @property
    def _client(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerError("not connected")
        return self._consumer

    async def _ask(self, what: str, answer: Awaitable[T], timeout_s: float) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerError(f"{what}: {told(error)}") from error


def _whole(metadata: str, _: int) -> str:
    return metadata


def _nothing(_: str, __: int) -> str:
    return ""


async def _stop(consumer: AIOKafkaConsumer, timeout_s: float) -> None:
    """Stop in a task of its own: with brokers down `stop()` raises `CancelledError`, and it may never return."""
    stopping = asyncio.create_task(consumer.stop(), name="stop consumer")
    done, _ = await asyncio.wait([stopping], timeout=timeout_s)
    if not done:
        log.warning("the Kafka consumer did not stop in time", timeout_s=timeout_s)
    elif not stopping.cancelled() and (error := stopping.exception()) is not None:
        log.warning("the Kafka consumer stopped with an error", error=error.__class__.__name__)
