"""The processes around a measurement: broker, endpoint and measured party, each on its own.

In comes what to run, out come its figures. A child ends with us, whatever happens; one that fails says why.
"""

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from sys import executable
from typing import Any, Final

import aiohttp
import orjson

from benchmarks.parties import DEAD_LETTER_TOPIC, MARK, Cost, Task
from benchmarks.sink import Latency
from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.children import end_child, start_child
from consumer.sandbox.traffic import Produced, produce

PARTITIONS: Final = 8
_END_S: Final = 5.0
_ROOT: Final = Path(__file__).resolve().parent.parent


class PartyError(Exception):
    """A measured party ended without figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What an endpoint remembers of the requests that it accepted; times in seconds of the monotonic clock.

    Attributes:
        requests: How many came.
        distinct: How many different messageIds.
        repeats: How many of them had come before.
        in_flight: How many are not answered.
        max_in_flight: How many that were at most.
        hottest_held_s: How long the requests of that user were held for whom this is longest.
        first_arrival: When the first came.
        last_answer: When the last was answered.
        now: When this was said.
        cpu_s: What the endpoint has taken of the processor.
    """

    requests: int
    distinct: int
    repeats: int
    in_flight: int
    max_in_flight: int
    hottest_held_s: float
    first_arrival: float
    last_answer: float
    now: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint."""

    url: str

    async def requests(self) -> int:
        """How many it was sent."""
        return int(await self._get("/"))

    async def journal(self) -> Journal:
        """What it remembers at this moment."""
        return Journal(**orjson.loads(await self._get("/journal")))

    async def arrivals(self) -> tuple[list[float], list[float]]:
        """When each request came, and how long it was held; seconds."""
        arrivals, held = orjson.loads(await self._get("/arrivals"))
        return arrivals, held

    async def late_ms(self) -> list[float]:
        """How old each stamped event was when it came."""
        late_ms: list[float] = orjson.loads(await self._get("/late"))
        return late_ms

    async def answer(self, status: int) -> None:
        """Have it answer with this status from now on."""
        await self._get(f"/answer/{status}")

    async def _get(self, path: str) -> bytes:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return await response.read()


@asynccontextmanager
async def endpoint(latency: Latency, *, journal: bool = False) -> AsyncIterator[Endpoint]:
    """Run an endpoint, perhaps with a memory; a new one draws the same latencies."""
    async with child("benchmarks.sink", "--latency", latency, *(["--journal"] if journal else [])) as process:
        first_line = await lines_of(process).readline()
        yield Endpoint(f"http://127.0.0.1:{int(first_line)}")


@asynccontextmanager
async def broker() -> AsyncIterator[EmbeddedBroker]:
    """Run a broker with a topic for dead letters."""
    async with EmbeddedBroker() as embedded:
        await embedded.create_topics([DEAD_LETTER_TOPIC])
        yield embedded


async def fill(embedded: EmbeddedBroker, topic: str, records: Iterable[Produced]) -> int:
    """Make a topic of these records; return how many it holds."""
    await embedded.create_topics([topic], PARTITIONS)
    return await produce(embedded.bootstrap, topic, records)


async def measure(task: Task, began: Callable[[int], None] | None = None) -> Cost:
    """Run a party; `began` is called at its first event, with the id of its process.

    Raises:
        PartyError: It ended without figures.
    """
    said: list[str] = []
    async with child("benchmarks.parties", orjson.dumps(asdict(task)).decode()) as process:
        async for line in lines_of(process):
            if not line.startswith(MARK):
                said.append(line.decode(errors="replace"))
                continue
            figures = orjson.loads(line[len(MARK) :])
            if "seconds" in figures:
                await process.wait()
                return Cost(**figures)
            if began is not None:
                began(process.pid)
    raise PartyError(f"{task.party} ended without figures:\n{''.join(said)}")


@asynccontextmanager
async def child(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """Run a module of ours as a process, which is ended on the way out."""
    process = await start_child(executable, "-m", module, *arguments, output=PIPE, env=environ_of(environ or {}))
    try:
        yield process
    finally:
        await end_child(process, _END_S)


def environ_of(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment without the service's own variables, with these."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PENDO_CONSUMER_")}
    return env | {"PYTHONPATH": str(_ROOT), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | dict(more)


async def told(process: Process) -> dict[str, Any]:
    """What the process tells us next; what it only prints is passed over.

    Raises:
        PartyError: It ended instead.
    """
    said: list[str] = []
    async for line in lines_of(process):
        if line.startswith(MARK):
            what: dict[str, Any] = orjson.loads(line[len(MARK) :])
            return what
        said.append(line.decode(errors="replace"))
    raise PartyError(f"a process ended without a word\n{''.join(said)}")


def lines_of(process: Process) -> asyncio.StreamReader:
    """What the process prints."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    return process.stdout
