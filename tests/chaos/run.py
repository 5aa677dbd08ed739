"""One chaos run: all is set up, produced, broken by the schedule, waited for and taken down; the evidence goes out.

What the run looks like comes in as `Options`. Whether it went well is for the oracle.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

import aiohttp
import orjson
from aiokafka import AIOKafkaProducer

from consumer.sandbox.children import end_child, start_child
from tests.chaos import readings
from tests.chaos.log import Evidence, Fault, FaultKind, Requests
from tests.chaos.processes import SHUTDOWN_S, Members
from tests.chaos.readings import DEAD_LETTER_PARTITIONS, DEAD_LETTERS, GROUP, TOPIC
from tests.chaos.schedule import REQUEST_TIMEOUT_S, ROUND_S, SESSION_TIMEOUT_S, Planned, plan
from tests.chaos.traffic import Traffic
from tests.support.apache import ApacheKafka
from tests.support.transport import TRANSPORT

_TICK_S: Final = 0.02
_SETTLED_CHECK_S: Final = 1.0
_MIN_DRAIN_RATE: Final = 500
"""Events a second that the rest is delivered with at the least: bounds the wait for the end."""
_DRAIN_S: Final = 60.0
_FRESH: Final = 20
_HIT_S: Final = 5.0
"""How long a kill or a freeze waits for a request that it can hit."""
_START_S: Final = 20.0
_JOIN_S: Final = 3.0
_BY_CALLS: Final = {
    "ROUTES__IDENTIFY": "metadata",
    "ROUTES__GROUP": "metadata",
    "ROUTES__TRACK": "track",
    "PENDO__INTEGRATION_KEY": "chaos-integration-key",
    "PENDO__TRACK_EVENT_SECRET": "chaos-secret",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is like.

    Attributes:
        events: Records to produce.
        seed: Of traffic and schedule.
        processes: In the group.
        partitions: Of the topic.
        rate: Records a second, about: it is slowed down so that whole rounds of faults fit in.
        by_calls: Whether all routes are in use: state goes to the Metadata API, tracks to the Track Events API, pages
            to the Segment endpoint.
    """

    events: int
    seed: int
    processes: int = 3
    partitions: int = 8
    rate: int = 1000
    by_calls: bool = False

    @property
    def rounds(self) -> int:
        """How often each kind of fault comes."""
        return max(1, round(self.events / self.rate / ROUND_S))


