"""The processes around a measurement: broker, endpoint and measured party, each on its own.

In comes what to run, out come its figures. A child ends with us, whatever happens; one that fails says why.
"""

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from sys import executable
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint."""

    url: str

    async def requests(self) -> int:
        """How many it was sent."""
        async with aiohttp.ClientSession() as session, session.get(self.url) as response:
            return int(await response.read())


@asynccontextmanager
async def endpoint(latency: Latency) -> AsyncIterator[Endpoint]:
    """Run an endpoint; a new one draws the same latencies."""
    async with _child("benchmarks.sink", "--latency", latency) as process:
        first_line = await _lines(process).readline()
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
    async with _child("benchmarks.parties", orjson.dumps(asdict(task)).decode()) as process:
        async for line in _lines(process):
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
async def _child(module: str, *arguments: str) -> AsyncIterator[Process]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PENDO_CONSUMER_")}
    env |= {"PYTHONPATH": str(_ROOT), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    process = await start_child(executable, "-m", module, *arguments, output=PIPE, env=env)
    try:
        yield process
    finally:
        await end_child(process, _END_S)


def _lines(process: Process) -> asyncio.StreamReader:
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    return process.stdout
