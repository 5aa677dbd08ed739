"""A look at a topic's newest records, without a group: nothing is committed, and nobody else reads less."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumer.errors import BrokerError
from consumer.kafka.records import Record
from consumer.kafka.trouble import told

SAMPLE_RECORDS: Final = 500
"""Enough to see a share of some percent."""
CONNECT_TIMEOUT_S: Final = 10.0
IDLE_TIMEOUT_MS: Final = 1000
"""What has not come by then is taken to be not there: transactions leave holes in a log."""


async def newest_records(options: Mapping[str, Any], topic: str, count: int = SAMPLE_RECORDS) -> list[Record]:
    """A topic's newest records, about the same number from each partition, at most `count` in all.

    Raises:
        BrokerError: The topic cannot be read.
    """
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await consumer.start()
            there = await _go_back(consumer, topic, count)
        return await _read(consumer, count) if there else []
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"topic {topic} cannot be read: {told(error)}") from error
    finally:
        await asyncio.wait([asyncio.create_task(consumer.stop(), name="stop sampling")], timeout=CONNECT_TIMEOUT_S)


async def count_unkeyed(options: Mapping[str, Any], topic: str) -> tuple[int, int]:
    """How many of a topic's newest records have no key, and how many were looked at.

    Raises:
        BrokerError: The topic cannot be read.
    """
    records = await newest_records(options, topic)
    return sum(record.key is None for record in records), len(records)


async def _go_back(consumer: AIOKafkaConsumer, topic: str, count: int) -> bool:
    """Stand before the newest records; whether the topic is there at all."""
    # A client that subscribes to nothing knows no topic of itself.
    metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001
    partitions = [TopicPartition(topic, number) for number in metadata.partitions_for_topic(topic) or ()]
    if not partitions:
        return False
    consumer.assign(partitions)
    first = await consumer.beginning_offsets(partitions)
    end = await consumer.end_offsets(partitions)
    share = -(-count // len(partitions))
    for partition in partitions:
        consumer.seek(partition, max(first[partition], end[partition] - share))
    return True


async def _read(consumer: AIOKafkaConsumer, count: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < count:
        batches = await consumer.getmany(timeout_ms=IDLE_TIMEOUT_MS, max_records=count - len(records))
        found = [record for batch in batches.values() for record in batch]
        if not found:
            break
        records += found
    return records
