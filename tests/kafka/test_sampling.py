"""A sample of a topic: its newest records, without a group."""

import json

import pytest
from aiokafka import AIOKafkaProducer

from consumer.errors import BrokerError
from consumer.kafka.sampling import newest_records
from consumer.sandbox.broker import EmbeddedBroker
from tests.support.apache import ApacheKafka


async def fill(broker: EmbeddedBroker | ApacheKafka, topic: str, partitions: int, records: int) -> None:
    await broker.create_topics([topic], partitions)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for number in range(records):
            await producer.send_and_wait(topic, json.dumps(number).encode(), partition=number % partitions)


@pytest.mark.parametrize("kind", [EmbeddedBroker, pytest.param(ApacheKafka, marks=pytest.mark.apache)])
async def test_the_newest_records_of_all_partitions_are_read(kind: type[EmbeddedBroker | ApacheKafka]) -> None:
    """No more than asked for, and as many from each; all when there are fewer."""
    async with kind() as broker:
        await fill(broker, "many", 2, 20)
        await fill(broker, "none", 2, 0)
        options = {"bootstrap_servers": [broker.bootstrap]}
        assert sorted(int(record.value or b"") for record in await newest_records(options, "many", 4)) == [
            16,
            17,
            18,
            19,
        ]
        assert len(await newest_records(options, "many", 5)) == 5
        assert len(await newest_records(options, "many", 100)) == 20
        assert await newest_records(options, "none", 100) == []
        assert await newest_records(options, "no such topic", 100) == []


async def test_a_topic_out_of_reach_is_told() -> None:
    """By its name."""
    with pytest.raises(BrokerError, match="topic far cannot be read"):
        await newest_records({"bootstrap_servers": ["127.0.0.1:9"]}, "far")
