"""Reading and committing: the one place that holds aiokafka's consumer.

Records, assignments and offsets go out as plain values. What to read next, what to commit and what to do at a
rebalance is decided by the worker. The comments name aiokafka's behaviour that each line answers to.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Any, Final, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError, OffsetMetadataTooLargeError
from aiokafka.structs import TopicPartition

from consumer.config.settings import KafkaSettings
from consumer.errors import BrokerError, ConfigError
from consumer.kafka.cluster import Cluster
from consumer.kafka.records import Partition, Record
from consumer.log import get_logger

log = get_logger(__name__)

COMMIT_TIMEOUT_S: Final = 10.0
"""`commit()` neither returns nor fails while no coordinator is reachable."""
OFFSETS_TIMEOUT_S: Final = 10.0
RETRY_DELAY_S: Final = 2.0
"""Between tries while the broker is away at the start."""
POLL_TIMEOUT_MS: Final = 200
"""How long a poll of an idle topic waits; a stop is noticed within it."""
ONE_DAY_MS: Final = 24 * 3600 * 1000
"""Back pressure keeps us from polling for as long as an outage lasts; liveness is our own business."""
MAX_PARTITION_FETCH_BYTES: Final = 512 * 1024
"""What the client reads ahead stands outside our bound on open bytes, once a partition."""
REBALANCE_MARGIN_S: Final = 30.0
"""Beyond `rebalance_drain_s`: a revoke also commits, and the other members do the same."""

METADATA_AGE_MS: Final = 60_000
"""How soon new partitions, or a topic that was made anew, are found; the client's own five minutes are long to wait."""
REQUEST_TIMEOUT_MS: Final = 40_000
"""aiokafka's own default."""

T = TypeVar("T")


class Assignments(Protocol):
    """Who is told of a rebalance."""

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

    def __init__(self, settings: KafkaSettings, options: Mapping[str, Any], cluster: Cluster) -> None:
        self._settings = settings
        self._cluster = cluster
        session_ms = int(settings.session_timeout_s * 1000)
        rebalance_ms = int((settings.rebalance_drain_s + REBALANCE_MARGIN_S) * 1000)
        self._options = {
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": session_ms // 10,
            # Its default is the session's timeout, and the time in our revoke callback counts against it.
            "rebalance_timeout_ms": rebalance_ms,
            # A join is answered when all members have come, which may take as long as a rebalance.
            "request_timeout_ms": max(REQUEST_TIMEOUT_MS, rebalance_ms + REQUEST_TIMEOUT_MS // 4),
            "max_partition_fetch_bytes": MAX_PARTITION_FETCH_BYTES,
            "metadata_max_age_ms": METADATA_AGE_MS,
            # One JoinGroup goes out per assignor; aiokafka's sticky one is broken.
            "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
            **settings.consumer_options,
            **options,
            "group_id": settings.group_id,
            "enable_auto_commit": False,
            # It also rules what happens out of range, where `latest` would skip everything without a word.
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "max_poll_interval_ms": ONE_DAY_MS,
        }
        _check_options(settings.consumer_options)
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, assignments: Assignments) -> None:
        """Connect and join the group; waits as long as the brokers or the topics are not there."""
        problem = ""
        while self._consumer is None:
            try:
                await self._require_topics()
                self._consumer = await self._connect()
            except BrokerError as error:
                if str(error) != problem:
                    problem = str(error)
                    log.warning("waiting for Kafka", problem=problem, servers=self._settings.bootstrap_servers)
                await asyncio.sleep(RETRY_DELAY_S)
        self._consumer.subscribe(topics=list(self._settings.topics), listener=_Listener(assignments))

    async def _require_topics(self) -> None:
        """Subscribing to a topic that is not there would create it on brokers that allow it."""
        missing = sorted(set(self._settings.topics) - await self._cluster.topics())
        if missing:
            raise BrokerError(f"topic {', '.join(missing)} does not exist; this service creates none")

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**self._options)
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            await _stop(consumer, COMMIT_TIMEOUT_S)
            raise BrokerError(f"cannot connect: {error.__class__.__name__}") from error
        return consumer

    async def poll(self, max_records: int) -> Mapping[Partition, Sequence[Record]]:
        """Records that have arrived, at most `max_records`; waits a little when there are none.

        It must run to its end: cancelled, it would switch off a timer inside the client for good.

        Raises:
            BrokerError: The client reports an error that it does not retry by itself.
        """
        try:
            batches = await self._client.getmany(timeout_ms=POLL_TIMEOUT_MS, max_records=max_records)
        except KafkaError as error:
            raise BrokerError(f"polling: {error.__class__.__name__}") from error
        return {Partition(*tp): records for tp, records in batches.items()}

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from there."""
        self._client.seek(TopicPartition(*partition), offset)

    def assigned(self) -> set[Partition]:
        """The partitions that are ours."""
        return {Partition(*tp) for tp in self._client.assignment()}

    async def commit(self, positions: Mapping[Partition, tuple[int, str]]) -> None:
        """Commit offsets with their metadata; without it when the broker finds it too large.

        Raises:
            BrokerError: Not confirmed; it may have been done all the same.
        """
        offsets = {TopicPartition(*partition): position for partition, position in positions.items()}
        try:
            await self._ask("a commit", self._client.commit(offsets), COMMIT_TIMEOUT_S)
        except BrokerError as error:
            if not isinstance(error.__cause__, OffsetMetadataTooLargeError):
                raise
            log.warning("the broker refuses the offset map, committing without it: raise offset.metadata.max.bytes")
            bare = {tp: (offset, "") for tp, (offset, _) in offsets.items()}
            await self._ask("a commit", self._client.commit(bare), COMMIT_TIMEOUT_S)

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
            raise BrokerError(f"{what}: {error.__class__.__name__}") from error


def _check_options(options: Mapping[str, object]) -> None:
    """Refuse what the client does not know, before it is made.

    Raises:
        ConfigError: With the nearest name that it knows.
    """
    known = [name for name in signature(AIOKafkaConsumer).parameters if name != "topics"]
    problems = []
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"kafka.consumer_options: the Kafka client has no option {name}{hint}")
    if problems:
        raise ConfigError(problems)


async def _stop(consumer: AIOKafkaConsumer, timeout_s: float) -> None:
    """Stop in a task of its own: with brokers down `stop()` raises `CancelledError`, and it may never return."""
    stopping = asyncio.create_task(consumer.stop(), name="stop consumer")
    done, _ = await asyncio.wait([stopping], timeout=timeout_s)
    if not done:
        log.warning("the Kafka consumer did not stop in time", timeout_s=timeout_s)
    elif not stopping.cancelled() and (error := stopping.exception()) is not None:
        log.warning("the Kafka consumer stopped with an error", error=error.__class__.__name__)
