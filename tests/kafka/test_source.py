"""The source on real brokers: it waits for what is missing, and ends whatever the brokers do."""

import asyncio
import gc
import time
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import OffsetMetadataTooLargeError
from aiokafka.structs import TopicPartition

from consumer.config.settings import KafkaSettings
from consumer.errors import BrokerError
from consumer.kafka import source as module
from consumer.kafka.cluster import Cluster
from consumer.kafka.offset_map import encode, without_runs
from consumer.kafka.records import Partition, Record
from consumer.kafka.security import client_options
from consumer.kafka.source import Source
from consumer.sandbox.broker import EmbeddedBroker, admin_client
from consumer.sandbox.children import free_port
from tests.support.apache import ApacheKafka

TOPIC = "events"
P0 = Partition(TOPIC, 0)
MAX_OPEN_BYTES = 64 * 1024 * 1024


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait as long as a service may."""
    monkeypatch.setattr(module, "RETRY_DELAY_S", 0.1)
    monkeypatch.setattr(module, "COMMIT_TIMEOUT_S", 3.0)


class Group:
    """Is told of a rebalance."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[Partition]]] = []
        self.joined = asyncio.Event()

    async def joining(self, partitions: Sequence[Partition]) -> None:
        """Keep it."""
        self.told.append(("joining", list(partitions)))

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """Keep it."""
        self.told.append(("revoked", list(partitions)))

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """Keep it."""
        self.told.append(("assigned", list(partitions)))
        self.joined.set()


class Bench:
    """A source with its cluster."""

    def __init__(self, bootstrap: str, **more: Any) -> None:
        settings = KafkaSettings.model_validate(
            {"bootstrap_servers": [bootstrap], "topics": [TOPIC], "session_timeout_s": 6, **more}
        )
        options = client_options(settings)
        self.cluster = Cluster(options)
        self.source = Source(settings, options, self.cluster, max_open_bytes=MAX_OPEN_BYTES)
        self.group = Group()

    async def read(self, count: int) -> list[Record]:
        """Poll until so many records are there."""
        records: list[Record] = []
        async with asyncio.timeout(20):
            while len(records) < count:
                for batch in (await self.source.poll(500)).values():
                    records += batch
        return records


@asynccontextmanager
async def bench(bootstrap: str, **more: Any) -> AsyncIterator[Bench]:
    """A source that is not started."""
    made = Bench(bootstrap, **more)
    try:
        yield made
    finally:
        await made.source.stop(3)
        await made.cluster.close()


@asynccontextmanager
async def joined(bootstrap: str, **more: Any) -> AsyncIterator[Bench]:
    """A source that has its partitions."""
    async with bench(bootstrap, **more) as made:
        await made.source.start(made.group)
        async with asyncio.timeout(20):
            while not made.group.joined.is_set():
                await made.source.poll(1)
        yield made


async def produce(bootstrap: str, values: Sequence[bytes], timestamps_ms: Mapping[int, int] | None = None) -> None:
    """Write records."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for index, value in enumerate(values):
            await producer.send_and_wait(TOPIC, value, timestamp_ms=(timestamps_ms or {}).get(index))


async def test_a_start_waits_for_a_broker_and_then_for_the_topic_and_creates_neither() -> None:
    """Both are somebody else's work; it goes on by itself."""
    port, broker = free_port(), EmbeddedBroker()
    async with bench(f"127.0.0.1:{port}") as made:
        starting = asyncio.create_task(made.source.start(made.group))
        await asyncio.sleep(0.5)
        assert not starting.done()
        await broker.start(port)
        try:
            await asyncio.sleep(1)
            assert not starting.done()
            async with admin_client(broker.bootstrap) as admin:
                assert TOPIC not in await admin.list_topics()
            await broker.create_topics([TOPIC])
            await asyncio.wait_for(starting, 10)
        finally:
            await made.source.stop(3)
            await broker.stop()


async def test_before_the_start_a_question_is_an_error_and_a_stop_is_nothing() -> None:
    """A commit in the shutdown of a service that never joined must not fail otherwise."""
    async with bench("127.0.0.1:1") as made:
        with pytest.raises(BrokerError, match="not connected"):
            await made.source.commit({P0: (1, "")})
        with pytest.raises(BrokerError, match="not connected"):
            await made.source.poll(1)
        await made.source.stop(0)


@pytest.mark.timeout(60)
async def test_records_are_polled_sought_committed_and_bounded_on_the_embedded_broker() -> None:
    """The whole life once; an end offset is the next to be written."""
    async with EmbeddedBroker() as broker:
        await broker.create_topics([TOPIC])
        await produce(broker.bootstrap, [b"a", b"b", b"c"])
        async with joined(broker.bootstrap) as made:
            source = made.source
            assert made.group.told == [("joining", [P0]), ("revoked", []), ("assigned", [P0])]
            with pytest.raises(BrokerError, match="IllegalStateError"):
                source.seek(Partition(TOPIC, 1), 0)
            assert await source.committed([P0]) == {}
            assert await source.bounds([P0]) == {P0: (0, 3)}
            source.seek(P0, 0)
            assert [record.value for record in await made.read(3)] == [b"a", b"b", b"c"]
            source.seek(P0, 2)
            assert [record.value for record in await made.read(1)] == [b"c"]
            await source.commit({P0: (2, "")})
            assert (await source.committed([P0]))[P0][0] == 2


