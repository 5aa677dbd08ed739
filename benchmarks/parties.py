"""The measured parties: each carries the same events one way, in a process of its own, and says what that cost.

In comes what to run (`python -m benchmarks.parties READ|POST|SERVICE …`), out go lines of JSON behind a mark: one at
the first event, one with the figures at the last. CPU time is this process's alone. Joining the consumer group, opening
files and importing lie before the first event and are not counted.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from yarl import URL

from benchmarks.events import bodies
from benchmarks.rig import post_all
from consumer import log
from consumer.config.load import load
from consumer.pendo.client import Client, Target
from consumer.process import settle_heap
from consumer.service import Service

MARK: Final = b"@ "
"""Begins the lines that are meant for the parent; everything else is noise or a complaint."""
DEAD_LETTER_TOPIC: Final = "dead-letter"
_HEADERS: Final = {"Content-Type": "application/json"}
_REQUEST_TIMEOUT_S: Final = 10.0
_SESSION_TIMEOUT_S: Final = 6
"""The least that brokers take; the embedded one takes half of it for a join."""
_FIRST_POLL_S: Final = 0.001
_LAST_POLL_S: Final = 0.01


class Party(StrEnum):
    """Who is measured."""

    READ = "read"
    POST = "post"
    LEAN = "lean"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a party is to do.

    Attributes:
        party: Which.
        events: How many there are; the topic holds exactly so many.
        concurrency: Requests in flight.
        bootstrap: The broker.
        topic: Where the events are.
        url: The endpoint.
        deadline_s: When to give up.
        settings: What the service is told beside that, by its settings' names.
    """

    party: Party
    events: int
    concurrency: int = 1
    bootstrap: str = ""
    topic: str = ""
    url: str = ""
    deadline_s: float = 60.0
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it took, from the first event to the last.

    Attributes:
        events: How many.
        seconds: Of the clock.
        cpu_s: Of the processor, user and system, in the measured process.
    """

    events: int
    seconds: float
    cpu_s: float


class Stopwatch:
    """Runs from the first event to the last, and tells the parent of both."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._began_s = 0.0
        self._cpu_began_s = 0.0

    def start(self) -> None:
        """Take the time of the first event."""
        tell({"began": self._events})
        self._began_s, self._cpu_began_s = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Take the time of the last event."""
        seconds, cpu_s = time.perf_counter() - self._began_s, time.process_time() - self._cpu_began_s
        tell(asdict(Cost(events=self._events, seconds=seconds, cpu_s=cpu_s)))


def tell(what: Mapping[str, object]) -> None:
    """Tell the parent."""
    print(MARK.decode() + orjson.dumps(what).decode(), flush=True)


async def read(task: Task) -> None:
    """Read all events and decode their JSON: the floor of any consumer, without a group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=task.bootstrap, enable_auto_commit=False)
    async with consumer:
        numbers = await _partitions(consumer, task.topic)
        tps = [TopicPartition(task.topic, number) for number in numbers]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        stopwatch, seen = Stopwatch(task.events), 0
        stopwatch.start()
        while seen < task.events:
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            for records in batches.values():
                for record in records:
                    orjson.loads(record.value or b"null")
                seen += len(records)
        stopwatch.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer.topics()
    return sorted(consumer.partitions_for_topic(topic) or ())


async def post(task: Task) -> None:
    """Post the events' values with aiohttp's session: the floor of anything that delivers by it, without Kafka."""
    values, url = iter(bodies(task.events)), URL(task.url)
    timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)
    jar, connector = aiohttp.DummyCookieJar(), aiohttp.TCPConnector(limit=0)
    stopwatch = Stopwatch(task.events)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
        stopwatch.start()
        async with asyncio.TaskGroup() as workers:
            for _ in range(task.concurrency):
                workers.create_task(_post_all(session, url, values))
        stopwatch.stop()


async def _post_all(session: aiohttp.ClientSession, url: URL, values: Iterator[bytes]) -> None:
    for value in values:
        async with session.post(url, data=value, headers=_HEADERS, allow_redirects=False) as response:
            await response.read()
            response.raise_for_status()


async def post_leanly(task: Task) -> None:
    """The same by the transport that the service uses: no order, no memory, no retry."""
    values = iter(bodies(task.events))
    stopwatch = Stopwatch(task.events)
    async with Client(timeout_s=_REQUEST_TIMEOUT_S) as client:
        target = Target(client, task.url, _HEADERS)
        stopwatch.start()
        await post_all(values, target, task.concurrency)
        stopwatch.stop()


async def deliver(task: Task) -> None:
    """Run the whole service until all events are settled.

    Raises:
        RuntimeError: The service ended before that.
    """
    settle_heap()
    service = Service(load(None, _environment(task)))
    running = asyncio.create_task(service.run())
    stopwatch, tally = Stopwatch(task.events), service.tally
    try:
        while tally.open_events == 0 and not running.done():  # noqa: ASYNC110 - counted, not signalled
            await asyncio.sleep(_FIRST_POLL_S)
        stopwatch.start()
        while tally.settled.total() < task.events and not running.done():  # noqa: ASYNC110 - likewise
            await asyncio.sleep(_LAST_POLL_S)
        if running.done():
            raise RuntimeError("the service ended early")
        stopwatch.stop()
    finally:
        service.stop()
        await running


def _environment(task: Task) -> dict[str, str]:
    settings: dict[str, object] = {
        "KAFKA__BOOTSTRAP_SERVERS": task.bootstrap,
        "KAFKA__TOPICS": task.topic,
        "KAFKA__GROUP_ID": f"benchmark-{os.getpid()}",
        "KAFKA__SESSION_TIMEOUT_S": _SESSION_TIMEOUT_S,
        "DEAD_LETTER__TOPIC": DEAD_LETTER_TOPIC,
        "DELIVERY__MAX_CONCURRENCY": task.concurrency,
        "PENDO__DATA_URL": task.url,
        "PENDO__API_KEY": "benchmark-key",
        "HTTP__HOST": "127.0.0.1",
        "HTTP__PORT": 0,
    }
    settings |= {name.upper(): value for name, value in task.settings.items()}
    return {f"PENDO_CONSUMER_{name}": str(value) for name, value in settings.items()}


async def _run(task: Task) -> None:
    async with asyncio.timeout(task.deadline_s):
        match task.party:
            case Party.READ:
                await read(task)
            case Party.POST:
                await post(task)
            case Party.LEAN:
                await post_leanly(task)
            case Party.SERVICE:
                await deliver(task)


def _task() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", type=orjson.loads)
    fields = parser.parse_args().task
    return Task(**fields | {"party": Party(fields["party"])})


if __name__ == "__main__":
    log.configure("error", "text")
    uvloop.run(_run(_task()))
