"""Questions to the cluster: bounded, told as our own error, and asked anew after a failure."""

import asyncio
from typing import Any

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from consumer.errors import BrokerError
from consumer.kafka import cluster as module
from consumer.kafka.cluster import Cluster
from consumer.kafka.records import Partition
from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.children import free_port

P0, P1 = Partition("events", 0), Partition("events", 1)


async def test_topics_are_told_and_again_after_an_outage() -> None:
    """The same object asks anew; a failed question leaves nothing behind."""
    port, broker = free_port(), EmbeddedBroker()
    cluster = Cluster({"bootstrap_servers": [f"127.0.0.1:{port}"]})
    try:
        for name in ("one", "two"):
            with pytest.raises(BrokerError, match="Kafka was asked for"):
                await cluster.topics()
            await broker.start(port)
            await broker.create_topics([name])
            assert await cluster.topics() == {name}
            await broker.stop()
    finally:
        await cluster.close()


async def test_partitions_of_all_topics_are_told_and_none_is_created() -> None:
    """A process's share of the quota is told by them."""
    async with EmbeddedBroker() as broker:
        cluster = Cluster({"bootstrap_servers": [broker.bootstrap]})
        await broker.create_topics(["one"], 1)
        await broker.create_topics(["three"], 3)
        assert await cluster.partitions() == {"one": 1, "three": 3}
        assert await cluster.topics() == {"one", "three"}
        await cluster.close()


class Mute:
    """Takes connections and never answers; knows how many are open."""

    def __init__(self) -> None:
        self.open = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read until the other side closes."""
        self.open += 1
        while await reader.read(4096):
            pass
        self.open -= 1
        writer.close()


async def test_a_broker_that_never_answers_costs_a_bounded_time_and_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether the question ran out of its own time or was cancelled by whoever asked."""
    monkeypatch.setattr(module, "QUESTION_TIMEOUT_S", 0.5)
    mute = Mute()
    server = await asyncio.start_server(mute.accept, "127.0.0.1", 0)
    cluster = Cluster({"bootstrap_servers": [f"127.0.0.1:{server.sockets[0].getsockname()[1]}"]})
    with pytest.raises(BrokerError):
        await asyncio.wait_for(cluster.topics(), 5)
    monkeypatch.setattr(module, "QUESTION_TIMEOUT_S", 60.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.topics(), 0.3)
    async with asyncio.timeout(3):
        while mute.open:
            await asyncio.sleep(0.02)
    server.close()
    await cluster.close()


async def test_whoever_does_not_wait_for_an_answer_leaves_no_connection_that_does_not_give_one() -> None:
    """With a short session the question is given up before its own time: the next one must not meet the same client."""
    async with EmbeddedBroker() as broker:
        cluster = Cluster({"bootstrap_servers": [broker.bootstrap]})
        await broker.create_topics(["one"])
        assert await cluster.topics() == {"one"}
        admin = cluster._admin
        asking = asyncio.create_task(cluster.topics())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        assert cluster._admin is None
        assert await cluster.topics() == {"one"}
        assert cluster._admin is not admin
        await cluster.close()


class Admin:
    """aiokafka's admin client, of which only the answer to one question matters."""

    answer: dict[TopicPartition, OffsetAndMetadata]

    def __init__(self, **_: Any) -> None:
        """Take any options."""

    async def start(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Let go."""

    async def list_consumer_group_offsets(self, _: str, partitions: Any) -> dict[TopicPartition, OffsetAndMetadata]:
        """What was set before."""
        assert partitions
        return self.answer


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> type[Admin]:
    """The client's place taken."""
    monkeypatch.setattr(module, "AIOKafkaAdminClient", Admin)
    return Admin


async def test_an_answer_that_leaves_a_partition_out_is_not_taken_for_no_commit(admin: type[Admin]) -> None:
    """So answers a coordinator that is still loading: to begin anew would repeat the topic, or skip it."""
    cluster = Cluster({})
    admin.answer = {TopicPartition("events", 0): OffsetAndMetadata(5, "m")}
    with pytest.raises(BrokerError, match="did not answer for every partition"):
        await cluster.committed("group", [P0, P1])
    admin.answer[TopicPartition("events", 1)] = OffsetAndMetadata(-1, "")
    assert await cluster.committed("group", [P0, P1]) == {P0: (5, "m")}
