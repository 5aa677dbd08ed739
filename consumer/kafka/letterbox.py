"""The letterbox: publishes dead letters, and settles their events when the broker has acknowledged them.

Letters go in at any time, without waiting; one task publishes them in order, for as long as it takes. A letter that
the topic does not take stays: its record is not committed past. The letterbox does not know why an event failed.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Final, Protocol
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from consumer.errors import BrokerError
from consumer.kafka.cases import Cases
from consumer.kafka.cluster import Cluster
from consumer.kafka.dead_letter import DeadLetter, Extent
from consumer.kafka.progress import Progress
from consumer.kafka.records import position
from consumer.kafka.starting import start
from consumer.kafka.trouble import told
from consumer.log import get_logger
from consumer.outcomes import EventType, Outcome, Reason

log = get_logger(__name__)

PUBLISH_TIMEOUT_MS: Final = 10_000
BATCH: Final = 100
"""Letters on the way at once; enough to fill the producer's batches."""
RETRY_DELAY_S: Final = 1.0
MAX_RETRY_DELAY_S: Final = 10.0
MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""Far over any topic's limit: the broker is to say what is too large, not the client."""
TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


class Owner(Protocol):
    """Whose event a letter is: the record's ticket."""

    progress: Progress

    @property
    def released(self) -> bool:
        """Whether the record went back to Kafka, and the letter with it."""

    def settle(self, type_: EventType, outcome: Outcome, reason: Reason, index: int | None = None) -> None:
        """The event's end; `index` is its place in its record, if there are several."""


