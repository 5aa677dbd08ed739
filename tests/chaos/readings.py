"""What can be read off Kafka: commits, ends, dead letters. An address comes in, plain values go out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from tests.chaos.log import Letter

TOPIC: Final = "chaos-events"
DEAD_LETTERS: Final = "chaos-dead-letters"
DEAD_LETTER_PARTITIONS: Final = 2
GROUP: Final = "chaos"
_READ_S: Final = 120.0


async def committed(bootstrap: str, partitions: int) -> dict[int, int]:
    """What the group has committed, by partition; nothing while its coordinator moves."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        asked = [TopicPartition(TOPIC, number) for number in range(partitions)]
        found = await admin.list_consumer_group_offsets(GROUP, partitions=asked)
        return {tp.partition: at.offset for tp, at in found.items()}
    except KafkaError:
        return {}
    finally:
        await admin.close()


@asynccontextmanager
async def _reader(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def ends(bootstrap: str, partitions: int) -> dict[int, int]:
    """Where the partitions end."""
    async with _reader(bootstrap) as reader:
        found = await reader.end_offsets([TopicPartition(TOPIC, number) for number in range(partitions)])
        return {tp.partition: end for tp, end in found.items()}


async def letters(bootstrap: str) -> list[Letter]:
    """All dead letters."""
    found: list[Letter] = []
    async with asyncio.timeout(_READ_S), _reader(bootstrap) as reader:
        asked = [TopicPartition(DEAD_LETTERS, number) for number in range(DEAD_LETTER_PARTITIONS)]
        reader.assign(asked)
        total = sum((await reader.end_offsets(asked)).values())
        while len(found) < total:
            for records in (await reader.getmany(timeout_ms=500)).values():
                found += map(_letter, records)
    return found


def _letter(record: Any) -> Letter:
    headers = {name: value.decode() for name, value in record.headers}
    connect = "__connect.errors."
    return Letter(int(headers[f"{connect}partition"]), int(headers[f"{connect}offset"]), headers["pendo.dlq.reason"])
