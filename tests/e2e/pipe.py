"""The whole pipe for a test: a broker, the Pendo simulator, and the service in this process or as one of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from consumer.config.load import load
from consumer.kafka.cluster import Cluster
from consumer.sandbox.children import free_port
from consumer.sandbox.simulator import Simulator
from consumer.service import Service
from tests.support.transport import TRANSPORT

NUMBERS = count()
PREFIX = "pendo_consumer_"


class Broker(Protocol):
    """Tansu or Apache Kafka."""

    bootstrap: str

    async def create_topics(self, names: list[str], partitions: int = 1) -> None:
        """Create topics."""


def event(number: int | str, user: str = "u1", **fields: Any) -> dict[str, Any]:
    """A track event whose messageId is its number."""
    return {
        "type": "track",
        "event": "Clicked",
        "userId": user,
        "messageId": str(number),
        "properties": {"n": number},
    } | fields


@dataclass
class Metrics:
    """What `/metrics` said: values by name and labels."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def sum(self, name: str, **labels: str) -> float:
        """All series of a metric that have these labels, added up."""
        wanted = set(labels.items())
        return sum(v for (n, have), v in self.values.items() if n == PREFIX + name and wanted <= have)


@dataclass
class Running:
    """A service that runs in this process, or as one of its own."""

    url: str
    stop: Callable[[], Any]
    process: Process | None = None
    log: list[dict[str, Any]] = field(default_factory=list)

    async def get(self, path: str) -> tuple[int, bytes]:
        """One request to its HTTP side."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.read()

    async def metrics(self) -> Metrics:
        """Its metrics now."""
        _, text = await self.get("/metrics")
        families = text_string_to_metric_families(text.decode())
        return Metrics({(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples})

    async def reasons(self) -> list[str]:
        """Why it is not ready."""
        _, body = await self.get("/readyz")
        reasons: list[str] = orjson.loads(body)["reasons"]
        return reasons

    async def until(self, condition: Callable[[Metrics], bool], timeout_s: float = 30) -> Metrics:
        """Wait until the metrics are so."""
        metrics = await self.metrics()
        try:
            async with asyncio.timeout(timeout_s):
                while not condition(metrics):
                    await asyncio.sleep(0.05)
                    metrics = await self.metrics()
        except TimeoutError:
            shown = {f"{n}{dict(labels)}": v for (n, labels), v in metrics.values.items() if "bucket" not in n and v}
            raise AssertionError(f"it did not come to that: {shown}") from None
        return metrics

    async def until_settled(self, events: int, timeout_s: float = 30) -> Metrics:
        """Wait until so many events are settled, and check that all are accounted for."""
        metrics = await self.until(lambda m: m.sum("events_settled_total") >= events, timeout_s)
        assert metrics.sum("events_unaccounted") == 0
        return metrics

    async def until_reasons(self, reasons: list[str], timeout_s: float = 20) -> None:
        """Wait until it is not ready for exactly these reasons."""
        found: list[str] | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while (found := await self.reasons()) != reasons:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not ready because of {found}, expected {reasons}") from None


class Pipe:
    """A broker with topics of this test's own, a simulator, and services started on them."""

    def __init__(self, broker: Broker, simulator: Simulator) -> None:
        self.broker = broker
        self.simulator = simulator
        name = f"t{os.getpid()}-{next(NUMBERS)}-{uuid4().hex[:6]}"
        self.topic = f"{name}-events"
        self.dead_letter_topic = f"{name}-dead"
        self.group = f"{name}-group"
        self.more_environ: dict[str, str] = {}

    async def create_topics(self, partitions: int = 2) -> None:
        """Create both topics, and wait until the broker tells of them: it may do so a little after it made them."""
        await self.broker.create_topics([self.topic], partitions)
        await self.broker.create_topics([self.dead_letter_topic], 2)
        cluster = Cluster({"bootstrap_servers": self.broker.bootstrap})
        try:
            async with asyncio.timeout(30):
                while not {self.topic, self.dead_letter_topic} <= await cluster.topics():
                    await asyncio.sleep(0.05)
        finally:
            await cluster.close()

    def environ(self, **settings: str) -> dict[str, str]:
        """The environment that configures a service for this test; keys like `delivery__paused`."""
        values = {
            "kafka__bootstrap_servers": self.broker.bootstrap,
            "kafka__topics": self.topic,
            "kafka__group_id": self.group,
            # The broker of the quick tests lets a first member wait for half of it.
            "kafka__session_timeout_s": "6",
            "pendo__api_key": self.simulator.api_key,
            "pendo__data_url": self.simulator.url,
            "pendo__transport": TRANSPORT,
            "dead_letter__topic": self.dead_letter_topic,
            "http__host": "127.0.0.1",
            "http__port": "0",
            "delivery__shutdown_timeout_s": "10",
        } | settings
        return {f"PENDO_CONSUMER_{key.upper()}": value for key, value in values.items() if value}

    @asynccontextmanager
    async def service(self, config: Path | None = None, /, **settings: str) -> AsyncIterator[Running]:
        """A service in this process; stopped in an orderly way at the end."""
        service = Service(load(config, self.environ(**settings)))
        task = asyncio.create_task(service.run())
        while not service.web.port and not task.done():
            await asyncio.sleep(0.005)
        if task.done():
            await task

        async def stop() -> int:
            service.stop()
            return await task

        try:
            yield Running(f"http://127.0.0.1:{service.web.port}", stop)
        finally:
            service.stop()
            await asyncio.wait([task])

    @asynccontextmanager
    async def process(self, **settings: str) -> AsyncIterator[Running]:
        """A service as a process of its own, whose log is kept; killed at the end if it still runs."""
        port = free_port()
        environ = {
            **os.environ,
            **self.more_environ,
            **self.environ(http__port=str(port), log__format="json", **settings),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "consumer", "run", env=environ, stderr=PIPE, stdout=PIPE
        )
        running = Running(f"http://127.0.0.1:{port}", lambda: _terminate(process), process)
        reading = asyncio.create_task(_read_log(process, running.log))
        try:
            await _listening(running, process)
            yield running
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await reading

    async def produce(
        self,
        events: Iterable[Mapping[str, Any] | bytes | None],
        *,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> list[tuple[int, int]]:
        """Write records, keyed by the user; returns partitions and offsets."""
        producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap, acks="all")
        await producer.start()
        try:
            sent = [await self._send(producer, value, partition, headers) for value in events]
            return [(meta.partition, meta.offset) for meta in await asyncio.gather(*sent)]
        finally:
            await producer.stop()

    async def _send(
        self,
        producer: AIOKafkaProducer,
        value: Mapping[str, Any] | bytes | None,
        partition: int | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> "asyncio.Future[Any]":
        key = str(value.get("userId", "")).encode() if isinstance(value, Mapping) else b"key"
        body = orjson.dumps(value) if isinstance(value, Mapping) else value
        sent: asyncio.Future[Any] = await producer.send(
            self.topic, key=key, value=body, partition=partition, headers=[("source", b"test"), *headers]
        )
        return sent

    async def dead_letters(self) -> list["ConsumerRecord[bytes, bytes]"]:
        """All that lies in the dead-letter topic."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = [TopicPartition(self.dead_letter_topic, number) for number in range(2)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            letters: list[ConsumerRecord[bytes, bytes]] = []
            while len(letters) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    letters += records
            return letters
        finally:
            await consumer.stop()

    async def committed(self, partitions: int = 2) -> dict[int, tuple[int, str]]:
        """What the group has committed, by partition."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await admin.start()
        try:
            asked = [TopicPartition(self.topic, number) for number in range(partitions)]
            found = await admin.list_consumer_group_offsets(self.group, partitions=asked)
            return {tp.partition: (at.offset, at.metadata) for tp, at in found.items()}
        finally:
            await admin.close()

    def accepted(self) -> list[str]:
        """The messageIds that Pendo accepted, in order."""
        return [e.message_id or "" for e in self.simulator.log if e.status == 200]


def headers_of(letter: "ConsumerRecord[bytes, bytes]") -> dict[str, str]:
    """A dead letter's headers as text."""
    return {name: value.decode() for name, value in letter.headers}


async def _terminate(process: Process) -> int:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    return await process.wait()


async def _read_log(process: Process, log: list[dict[str, Any]]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        try:
            log.append(orjson.loads(line))
        except ValueError:
            rest = line + await process.stderr.read()
            raise AssertionError(f"the log has what is no JSON: {rest.decode()}") from None


async def _listening(running: Running, process: Process) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, running.log
            try:
                await running.get("/livez")
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
            else:
                return
