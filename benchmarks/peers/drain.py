"""One run: a contestant drains a topic into an endpoint that judges it, watched from outside.

A run comes in, an outcome goes out. All its processes have ended by then. How an outcome is computed is not known here.
"""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Final
from uuid import uuid4

from benchmarks.peers.contestants import DEAD_LETTER_TOPIC, Command, Contestant, Start
from benchmarks.peers.endpoint import Endpoint, Files, Progress, endpoint
from benchmarks.peers.events import sequenced_events
from benchmarks.peers.judging import Outcome, judge
from benchmarks.peers.options import Case, Part, Run
from benchmarks.peers.setting import Setting
from benchmarks.peers.tree import Tree
from benchmarks.processes import PARTITIONS, PartyError, environ_of
from consumer.sandbox.children import end_child, start_child
from consumer.sandbox.traffic import produce
from tests.support.apache import ApacheKafka

_LOOK_S: Final = 0.1
_STALL_S: Final = 60.0
"""Without a new event for so long it is over: a JVM's start, a join and the slowest answer take less together."""
_DEADLINE_S: Final = 600.0
"""Of one run, however slow."""
_END_S: Final = 10.0
_KILL_SESSION_S: Final = 6
"""The least that brokers take: what comes after a kill waits for it."""
_LAST_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Kill:
    """What came again after a SIGKILL.

    Attributes:
        in_flight: Requests without an answer at the kill.
        repeats: Requests for an event that had come before, of the whole run.
        missing: Events that never came.
    """

    in_flight: int
    repeats: int
    missing: int


@dataclass
class Arena:
    """What all runs share.

    Attributes:
        kafka: The broker.
        endpoint: The endpoint's program.
        tls: The endpoint's certificate.
        folder: For files and logs of contestants.
        starts: How those are started that could be built.
    """

    kafka: ApacheKafka
    endpoint: Path
    tls: Files
    folder: Path
    starts: dict[Contestant, Start]
    _topics: set[str] = field(default_factory=set)

    async def fill(self, case: Case) -> str:
        """Make the topic of a case, unless it is there; returns its name."""
        topic = f"peers-{case.events}-{case.skew:g}"
        if topic not in self._topics:
            await self.kafka.create_topics([DEAD_LETTER_TOPIC])
            await self.kafka.create_topics([topic], PARTITIONS)
            await produce(self.kafka.bootstrap, topic, sequenced_events(case.events, skew=case.skew))
            self._topics.add(topic)
        return topic


async def drain(arena: Arena, run: Run) -> Outcome:
    """Have a contestant drain a topic.

    Raises:
        PartyError: It ended early, or did nothing that could be judged.
    """
    async with _stage(arena, run) as (judging, setting), _running(arena, run, setting) as process:
        tree = Tree(process.pid)
        watching = asyncio.create_task(tree.watch())
        try:
            await _until(judging, process, lambda now: now.distinct >= setting.events and not now.in_flight)
            _must_run(process, arena, run)
            tree.look()
        finally:
            watching.cancel()
        report = await judging.report()
        try:
            return judge(report, tree.samples, setting.events, setting.concurrency)
        except ValueError as error:
            raise PartyError(f"{error}; {said(arena, run)}") from None


async def kill(arena: Arena, run: Run) -> Kill:
    """Kill a contestant half way, start another, and count what comes again.

    Raises:
        PartyError: It did not get half way, or the second ended early.
    """
    async with _stage(arena, run) as (judging, usual):
        setting = replace(usual, session_timeout_s=_KILL_SESSION_S)
        async with _running(arena, run, setting) as process:
            reached = await _until(judging, process, lambda now: now.distinct >= setting.events / 2)
            if reached.distinct < setting.events / 2:
                raise PartyError(f"it did not get half way; {said(arena, run)}")
            in_flight = (await judging.progress()).in_flight
            _kill_all(process)
        async with _running(arena, run, setting) as process:
            await _until(judging, process, lambda now: now.distinct >= setting.events and not now.in_flight)
            _must_run(process, arena, run)
        report = await judging.report()
        return Kill(in_flight, report.repeats, setting.events - report.distinct)


@asynccontextmanager
async def _stage(arena: Arena, run: Run) -> AsyncIterator[tuple[Endpoint, Setting]]:
    topic = await arena.fill(run.case)
    tls = arena.tls if run.case.part is Part.TLS else None
    async with endpoint(arena.endpoint, run.case.latency, tls) as judging:
        yield (
            judging,
            Setting(
                bootstrap=arena.kafka.bootstrap,
                topic=topic,
                group=f"{run.contestant}-{uuid4().hex}",
                events=run.case.events,
                base=judging.base,
                ca_file=judging.ca_file,
            ),
        )


@asynccontextmanager
async def _running(arena: Arena, run: Run, setting: Setting) -> AsyncIterator[Process]:
    command: Command = arena.starts[run.contestant](setting, arena.folder)
    with _log(arena, run).open("wb") as output:
        process = await start_child(*command.arguments, output=output, env=environ_of(command.environ))
    try:
        yield process
    finally:
        await end_child(process, _END_S)
        _kill_all(process)


def _must_run(process: Process, arena: Arena, run: Run) -> None:
    if process.returncode is not None:
        raise PartyError(f"it ended early, with status {process.returncode}; {said(arena, run)}")


def _kill_all(process: Process) -> None:
    """End it and what it has started, which stands in a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _until(judging: Endpoint, process: Process, reached: Callable[[Progress], bool]) -> Progress:
    """Wait until it is so, or nothing new comes any more; how far it is then."""
    now, began = await judging.progress(), monotonic()
    changed = began
    while not reached(now) and process.returncode is None:
        if monotonic() - changed > _STALL_S or monotonic() - began > _DEADLINE_S:
            break
        await asyncio.sleep(_LOOK_S)
        before, now = now, await judging.progress()
        if now.distinct != before.distinct:
            changed = monotonic()
    return now


def _log(arena: Arena, run: Run) -> Path:
    return arena.folder / f"{run.contestant}.log"


def said(arena: Arena, run: Run) -> str:
    """What the contestant of a run printed last."""
    text = " ".join(_log(arena, run).read_text(errors="replace").split())
    return f"it said last: {text[-_LAST_CHARACTERS:]}" if text else "it said nothing"
