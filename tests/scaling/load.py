"""The load: so many records a second of the traffic of chaos, until it is told to stop; when each was sent is kept."""

import asyncio
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic, time
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from tests.chaos.readings import TOPIC
from tests.chaos.traffic import Traffic

_TICK_S: Final = 0.02
_EXPECTED: Final = 40_000
"""Records, about: a twentieth of it are the visitors."""


class Load:
    """Makes, sends and remembers records.

    Attributes:
        traffic: What was produced.
        sent_s: When, by number; monotonic clock.
    """

    def __init__(self, bootstrap: str, rate: int, seed: int) -> None:
        self.traffic = Traffic(_EXPECTED, seed, int(time() * 1000) - _EXPECTED)
        self.sent_s = array("d")
        self._bootstrap = bootstrap
        self._rate = rate
        self._quiet = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep it up in the block; at its end all that was sent is acknowledged."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, enable_idempotence=True, linger_ms=10, acks="all"
        )
        await producer.start()
        producing = asyncio.create_task(self._produce(producer), name="load")
        try:
            yield
        finally:
            self._quiet.set()
            await producing
            await producer.stop()

    async def _produce(self, producer: AIOKafkaProducer) -> None:
        began_s, sent = monotonic(), 0
        while not self._quiet.is_set():
            due = (monotonic() - began_s) * self._rate
            while sent < due:
                await self._send(producer)
                sent += 1
            await asyncio.sleep(_TICK_S)

    async def _send(self, producer: AIOKafkaProducer) -> None:
        number, key, value = self.traffic.next()
        self.sent_s.append(monotonic())
        acknowledged = await producer.send(TOPIC, key=key, value=value)
        acknowledged.add_done_callback(lambda done: self._acknowledged(number, done.result()))

    def _acknowledged(self, number: int, where: Any) -> None:
        self.traffic.produced.acknowledged(number, where.partition, where.offset)
