"""Reading a topic without a group, from some time on to where it ends: nothing is committed, nobody reads less."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumer.errors import BrokerError
from consumer.kafka.records import Partition, Record
from consumer.kafka.starting import start
from consumer.kafka.trouble import told

CONNECT_TIMEOUT_S: Final = 15.0
POLL_MS: Final = 500
SILENCE_S: Final = 30.0
"""Records lie there and none comes: the partition has no leader, or the broker is in trouble."""
MAX_POLL: Final = 500


async def records_in(
    options: Mapping[str, Any], topic: str, *, since_ms: int | None = None, only: tuple[Partition, int] | None = None
) -> AsyncIterator[Record]:
    """All records that lie in a topic now, each partition's in order; or the one at a position.

    Args:
        options: The client's.
        topic: Which; one that is not there has no records.
        since_ms: Those that came since, milliseconds since the epoch; None for all.
        only: A partition, and the offset of the one that is meant.

    Raises:
        BrokerError: The topic cannot be read.
    """
    async with open_log(options, topic, since_ms=since_ms, only=only) as log:
        async for record in log.catch_up():
            if only is None or record.offset == only[1]:
                yield record


@asynccontextmanager
async def open_log(
    options: Mapping[str, Any], topic: str, *, since_ms: int | None = None, only: tuple[Partition, int] | None = None
) -> AsyncIterator["Log"]:
    """A topic to be read again and again, each time to its end; arguments and errors as of `records_in`."""
    reader = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        with _translated(topic):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await start(reader.start())
                log = Log(reader, topic, await _stand(reader, topic, since_ms, only), only)
        yield log
    finally:
        await asyncio.wait([asyncio.create_task(reader.stop(), name="stop reading")], timeout=CONNECT_TIMEOUT_S)


class Log:
    """A topic's partitions, and where reading stands in them."""

    def __init__(
        self,
        reader: AIOKafkaConsumer,
        topic: str,
        partitions: list[TopicPartition],
        only: tuple[Partition, int] | None,
    ) -> None:
        self._reader = reader
        self._topic = topic
        self._partitions = partitions
        self._only = only

    async def catch_up(self) -> AsyncIterator[Record]:
        """What lies there at this moment and was not read yet, each partition's in order.

        Raises:
            BrokerError: The topic cannot be read.
        """
        if not self._partitions:
            return
        with _translated(self._topic):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                ends: dict[TopicPartition, int] = await self._reader.end_offsets(self._partitions)
                if self._only is not None:
                    ends = {tp: min(self._only[1] + 1, end) for tp, end in ends.items()}
                ends = {tp: end for tp, end in ends.items() if end > await self._reader.position(tp)}
            async for record in self._up_to(ends):
                yield record

    async def _up_to(self, ends: dict[TopicPartition, int]) -> AsyncIterator[Record]:
        clock = asyncio.get_running_loop().time
        came = clock()
        while ends:
            batches = await self._reader.getmany(*ends, timeout_ms=POLL_MS, max_records=MAX_POLL)
            for records in batches.values():
                for record in records:
                    yield record
            # Not the last record's offset: a log may end with what is no record, such as the marker of a transaction.
            for tp in [tp for tp, end in ends.items() if await self._reader.position(tp) >= end]:
                del ends[tp]
            if batches:
                came = clock()
            elif clock() - came > SILENCE_S:
                raise BrokerError(f"nothing came of {', '.join(f'{tp.topic}-{tp.partition}' for tp in ends)}")


@contextmanager
def _translated(topic: str) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"topic {topic} cannot be read: {told(error)}") from error


async def _stand(
    reader: AIOKafkaConsumer, topic: str, since_ms: int | None, only: tuple[Partition, int] | None
) -> list[TopicPartition]:
    """Stand before what is to be read; of which partitions that is."""
    # A client that subscribes to nothing knows no topic of itself.
    metadata = await reader._client.fetch_all_metadata()  # noqa: SLF001
    numbers = metadata.partitions_for_topic(topic) or ()
    asked = [TopicPartition(topic, number) for number in numbers if only is None or number == only[0].partition]
    if not asked:
        return []
    reader.assign(asked)
    begins: dict[TopicPartition, int] = await reader.beginning_offsets(asked)
    if only is not None:
        begins = {tp: max(only[1], begin) for tp, begin in begins.items()}
    elif since_ms is not None:
        ends = await reader.end_offsets(asked)
        found = await reader.offsets_for_times(dict.fromkeys(asked, since_ms))
        # Nothing since then: the end.
        begins = {tp: at.offset if (at := found.get(tp)) is not None else ends[tp] for tp in asked}
    for tp, begin in begins.items():
        reader.seek(tp, begin)
    return asked
