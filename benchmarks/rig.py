"""The engine on a rig: the service's admission, tickets, progress, lanes, gate and senders, with nothing around them.

Values come in, microseconds of CPU go out. Each poll's records are decoded and mapped right before they are admitted,
so that memory is as warm as in the service, and that time is left out; how a request is answered is for the caller.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Final
from unittest.mock import patch

import uvloop
from aiokafka.structs import ConsumerRecord

from consumer.config.settings import DeliverySettings, Settings
from consumer.delivery.engine import Shared, memory_of, senders_of
from consumer.delivery.lease import Lease
from consumer.delivery.letters import Letters
from consumer.delivery.senders import Destination, Senders
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import DeadLetter
from consumer.kafka.progress import Progress
from consumer.mapping.result import Mapped
from consumer.mapping.router import Router
from consumer.pendo.endpoints import route_table
from consumer.pendo.requests import Route
from consumer.process import settle_heap
from consumer.segment.decode import decode
from consumer.segment.events import Element, Event
from consumer.worker import admission
from consumer.worker.pressure import MAX_POLL_RECORDS

OPEN: Final = 20_000
"""As many as the service keeps open by default; they are more than the processor's caches hold."""
TOPIC: Final = "rig"


@contextmanager
def settled_memory() -> Iterator[None]:
    """Keep what was prepared out of the garbage collector's sight, and set it as the service does."""
    threshold = gc.get_threshold()
    settle_heap()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)


@dataclass(frozen=True, slots=True)
class Load:
    """What the engine is given.

    Attributes:
        values: Of the records, in the order in which they are polled.
        partitions: In how many partitions they are; a poll brings records of one.
    """

    values: Iterable[bytes]
    partitions: int = 8


def engine_us(load: Load, destination: Destination, senders: int) -> float:
    """CPU of the engine and of the requests, for all values."""
    with settled_memory():
        return uvloop.run(_Rig(load).drain(destination, senders))


def bare_us(values: Sequence[bytes], destination: Destination, senders: int) -> float:
    """CPU of the same requests, as many at once, with nothing around them."""
    with settled_memory():
        return uvloop.run(_post_all(values, destination, senders))


async def _post_all(values: Sequence[bytes], destination: Destination, senders: int) -> float:
    began_s = time.process_time()
    await post_all(iter(values), destination, senders)
    return (time.process_time() - began_s) * 1e6


async def post_all(values: Iterator[bytes], destination: Destination, at_once: int) -> None:
    """Post them all, so many at once: each answer posts the next."""
    in_flight, posting = 0, False
    done = asyncio.Event()

    def fill() -> None:
        nonlocal in_flight, posting
        posting = True
        while in_flight < at_once and (value := next(values, None)) is not None:
            in_flight += 1
            destination.post(value, answered)
        posting = False
        if not in_flight:
            done.set()

    def answered(_: object) -> None:
        nonlocal in_flight
        in_flight -= 1
        if not posting:
            fill()

    fill()
    await done.wait()


def router() -> Router:
    """The mapping with default routes."""
    return Router(route_table(Settings().routes), "skip")


def record(offset: int, partition: int, value: bytes) -> ConsumerRecord[bytes, bytes]:
    """A record as the Kafka client makes it."""
    now_ms = int(time.time() * 1000)
    return ConsumerRecord(TOPIC, partition, offset, now_ms, 0, b"key", value, None, 3, len(value), ())


class _Prepared:
    """Stands for decoding and mapping: hands out what was prepared, in the same order."""

    def __init__(self) -> None:
        self._router = router()
        self._decoded: Iterator[list[Element]] = iter(())
        self._mapped: Iterator[Mapped] = iter(())

    def prepare(self, values: Sequence[bytes]) -> None:
        """Decode and map the values that are admitted next."""
        decoded = [decode(value) for value in values]
        events = [element for one in decoded for element in one if isinstance(element, Event)]
        self._decoded, self._mapped = iter(decoded), iter([self._router.map(event) for event in events])

    def decode(self, _value: bytes | None, _envelope_path: tuple[str, ...]) -> list[Element]:
        """Hand out the next record's events."""
        return next(self._decoded)

    def map(self, event: Event) -> Mapped:
        """Hand out the next event's request."""
        del event
        return next(self._mapped)


class _NoLetters:
    """Nothing is refused here."""

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Complain."""
        raise AssertionError(letter.message, owner)


@dataclass(frozen=True, slots=True)
class Engine:
    """The service's own parts, put together as it does.

    Attributes:
        senders: One route's.
        admission: What records are handed to.
        tally: Counts events.
    """

    senders: Senders
    admission: admission.Admission
    tally: Tally


def engine_of(destination: Destination, concurrency: int, mapper: admission.Mapper, letters: Letters) -> Engine:
    """Build it; call it in the running loop."""
    settings, tally = Settings(delivery=DeliverySettings(max_concurrency=concurrency)), Tally()
    shared = Shared(
        settings=settings,
        memory=memory_of(settings),
        lease=Lease(settings.kafka.session_timeout_s),
        max_lane=OPEN,
        letters=letters,
    )
    senders = senders_of(Route.SEGMENTIO, shared, destination)
    admitting = admission.Admission(
        envelope_path=(), mapper=mapper, outlets={Route.SEGMENTIO: senders}, letters=letters, tally=tally
    )
    return Engine(senders, admitting, tally)


class _Rig:
    """The engine between two lists."""

    def __init__(self, load: Load) -> None:
        self._values = iter(load.values)
        self._prepared = _Prepared()
        self._progresses = [Progress(TOPIC, number, 0) for number in range(load.partitions)]

    async def drain(self, destination: Destination, concurrency: int) -> float:
        """Admit all values as the poll loop does, wait until all are settled; microseconds of CPU."""
        engine = engine_of(destination, concurrency, self._prepared, _NoLetters())
        sending = asyncio.create_task(engine.senders.run())
        await asyncio.sleep(0)
        began_s = time.process_time()
        with patch.object(admission, "decode", self._prepared.decode):
            preparing_s = await self._admit_all(engine)
        seconds = time.process_time() - began_s - preparing_s
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return seconds * 1e6

    async def _admit_all(self, engine: Engine) -> float:
        """Admit, wait, and return the seconds of CPU that went into preparing."""
        preparing_s = 0.0
        for progress in cycle(self._progresses):
            await _until_open(engine.tally, OPEN - MAX_POLL_RECORDS)
            began_s = time.process_time()
            values = list(islice(self._values, MAX_POLL_RECORDS))
            begin = progress.last_read + 1
            records = [record(begin + index, progress.partition, value) for index, value in enumerate(values)]
            self._prepared.prepare(values)
            preparing_s += time.process_time() - began_s
            if not values:
                break
            progress.last_read += len(values)
            engine.admission.admit(progress, records, int(time.time() * 1000))
            await asyncio.sleep(0)
        await _until_open(engine.tally, 0)
        return preparing_s


def _until_open(tally: Tally, events: int) -> Awaitable[None]:
    return until(lambda: tally.open_events <= events)


async def until(reached: Callable[[], bool]) -> None:
    """Let others run until it is so."""
    while not reached():  # noqa: ASYNC110 - counted, not signalled
        await asyncio.sleep(0)