class Run:
    """A run on a stage that stands."""

    def __init__(self, options: Options, broker: ApacheKafka, members: Members, session: aiohttp.ClientSession) -> None:
        self.members = members
        self.faults: list[Fault] = []
        base_ms = int(time() * 1000) - options.events
        self.traffic = Traffic(options.events, options.seed, base_ms, by_calls=options.by_calls)
        self._options = options
        self._broker = broker
        self._session = session
        self._pendo_faults: set[FaultKind] = set()
        self._may_produce = asyncio.Event()
        self._may_produce.set()
        self._began_s = 0.0
        self._fresh: list[int] = []
        self._settled_s = 0.0
        self._producer: AIOKafkaProducer | None = None

    async def play(self) -> None:
        """Start the group, let the traffic and the faults go, wait until all is settled, end the group."""
        watching = asyncio.create_task(self.members.watch())
        try:
            for slot in range(self._options.processes):
                await self.members.start(slot)
            await asyncio.sleep(_JOIN_S)
            self._began_s = monotonic()
            hard, soft = plan(self._options.seed, self._options.rounds, self._options.processes)
            async with asyncio.TaskGroup() as tasks, self._producing():
                producing = tasks.create_task(self._produce())
                breaking = [tasks.create_task(self._break(line)) for line in (hard, soft)]
                await asyncio.wait([producing, *breaking])
                await self._produce_fresh()
            await self._until_settled()
        finally:
            watching.cancel()

    async def end(self) -> None:
        """End the group as an orchestrator would."""
        await asyncio.gather(*(self.members.end(slot) for slot in self.members.slots))

    async def evidence(self, log_path: Path) -> Evidence:
        """Gather what the oracle wants; call it when everything has ended but the broker."""
        return Evidence(
            produced=self.traffic.produced,
            requests=Requests(await asyncio.to_thread(log_path.read_bytes)),
            letters=await readings.letters(self._broker.bootstrap),
            faults=self.faults,
            committed=await readings.committed(self._broker.bootstrap, self._options.partitions),
            ends=await readings.ends(self._broker.bootstrap, self._options.partitions),
            began_s=self._began_s,
            settled_s=self._settled_s,
            exits=self.members.exits,
            died=self.members.died,
            unaccounted=self.members.unaccounted,
            scrapes=self.members.scrapes,
            released=sum(member.released for member in self.members.all),
            fresh=self._fresh,
            peak_rss_bytes={member.number: member.peak_rss_bytes for member in self.members.all},
        )

    @asynccontextmanager
    async def _producing(self) -> AsyncIterator[None]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._broker.bootstrap, enable_idempotence=True, linger_ms=10, acks="all"
        )
        await producer.start()
        self._producer = producer
        try:
            yield
        finally:
            await producer.stop()

    async def _produce(self) -> None:
        """Produce evenly over all rounds. While the broker is away nothing is: what is on the topic must be certain."""
        rate = self._options.events / (self._options.rounds * ROUND_S)
        due, produced = 0.0, 0
        while produced < self._options.events:
            await self._may_produce.wait()
            due = min(due + rate * _TICK_S, self._options.events)
            while produced < due:
                await self._send(*self.traffic.next())
                produced += 1
            await asyncio.sleep(_TICK_S)

    async def _send(self, number: int, key: bytes, value: bytes | None) -> None:
        assert self._producer is not None
        sent = await self._producer.send(TOPIC, key=key, value=value)
        sent.add_done_callback(lambda done: self._acknowledged(number, done.result()))

    def _acknowledged(self, number: int, where: Any) -> None:
        self.traffic.produced.acknowledged(number, where.partition, where.offset)

    async def _produce_fresh(self) -> None:
        """After the last fault: these must get through as if nothing had been."""
        assert self._producer is not None
        for _ in range(_FRESH):
            number, key, value = self.traffic.fresh()
            self._fresh.append(number)
            await self._send(number, key, value)
        await self._producer.flush()

    async def _break(self, line: list[Planned]) -> None:
        for planned in line:
            await asyncio.sleep(max(0.0, self._began_s + planned.at_s - monotonic()))
            if planned.kind in {FaultKind.KILL, FaultKind.STOP_LONG}:
                await self.members.until_sending(planned.slot, _HIT_S)
            began_s, sender = monotonic(), self.members.slots[planned.slot].number
            await self._do(planned)
            is_process = planned.kind in {FaultKind.TERM, FaultKind.KILL, FaultKind.STOP_LONG, FaultKind.STOP_SHORT}
            fault = Fault(
                kind=planned.kind, began_s=began_s, ended_s=monotonic(), sender=sender if is_process else None
            )
            self.faults.append(fault)

    async def _do(self, planned: Planned) -> None:
        match planned.kind:
            case FaultKind.TERM:
                await self.members.end(planned.slot)
                await asyncio.sleep(planned.lasts_s)
                await self.members.start(planned.slot)
            case FaultKind.KILL:
                await self.members.kill(planned.slot)
                await asyncio.sleep(planned.lasts_s)
                await self.members.start(planned.slot)
            case FaultKind.STOP_LONG | FaultKind.STOP_SHORT:
                await self.members.freeze(planned.slot, planned.lasts_s)
            case FaultKind.BROKER:
                await self._restart_broker(planned.lasts_s)
            case _:
                await self._pendo_fault(planned)

    async def _restart_broker(self, seconds: float) -> None:
        assert self._producer is not None
        self._may_produce.clear()
        await self._producer.flush()
        await self._broker.stop()
        await asyncio.sleep(seconds)
        await self._broker.start()
        self._may_produce.set()

    async def _pendo_fault(self, planned: Planned) -> None:
        self._pendo_faults.add(planned.kind)
        await self._tell(sorted(self._pendo_faults))
        await asyncio.sleep(planned.lasts_s)
        self._pendo_faults.discard(planned.kind)
        await self._tell(sorted(self._pendo_faults))

    async def _tell(self, faults: list[FaultKind]) -> None:
        body = orjson.dumps([fault.value for fault in faults])
        url = f"{self.members.pendo_url}/_chaos/faults"
        async with self._session.post(url, data=body, raise_for_status=True) as response:
            await response.read()

    async def _until_settled(self) -> None:
        """Wait until everything is committed, as long as that may take."""
        deadline = monotonic() + _DRAIN_S + self._options.events / _MIN_DRAIN_RATE
        ends = await readings.ends(self._broker.bootstrap, self._options.partitions)
        while monotonic() < deadline:
            if await readings.committed(self._broker.bootstrap, self._options.partitions) == ends:
                break
            await asyncio.sleep(_SETTLED_CHECK_S)
        self._settled_s = monotonic()


async def chaos(options: Options, folder: Path) -> Evidence:
    """Run once; logs of the processes stay in `folder`."""
    log_path = folder / "requests.log"
    async with ApacheKafka() as broker, aiohttp.ClientSession() as session:
        await broker.create_topics([TOPIC], options.partitions)
        await broker.create_topics([DEAD_LETTERS], DEAD_LETTER_PARTITIONS)
        async with endpoint(log_path, options.seed) as (url, end_endpoint):
            members = Members(_settings(broker.bootstrap, by_calls=options.by_calls), url, folder)
            run = Run(options, broker, members, session)
            try:
                await run.play()
                await run.end()
            finally:
                await members.close()
            await end_endpoint()
            return await run.evidence(log_path)


@asynccontextmanager
async def endpoint(log_path: Path, seed: int) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """Run Pendo's side as a process: its base URL, and how to end it before its log is read."""
    command = (sys.executable, "-m", "tests.chaos.endpoint", "--log", str(log_path), "--seed", str(seed))
    child = await start_child(*command, output=PIPE)

    async def end() -> None:
        await end_child(child, REQUEST_TIMEOUT_S)

    try:
        assert child.stdout is not None
        line = await asyncio.wait_for(child.stdout.readline(), _START_S)
        yield line.decode().strip(), end
    finally:
        await end()


def _settings(bootstrap: str, *, by_calls: bool) -> dict[str, str]:
    """The service's settings: the defaults, but for times that would make a run long, and the routes."""
    return (_BY_CALLS if by_calls else {}) | {
        "KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA__TOPICS": TOPIC,
        "KAFKA__GROUP_ID": GROUP,
        "KAFKA__SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
        "DEAD_LETTER__TOPIC": DEAD_LETTERS,
        "PENDO__API_KEY": "chaos-key",
        "PENDO__TRANSPORT": TRANSPORT,
        "DELIVERY__REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
        "DELIVERY__METADATA_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
        "DELIVERY__MAX_RETRY_DELAY_S": "5",
        "DELIVERY__SHUTDOWN_TIMEOUT_S": str(SHUTDOWN_S),
        "HTTP__HOST": "127.0.0.1",
        "LOG__FORMAT": "json",
    }
