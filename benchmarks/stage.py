"""The stage for what is measured from outside: Apache Kafka, an endpoint that remembers, members of one group.

A latency comes in, a stage goes out, with a topic to fill and members to start, stop and kill. Each member is the
service as a process of its own. What is measured on it is not known here.
"""

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from benchmarks.processes import PARTITIONS, Endpoint, Journal, PartyError, child, endpoint, lines_of
from benchmarks.sink import Latency
from consumer.sandbox.children import free_port
from consumer.sandbox.traffic import Produced, produce
from tests.support.apache import ApacheKafka

SESSION_TIMEOUT_S: Final = 6
"""The least that brokers take: what follows a kill waits for it."""
LOOK_S: Final = 0.05
READY_S: Final = 60.0
_STOP_S: Final = 40.0
"""Beyond the service's own deadline for a stop."""
_KEPT_LINES: Final = 20
_METRIC_PREFIX: Final = "pendo_consumer_"
TOPIC: Final = "stage"
DEAD_LETTER_TOPIC: Final = "stage-dead-letter"


@dataclass
class Member:
    """One process of the service.

    Attributes:
        pid: Its process id.
        url: Its HTTP side.
        said: The last lines of its log.
    """

    pid: int
    url: str
    _process: Process
    said: list[str] = field(default_factory=list)

    async def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and wait until it has.

        Raises:
            PartyError: It did not end in an orderly way.
        """
        self._process.terminate()
        status = await asyncio.wait_for(self._process.wait(), _STOP_S)
        if status:
            raise PartyError(f"a member ended with status {status}:\n{''.join(self.said)}")

    async def metric(self, name: str) -> float:
        """A metric now, all its series added up.

        Raises:
            PartyError: The member is gone.
        """
        if self._process.returncode is not None:
            raise PartyError(f"a member ended with status {self._process.returncode}:\n{''.join(self.said)}")
        text = await self._metrics()
        lines = (line for line in text.splitlines() if line.startswith(_METRIC_PREFIX + name))
        named = (line.rsplit(" ", 1) for line in lines if line[len(_METRIC_PREFIX + name)] in "{ ")
        return sum(float(value) for _, value in named)

    async def series(self) -> int:
        """How many series its metrics have now."""
        return sum(not line.startswith("#") for line in (await self._metrics()).splitlines())

    async def _metrics(self) -> str:
        with suppress(aiohttp.ClientError):  # it does not listen yet
            async with aiohttp.ClientSession() as session, session.get(self.url + "/metrics") as response:
                return await response.text()
        return ""

    async def until(self, name: str, reached: Callable[[float], bool], timeout_s: float = READY_S) -> None:
        """Wait until a metric is so."""
        async with asyncio.timeout(timeout_s):
            while not reached(await self.metric(name)):  # noqa: ASYNC110 - another process tells no event
                await asyncio.sleep(LOOK_S)


@dataclass
class Stage:
    """Everything around the members.

    Attributes:
        bootstrap: The broker.
        sink: The endpoint.
        filled: How many records the topic was filled with.
    """

    bootstrap: str
    sink: Endpoint
    filled: int = 0

    async def fill(self, records: Iterable[Produced]) -> None:
        """Add these to the topic."""
        self.filled += await produce(self.bootstrap, TOPIC, records)

    @asynccontextmanager
    async def member(self, concurrency: int, **settings: object) -> AsyncIterator[Member]:
        """Start a member; it is ended on the way out, if it still runs."""
        port = free_port()
        environ = _environ(self.bootstrap, self.sink.url, port, concurrency) | _named(settings)
        async with child("consumer", "run", environ=environ) as process:
            member = Member(process.pid, f"http://127.0.0.1:{port}", process)
            reading = asyncio.create_task(_read(process, member.said))
            try:
                yield member
            finally:
                reading.cancel()

    async def until(self, reached: Callable[[Journal], bool], timeout_s: float) -> Journal:
        """Wait until the endpoint's memory is so; what it remembers then.

        Raises:
            PartyError: It did not come to that.
        """
        journal = await self.sink.journal()
        try:
            async with asyncio.timeout(timeout_s):
                while not reached(journal):
                    await asyncio.sleep(LOOK_S)
                    journal = await self.sink.journal()
        except TimeoutError:
            raise PartyError(f"after {timeout_s:.0f} s there was still no more than {journal}") from None
        return journal


@asynccontextmanager
async def stage(latency: Latency, partitions: int = PARTITIONS) -> AsyncIterator[Stage]:
    """Set the stage, with a topic of so many partitions, and clear it."""
    async with ApacheKafka() as broker, endpoint(latency, journal=True) as sink:
        await broker.create_topics([TOPIC], partitions)
        await broker.create_topics([DEAD_LETTER_TOPIC], 1)
        yield Stage(broker.bootstrap, sink)


def _environ(bootstrap: str, url: str, port: int, concurrency: int) -> dict[str, str]:
    return _named(
        {
            "kafka__bootstrap_servers": bootstrap,
            "kafka__topics": TOPIC,
            "kafka__group_id": f"stage-{os.getpid()}",
            "kafka__session_timeout_s": SESSION_TIMEOUT_S,
            "dead_letter__topic": DEAD_LETTER_TOPIC,
            "delivery__max_concurrency": concurrency,
            "pendo__data_url": url,
            "pendo__api_key": "benchmark-key",
            "http__host": "127.0.0.1",
            "http__port": port,
            "log__level": "warning",
            "log__format": "text",
        }
    )


def _named(settings: dict[str, object]) -> dict[str, str]:
    return {f"PENDO_CONSUMER_{key.upper()}": str(value) for key, value in settings.items()}


async def _read(process: Process, said: list[str]) -> None:
    async for line in lines_of(process):
        said.append(line.decode(errors="replace"))
        del said[:-_KEPT_LINES]
