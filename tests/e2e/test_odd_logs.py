"""Odd logs on Apache Kafka: what topics, commits and dead-letter topics may look like that nobody planned."""

import asyncio
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from consumer.sandbox.broker import admin_client
from consumer.sandbox.children import end_child, start_child
from consumer.sandbox.simulator import Simulator
from tests.e2e.pipe import PREFIX, Metrics, Pipe, event, headers_of
from tests.support.apache import JARS, ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(60)]

MIB = 1024 * 1024


async def _create(pipe: Pipe, topic: str, **configs: str) -> None:
    async with admin_client(pipe.broker.bootstrap) as admin:
        await admin.create_topics([NewTopic(topic, 2, 1, topic_configs=configs)])
        while topic not in await admin.list_topics():
            await asyncio.sleep(0.05)


async def _commit(pipe: Pipe, partition: int, offset: int, metadata: str) -> None:
    """As an operator does it, or another program of the same group."""
    async with AIOKafkaConsumer(
        bootstrap_servers=pipe.broker.bootstrap, group_id=pipe.group, enable_auto_commit=False
    ) as consumer:
        at = TopicPartition(pipe.topic, partition)
        consumer.assign([at])
        await consumer.commit({at: (offset, metadata)})


async def test_without_keys_and_with_times_turned_round_the_newest_still_wins(apache_pipe: Pipe) -> None:
    """One visitor's records lie in both partitions, the newest first: an older one never overwrites it."""
    pipe, now = apache_pipe, datetime.now(UTC)
    states: list[dict[str, Any]] = [
        {
            "type": "identify",
            "userId": "u1",
            "messageId": str(age),
            "timestamp": (now - timedelta(minutes=age)).isoformat(),
            "traits": {"plan": age, f"only{age}": age},
        }
        for age in range(20)
    ]
    async with AIOKafkaProducer(bootstrap_servers=pipe.broker.bootstrap, acks="all") as producer:
        for index, state in enumerate(states):
            await producer.send_and_wait(pipe.topic, orjson.dumps(state), partition=index % 2)
    async with pipe.service() as service:
        metrics = await service.until_settled(len(states))
        assert metrics.sum("records_unkeyed_total") == len(states)
    metadata = pipe.simulator.store.visitors["u1"].metadata
    assert metadata["plan"] == min(int(m) for m in pipe.accepted()) == 0, "the newest is the last word"
    assert metadata == {"plan": 0} | {f"only{age}": age for age in range(20)}, "and no field of an older one is lost"
    written = [
        (entry.message_id, "plan" in orjson.loads(entry.body or "")["traits"])
        for entry in pipe.simulator.log
        if entry.status == 200  # accepted
    ]
    plans = [int(message_id or "") for message_id, has_plan in written if has_plan]
    assert plans == sorted(plans, reverse=True), "older than what was sent before: never"


@pytest.mark.parametrize("metadata", ["", "by hand", "AQ==", "é" * 200], ids=["none", "text", "base64", "not ascii"])
async def test_foreign_metadata_of_a_commit_means_only_its_offset(apache_pipe: Pipe, metadata: str) -> None:
    """An operator has reset the group, or another program has used it before."""
    pipe = apache_pipe
    await pipe.produce([event(n) for n in range(20)], partition=0)
    await _commit(pipe, 0, 5, metadata)
    async with pipe.service() as service:
        await service.until_settled(15)
        await service.until(lambda m: m.sum("lag_records") == 0)
    assert [int(m) for m in pipe.accepted()] == list(range(5, 20))


async def test_a_commit_that_retention_has_overtaken_goes_on_at_the_first_record_and_tells_how_many_are_lost(
    apache_pipe: Pipe,
) -> None:
    """Not at the end, which would lose everything that is still there."""
    pipe = apache_pipe
    await pipe.produce([event(n) for n in range(50)], partition=0)
    await _commit(pipe, 0, 5, "")
    async with admin_client(pipe.broker.bootstrap) as admin:
        await admin.delete_records({TopicPartition(pipe.topic, 0): RecordsToDelete(20)})
    async with pipe.service() as service:
        metrics = await service.until_settled(30)
        assert metrics.sum("records_expired_total") == 15
        await service.until(lambda m: m.sum("lag_records") == 0)
    assert [int(m) for m in pipe.accepted()] == list(range(20, 50))
    assert (await pipe.committed())[0][0] == 50


def _names(metrics: Metrics) -> set[str]:
    return {name.removeprefix(PREFIX) for name, _ in metrics.values}


