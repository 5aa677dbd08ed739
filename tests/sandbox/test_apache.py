"""Apache Kafka as the full suite uses it: what Tansu cannot do, and that it comes back with its data."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from consumer.sandbox.broker import admin_client
from tests.support.apache import ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(180)]


async def test_records_and_the_metadata_of_commits_outlive_restart_and_kill() -> None:
    """The offset map travels in the commit's metadata: it must come back."""
    partition = TopicPartition("events", 0)
    async with ApacheKafka() as kafka:
        await kafka.create_topics(["events"])
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
            for number in range(3):
                await producer.send_and_wait("events", str(number).encode())
        async with _consumer(kafka) as consumer:
            first = await asyncio.wait_for(consumer.getone(), 20)
            await consumer.commit({partition: (first.offset + 1, "a map")})
        await kafka.restart()
        await kafka.kill()
        await kafka.start()
        async with admin_client(kafka.bootstrap) as admin:
            committed = await admin.list_consumer_group_offsets("group", partitions=[partition])
        async with _consumer(kafka) as consumer:
            second = await asyncio.wait_for(consumer.getone(), 20)
    assert first.value == b"0"
    assert (committed[partition].offset, committed[partition].metadata) == (1, "a map")
    assert second.value == b"1"


def _consumer(kafka: ApacheKafka) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        "events",
        bootstrap_servers=kafka.bootstrap,
        group_id="group",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=10_000,
    )