async def test_a_stop_ends_in_time_with_the_broker_killed() -> None:
    """The client's own stop raises `CancelledError` then, or waits: the rest of a shutdown must still run."""
    async with EmbeddedBroker() as broker:
        await broker.create_topics([TOPIC])
        async with bench(broker.bootstrap) as made:
            await made.source.start(made.group)
            await made.source.poll(1)
            await broker.stop()
            began = time.monotonic()
            await made.source.stop(2.0)
            assert time.monotonic() - began < 3.0


@pytest.mark.timeout(60)
async def test_a_commit_ends_in_time_with_the_broker_killed_and_a_poll_shows_nothing() -> None:
    """The client would wait for its coordinator for ever; what a poll shows cannot be told from an idle topic."""
    async with EmbeddedBroker() as broker:
        await broker.create_topics([TOPIC])
        async with joined(broker.bootstrap) as made:
            await broker.stop()
            began = time.monotonic()
            with pytest.raises(BrokerError, match="a commit"):
                await made.source.commit({P0: (0, "")})
            assert time.monotonic() - began < 4.0
            assert await made.source.poll(1) == {}
            with pytest.raises(BrokerError):
                await made.cluster.topics()


@pytest.mark.parametrize("key", ["enable_auto_commit", "auto_offset_reset", "isolation_level", "max_poll_interval_ms"])
def test_what_the_service_rests_on_is_set_whatever_the_options_say(key: str) -> None:
    """Each default of the client would lose records, or repeat them."""
    settings = KafkaSettings.model_construct(consumer_options={key: "odd"}, topics=(TOPIC,))
    options = Source(settings, {}, Cluster({}), max_open_bytes=MAX_OPEN_BYTES)._options
    assert {name: options[name] for name in ("enable_auto_commit", "auto_offset_reset", "isolation_level")} == {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
    }
    assert options["max_poll_interval_ms"] == 24 * 3600 * 1000
    assert options["rebalance_timeout_ms"] > 1000 * settings.rebalance_drain_s
    assert len(options["partition_assignment_strategy"]) == 1


class Coordinator:
    """Of aiokafka's, only whether it is a member."""

    generation = 3


class Client:
    """aiokafka's consumer, as far as commits and polls go: of a broker that takes so much metadata."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.taken: list[dict[TopicPartition, tuple[int, str]]] = []
        self.asked: list[tuple[set[TopicPartition], int, int]] = []
        self.topics = {TOPIC: {0, 1, 2}, "more": {0}}
        self._coordinator: Coordinator | None = Coordinator()
        self._fetcher = None

    async def commit(self, offsets: dict[TopicPartition, tuple[int, str]]) -> None:
        """Take a commit, or find its metadata too large."""
        if max(len(metadata) for _, metadata in offsets.values()) > self.takes:
            raise OffsetMetadataTooLargeError
        self.taken.append(offsets)

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        """Nothing has arrived."""
        self.asked.append((set(partitions), timeout_ms, max_records))
        return {}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """What the client knows."""
        return self.topics.get(topic)


def with_client(takes: int = 4096, max_open_bytes: int = MAX_OPEN_BYTES, **more: Any) -> tuple[Source, Client]:
    """A source whose client is put in its place."""
    settings = KafkaSettings.model_construct(topics=(TOPIC, "more"), **more)
    source, client = Source(settings, {}, Cluster({}), max_open_bytes=max_open_bytes), Client(takes)
    source._consumer = cast("AIOKafkaConsumer", client)
    return source, client


RUNS = [2, 1] * 3 + list(range(1, 200))
MAP = encode(7, RUNS[:200], b"a-writer", 3)
SHORT = without_runs(MAP, 7)


@pytest.mark.parametrize(
    ("takes", "told"), [(4096, MAP), (len(MAP) - 1, SHORT), (len(SHORT), SHORT), (len(SHORT) - 1, ""), (0, "")]
)
async def test_a_broker_that_takes_little_metadata_gets_less_of_it(takes: int, told: str) -> None:
    """First the runs go, whose loss only costs repeats; then the writer and the flags; the offset stands."""
    source, client = with_client(takes)
    await source.commit({P0: (7, MAP)})
    assert client.taken == [{TopicPartition(TOPIC, 0): (7, told)}]


async def test_a_broker_that_takes_little_metadata_is_complained_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Commits go out many times a second."""
    source, client = with_client(0)
    for offset in (7, 8, 9):
        await source.commit({P0: (offset, MAP)})
    assert len(client.taken) == 3
    assert capsys.readouterr().out.count("offset.metadata.max.bytes") == 1


@pytest.mark.parametrize("coordinator", [None, "thrown out"])
async def test_a_process_that_is_no_member_commits_nothing(coordinator: str | None) -> None:
    """The client would do it as nobody in particular, over what the members have committed since."""
    source, client = with_client()
    if coordinator is None:
        client._coordinator = None
    elif client._coordinator is not None:
        client._coordinator.generation = -1
    with pytest.raises(BrokerError, match="not a member"):
        await source.commit({P0: (7, MAP)})
    assert client.taken == []