@pytest.mark.parametrize("last", ["committed", "aborted"])
async def test_transactions_leave_only_what_was_committed_and_their_markers_are_no_lag(
    apache_pipe: Pipe, last: str
) -> None:
    """What was aborted is never delivered; what markers and it leave at the log's end is passed over and committed."""
    pipe = apache_pipe
    names = ["a", "aborted", "b"] if last == "committed" else ["a", "b", "aborted"]
    producer = AIOKafkaProducer(bootstrap_servers=pipe.broker.bootstrap, transactional_id=pipe.group)
    await producer.start()
    try:
        for name in names:
            await producer.begin_transaction()
            for n in range(3):
                await producer.send_and_wait(pipe.topic, orjson.dumps(event(f"{name}{n}")), partition=0)
            await (producer.abort_transaction() if name == "aborted" else producer.commit_transaction())
    finally:
        await producer.stop()
    async with pipe.service() as service:
        await service.until_settled(6)
        async with asyncio.timeout(30):
            while (await pipe.committed())[0][0] != 12:  # 9 records and 3 markers
                await asyncio.sleep(0.1)
        # What is committed was shown before: a sum over no series at all would be 0, too.
        await service.until(lambda m: "lag_records" in _names(m) and m.sum("lag_records") == 0)
        assert (await service.metrics()).sum("backlog_records") == 0
        assert await service.stop() == 0
    expected = ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert pipe.accepted() == expected
    async with pipe.service() as service:
        await pipe.produce([event("c")], partition=0)
        await service.until_settled(1)
        assert (await service.metrics()).sum("records_expired_total") == 0
    assert pipe.accepted() == [*expected, "c"]


async def test_a_dead_letter_of_a_mebibyte_is_kept_whole(apache_pipe: Pipe, simulator: Simulator) -> None:
    """Where both topics take it; it is also more than the client reads ahead of a partition, and comes all the same."""
    pipe = Pipe(apache_pipe.broker, simulator)
    for topic in (pipe.topic, pipe.dead_letter_topic):
        await _create(pipe, topic, **{"max.message.bytes": str(3 * MIB)})
    poison = b"\x00" + bytes(range(1, 256)) * 4113 + b"end"
    assert len(poison) > MIB
    async with AIOKafkaProducer(bootstrap_servers=pipe.broker.bootstrap, max_request_size=3 * MIB) as producer:
        await producer.send_and_wait(pipe.topic, poison, key=b"k", partition=0)
    async with pipe.service(delivery__max_open_bytes="4 MB") as service:
        await pipe.produce([event(0)], partition=0)
        await service.until_settled(2)
        await service.until(lambda m: m.sum("lag_records") == 0)
    [letter] = await pipe.dead_letters()
    assert letter.value == poison
    assert "pendo.dlq.value" not in headers_of(letter)
    assert pipe.accepted() == ["0"]


@pytest.fixture
async def guarded() -> AsyncIterator[ApacheKafka]:
    """A broker that asks who may do what; whatever has no rule is allowed."""
    rules = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    async with ApacheKafka(settings=rules) as broker:
        yield broker


async def _rule(broker: ApacheKafka, *change: str) -> None:
    command = ("java", "-cp", f"{JARS}/*", "org.apache.kafka.tools.AclCommand", "--bootstrap-server", broker.bootstrap)
    child = await start_child(*command, *change, output=DEVNULL)
    try:
        assert await asyncio.wait_for(child.wait(), 30) == 0
    finally:
        await end_child(child, 1)


async def _expect_held_letters(pipe: Pipe, healed: Any) -> None:
    """A poison record is not committed past until its letter is taken; others are delivered meanwhile."""
    async with pipe.service() as service:
        async with AIOKafkaProducer(bootstrap_servers=pipe.broker.bootstrap) as producer:
            await producer.send_and_wait(pipe.topic, b"poison", partition=0)
        await pipe.produce([event(n) for n in range(3)], partition=0)
        await service.until_reasons(["dead_letter"])
        await service.until_settled(3)
        assert (await pipe.committed())[0][0] <= 0
        await healed()
        await service.until_settled(4)
        await service.until_reasons([])
        await service.until(lambda m: m.sum("lag_records") == 0)
    [letter] = await pipe.dead_letters()
    assert letter.value == b"poison"


async def test_a_dead_letter_topic_that_is_compacted_holds_the_commit_until_it_is_not(
    apache_pipe: Pipe, simulator: Simulator
) -> None:
    """It takes no letter without a key; the record waits, and nothing is lost in silence."""
    pipe = Pipe(apache_pipe.broker, simulator)
    await _create(pipe, pipe.topic)
    await _create(pipe, pipe.dead_letter_topic, **{"cleanup.policy": "compact"})

    async def heal() -> None:
        async with admin_client(pipe.broker.bootstrap) as admin:
            policy: Mapping[str, str] = {"cleanup.policy": "delete"}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, pipe.dead_letter_topic, policy)])

    await _expect_held_letters(pipe, heal)


async def test_a_dead_letter_topic_that_may_not_be_written_holds_the_commit_until_it_may(
    guarded: ApacheKafka, simulator: Simulator
) -> None:
    """A missing right is somebody's mistake, not a reason to drop."""
    pipe = Pipe(guarded, simulator)
    await pipe.create_topics()
    topic = ("--topic", pipe.dead_letter_topic)
    await _rule(guarded, "--add", "--allow-principal", "User:*", "--operation", "All", *topic)
    deny = ("--deny-principal", "User:*", "--operation", "Write", *topic)
    await _rule(guarded, "--add", *deny)

    async def heal() -> None:
        await _rule(guarded, "--remove", "--force", *deny)

    await _expect_held_letters(pipe, heal)
