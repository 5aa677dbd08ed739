"""A look at a topic's newest records, without a group: used by `check --connect` alone."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumer.errors import BrokerError

SAMPLE_RECORDS: Final = 500
SAMPLE_TIMEOUT_S: Final = 10.0


async def count_unkeyed(options: Mapping[str, Any], topic: str) -> tuple[int, int]:
    """How many of a topic's newest records have no key, and how many were looked at (at most about 500).

    Raises:
        BrokerError: The topic cannot be read.
    """
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        async with asyncio.timeout(SAMPLE_TIMEOUT_S):
            await consumer.start()
            return await _count(consumer, topic)
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"topic {topic} cannot be read: {error.__class__.__name__}") from error
    finally:
        await asyncio.wait([asyncio.create_task(consumer.stop(), name="stop sampling")], timeout=SAMPLE_TIMEOUT_S)


async def _count(consumer: AIOKafkaConsumer, topic: str) -> tuple[int, int]:
    await consumer._client.fetch_all_metadata()  # noqa: SLF001  # without it an unsubscribed consumer knows no topic
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    if not partitions:
        return 0, 0
    consumer.assign(partitions)
    first = await consumer.beginning_offsets(partitions)
    end = await consumer.end_offsets(partitions)
    share = SAMPLE_RECORDS // len(partitions) + 1
    for partition in partitions:
        consumer.seek(partition, max(first[partition], end[partition] - share))
    unkeyed = looked_at = 0
    while looked_at < SAMPLE_RECORDS:
        batches = await consumer.getmany(timeout_ms=1000, max_records=SAMPLE_RECORDS)
        keys = [record.key for records in batches.values() for record in records]
        if not keys:
            break
        looked_at += len(keys)
        unkeyed += sum(key is None for key in keys)
    return unkeyed, looked_at