class Letterbox:
    """Parks dead letters in their topic.

    Attributes:
        problem: Why letters are not taken at present; None when all is well.
        cases: What was published, by kind.
        topic: Where.
    """

    def __init__(self, topic: str, options: Mapping[str, Any], cluster: Cluster) -> None:
        self.problem: str | None = None
        self.cases = Cases()
        self.topic = topic
        self._options = options
        self._cluster = cluster
        self._letters: deque[tuple[DeadLetter, Owner]] = deque()
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._producer: AIOKafkaProducer | None = None

    def __len__(self) -> int:
        """Letters that are not acknowledged."""
        return len(self._letters)

    def park(self, letter: DeadLetter, owner: Owner) -> None:
        """Take a letter; `owner` is settled when it is acknowledged."""
        self._letters.append((letter, owner))
        self._arrived.set()
        self._empty.clear()

    def owners(self) -> Iterator[Owner]:
        """Whose letters are not acknowledged."""
        return (owner for _, owner in self._letters)

    def open_types(self) -> Iterator[EventType]:
        """The types of the events that wait for an acknowledgement."""
        return (letter.type for letter, owner in self._letters if not owner.released)

    async def run(self) -> None:
        """Publish what is parked, for ever. A letter is tried until the topic takes it."""
        delay_s = RETRY_DELAY_S
        while True:
            try:
                await self._require_topic()
                await self._publish_parked()
            except BrokerError as error:
                self._report(str(error))
                self._drop_released()
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, MAX_RETRY_DELAY_S)
            else:
                self._report(None)
                delay_s = RETRY_DELAY_S
                await self._arrived.wait()

    def _drop_released(self) -> None:
        """Forget what went back to Kafka: while the topic is away every rebalance would add the same letters again."""
        self._letters = deque((letter, owner) for letter, owner in self._letters if not owner.released)
        if not self._letters:
            self._empty.set()

    def _report(self, problem: str | None) -> None:
        """Say it once: a problem that lasts is tried again and again, and shown by `/readyz` as long."""
        if problem == self.problem:
            return
        self.problem = problem
        if problem is None:
            log.info("the dead-letter topic can be used again", topic=self.topic)
        else:
            log.error(
                "no dead letter can be published; nothing is committed past one", problem=problem, topic=self.topic
            )

    async def flush(self, timeout_s: float) -> bool:
        """Wait until every letter is acknowledged, at most `timeout_s`; whether they were."""
        try:
            async with asyncio.timeout(max(timeout_s, 0.0)):
                await self._empty.wait()
        except TimeoutError:
            return not self._letters
        return True

    async def close(self, timeout_s: float) -> None:
        """Let go of the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            closing = asyncio.create_task(producer.stop(), name="stop producer")
            await asyncio.wait([closing], timeout=timeout_s)

    async def _require_topic(self) -> None:
        """Asking a producer for a missing topic would create it on brokers that allow it."""
        if self._producer is None:
            if self.topic not in await self._cluster.topics():
                raise BrokerError(f"topic {self.topic} does not exist; this service creates none")
            self._producer = await self._connect()

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._options,
            acks="all",
            request_timeout_ms=PUBLISH_TIMEOUT_MS,
            max_request_size=MAX_REQUEST_BYTES,
            # Each letter in a batch of its own: the broker's limit is a batch's, so one too large fails alone.
            max_batch_size=1,
        )
        try:
            await start(producer.start())
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise BrokerError(f"cannot connect: {told(error)}") from error
        except asyncio.CancelledError:
            await producer.stop()
            raise
        return producer

    async def _publish_parked(self) -> None:
        while self._letters:
            failed = await self._publish_batch(self._next_batch())
            if failed is not None:
                await self.close(PUBLISH_TIMEOUT_MS / 1000)
                raise BrokerError(f"publishing: {told(failed)}") from failed
        self._arrived.clear()
        self._empty.set()

    def _next_batch(self) -> list[tuple[DeadLetter, Owner]]:
        """The first letters, at most one of a lane: a letter that has to be sent again is not overtaken by the next."""
        seen: set[str | bytes] = set()
        batch: list[tuple[DeadLetter, Owner]] = []
        for letter, owner in islice(self._letters, BATCH):
            key = letter.lane or letter.record.key
            if key is not None:
                if key in seen:
                    break
                seen.add(key)
            batch.append((letter, owner))
        return batch

    async def _publish_batch(self, batch: list[tuple[DeadLetter, Owner]]) -> BaseException | None:
        """Publish the first letters side by side; those that failed stay at the front, in order."""
        open_letters = [(letter, owner) for letter, owner in batch if not owner.released]
        publishing = (self._publish(letter) for letter, _ in open_letters)
        answers = await asyncio.gather(*publishing, return_exceptions=True)
        for _ in batch:
            self._letters.popleft()
        failed: BaseException | None = None
        for (letter, owner), answer in reversed(list(zip(open_letters, answers, strict=True))):
            if isinstance(answer, str):
                self.cases.note(letter, answer)
                owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason, letter.index)
            else:
                failed = answer
                self._letters.appendleft((letter, owner))
        return failed

    async def _publish(self, letter: DeadLetter) -> str:
        """Publish one letter, with less of its record each time the broker finds it too large; say where it lies."""
        for extent in (Extent.WHOLE, Extent.WITHOUT_VALUE):
            with suppress(*TOO_LARGE):
                return await self._send(letter, extent)
        return await self._send(letter, Extent.POSITION_ONLY)

    async def _send(self, letter: DeadLetter, extent: Extent) -> str:
        producer = self._producer
        if producer is None:
            raise BrokerError("not connected")
        record = letter.record
        acknowledged = await producer.send(
            self.topic,
            key=None if extent is Extent.POSITION_ONLY else record.key,
            value=record.value if extent is Extent.WHOLE else b"",
            partition=await self._partition(producer, letter),
            headers=letter.headers(extent),
        )
        return position(await acknowledged)

    async def _partition(self, producer: AIOKafkaProducer, letter: DeadLetter) -> int | None:
        """By the lane, so that one visitor's letters keep their order; without a lane the client's own choice."""
        if letter.lane is None:
            return None
        partitions: list[int] = sorted(await producer.partitions_for(self.topic))
        return partitions[crc32(letter.lane.encode()) % len(partitions)]
