"""A look at logs without a group: where they begin and end, and when the record at an offset arrived."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumer.errors import BrokerError
from consumer.kafka.records import Partition
from consumer.kafka.trouble import told

TIMEOUT_S: Final = 15.0
IDLE_TIMEOUT_MS: Final = 1000
"""What has not come by then is taken to be not there: compaction and transactions leave holes in a log."""


class Ends(NamedTuple):
    """Where a log begins, and the offset after its last record."""

    first: int
    end: int


async def ends_of(options: Mapping[str, Any], partitions: Iterable[Partition]) -> dict[Partition, Ends]:
    """Both ends of each log.

    Raises:
        BrokerError: No answer.
    """
    asked = [TopicPartition(*partition) for partition in partitions]
    if not asked:
        return {}
    async with _reader(options) as reader:
        first, end = await reader.beginning_offsets(asked), await reader.end_offsets(asked)
    return {Partition(*tp): Ends(first[tp], end[tp]) for tp in asked}


async def time_of(options: Mapping[str, Any], offsets: Mapping[Partition, int]) -> dict[Partition, int]:
    """When the record at each offset, or the next one there is, came to Kafka: milliseconds since the epoch.

    Raises:
        BrokerError: No answer.
    """
    found: dict[Partition, int] = {}
    if not offsets:
        return found
    async with _reader(options) as reader:
        reader.assign([TopicPartition(*partition) for partition in offsets])
        for partition, offset in offsets.items():
            reader.seek(TopicPartition(*partition), offset)
        missing = {TopicPartition(*partition) for partition in offsets}
        while missing:
            batches = await reader.getmany(*missing, timeout_ms=IDLE_TIMEOUT_MS, max_records=1)
            for tp, records in batches.items():
                found[Partition(*tp)] = records[0].timestamp
                missing.discard(tp)
            if not batches:
                break
    return found


@asynccontextmanager
async def _reader(options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await reader.start()
            yield reader
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"the logs cannot be looked at: {told(error)}") from error
    finally:
        await asyncio.wait([asyncio.create_task(reader.stop(), name="stop looking")], timeout=TIMEOUT_S)