async def test_a_poll_that_names_partitions_asks_for_those_and_waits_less() -> None:
    """Records of the others do not end its wait."""
    source, client = with_client()
    await source.poll(7)
    await source.poll(8, [P0])
    assert client.asked == [(set(), 200, 7), ({TopicPartition(TOPIC, 0)}, 20, 8)]


def test_the_groups_partitions_are_counted_as_the_client_knows_them_now() -> None:
    """A topic may grow; one that is not known yet counts nothing."""
    source, client = with_client()
    assert source.partition_count == 4
    client.topics = {TOPIC: set(range(12))}
    assert source.partition_count == 12


@pytest.mark.parametrize(
    ("max_open_bytes", "partitions", "each"),
    [
        (64 << 20, 1, 256 << 10),
        (64 << 20, 128, 128 << 10),
        (64 << 20, 4096, 16 << 10),
        (1 << 20, 8, 32 << 10),
        (64 << 20, 0, 256 << 10),
    ],
)
def test_the_client_reads_a_quarter_of_the_byte_bound_ahead(max_open_bytes: int, partitions: int, each: int) -> None:
    """Shared by all partitions that there are, within what is sensible for one; it counts as held."""
    source, _ = with_client(max_open_bytes=max_open_bytes, consumer_options={})
    assert source._share_prefetch(partitions) == each
    source._partition_bytes = each
    assert source.prefetched_bytes(3) == 3 * each


def test_an_operators_own_prefetch_is_used_and_counted() -> None:
    """`consumer_options` may name it."""
    source, _ = with_client(consumer_options={"max_partition_fetch_bytes": 1234})
    assert source._share_prefetch(8) == 1234


@pytest.mark.apache
@pytest.mark.timeout(120)
async def test_the_metadata_of_a_commit_comes_back_and_one_too_large_is_committed_without() -> None:
    """On a broker that takes 100 bytes of it: the offset is what matters; the map only saves repeats."""
    async with ApacheKafka(settings={"offset.metadata.max.bytes": "100"}) as kafka:
        await kafka.create_topics([TOPIC], 2)
        async with joined(kafka.bootstrap) as made:
            source, p1 = made.source, Partition(TOPIC, 1)
            await source.commit({P0: (1, "a map")})
            assert await source.committed([P0, p1]) == {P0: (1, "a map")}
            await source.commit({P0: (2, "x" * 101), p1: (3, "small")})
            assert await source.committed([P0, p1]) == {P0: (2, ""), p1: (3, "")}
            assert len(MAP) > 100 > len(SHORT)
            await source.commit({P0: (7, MAP)})
            assert await source.committed([P0]) == {P0: (7, SHORT)}


@pytest.mark.apache
@pytest.mark.timeout(60)
async def test_a_member_that_the_group_threw_out_commits_nothing_until_it_has_joined_again() -> None:
    """On a real group: it does not know until its next heartbeat, and then must not write over others' commits."""
    async with ApacheKafka() as kafka:
        await kafka.create_topics([TOPIC])
        async with joined(kafka.bootstrap) as made:
            await made.source.commit({P0: (1, "mine")})
            async with admin_client(kafka.bootstrap) as admin:
                coordinator = made.source._client._coordinator
                assert coordinator is not None
                coordinator.reset_generation()
                with pytest.raises(BrokerError, match="not a member"):
                    await made.source.commit({P0: (0, "late")})
                assert (await admin.list_consumer_group_offsets("pendo-consumer", partitions=[TopicPartition(*P0)]))[
                    TopicPartition(*P0)
                ].offset == 1


@pytest.mark.apache
@pytest.mark.timeout(120)
async def test_a_time_becomes_its_first_offset() -> None:
    """None when all records are older."""
    async with ApacheKafka() as kafka:
        await kafka.create_topics([TOPIC])
        await produce(kafka.bootstrap, [b"a", b"b", b"c"], {0: 1000, 1: 2000, 2: 3000})
        async with joined(kafka.bootstrap) as made:
            assert await made.source.offsets_at([P0], 1500) == {P0: 1}
            assert await made.source.offsets_at([P0], 3001) == {P0: None}
            assert await made.source.bounds([P0]) == {P0: (0, 3)}


async def test_a_stop_while_it_connects_leaves_no_client_behind() -> None:
    """A broker that takes the connection and says nothing; who stops then would not know of the client."""
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = KafkaSettings(bootstrap_servers=(f"127.0.0.1:{port}",), topics=(TOPIC,))
    options = client_options(settings)
    source = Source(settings, options, Cluster(options), max_open_bytes=MAX_OPEN_BYTES)
    connecting = asyncio.create_task(source._connect())
    await asyncio.sleep(0.2)
    connecting.cancel()
    done, _ = await asyncio.wait([connecting], timeout=10)
    assert done
    assert connecting.cancelled()
    del source, connecting, done
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    over.set()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.05)
    assert not [each for each in caught if "AIOKafkaConsumer" in str(each.message)]
