"""The stage of an incident: topics of its own, a simulated Pendo, pods as processes, and an oracle outside them."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from consumer.sandbox.simulator import Simulator
from tests.e2e.pipe import Broker, Metrics, Pipe, Running, event

TOKEN: Final = "rehearsal-token"
PATIENCE_S: Final = 30.0
RUNBOOK: Final = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()


@dataclass(frozen=True, kw_only=True)
class Cause:
    """How an incident shows to whoever is paged: each witness has to name it.

    Attributes:
        page: What the page says, anywhere on it.
        lag: What `lag` says, anywhere; empty when nothing is blocked.
        log: A line of the log, which stands in the runbook too; empty when there is nothing to be said.
        metric: A metric's name, its labels, and the least value.
        ready: The reasons of `/readyz`.
    """

    page: str
    metric: tuple[str, dict[str, str], float]
    lag: str = ""
    log: str = ""
    ready: tuple[str, ...] = ()


@dataclass
class Account:
    """What was seen, and what became of the events.

    Attributes:
        seen: By witness what it said.
        healed_by: The command or deed that ended it.
        produced: Events that went in.
        lost: Those that neither Pendo nor a dead letter has, and that no count of losses tells of.
        expired: Those that Kafka deleted, as counted.
        twice: Those that Pendo accepted more than once.
    """

    seen: dict[str, str] = field(default_factory=dict)
    healed_by: str = ""
    produced: int = 0
    lost: int = 0
    expired: int = 0
    twice: int = 0


class Stage:
    """One incident's."""

    def __init__(self, broker: Broker, simulator: Simulator, folder: Path) -> None:
        self.pipe = Pipe(broker, simulator)
        self.simulator = simulator
        self.folder = folder
        self.account = Account()
        self._produced: set[str] = set()
        self._environ: dict[str, str] = {}
        self._quiet = asyncio.Event()

    def python_path(self, folder: Path) -> None:
        """Let processes that are started from now on find modules there."""
        self._environ["PYTHONPATH"] = str(folder)
        self.pipe.more_environ = self._environ

    async def produce(self, events: Iterable[dict[str, Any]], *, partition: int | None = None) -> list[str]:
        """Send events, which the oracle remembers; their positions, as the commands write them."""
        sent = list(events)
        positions = await self.pipe.produce(sent, partition=partition)
        self._produced |= {event["messageId"] for event in sent}
        self.account.produced = len(self._produced)
        return [f"{self.pipe.topic}-{partition}@{offset}" for partition, offset in positions]

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Events of ever new visitors, as long as it goes on."""

        async def produce() -> None:
            for number in count():
                if self._quiet.is_set():
                    return
                await self.produce([event(f"live-{number}-{n}", user=f"live-{number}-{n}") for n in range(5)])
                await asyncio.sleep(0.05)

        task = asyncio.create_task(produce(), name="traffic")
        try:
            yield
        finally:
            # To the end of what is being sent: else the oracle would not know of it.
            self._quiet.set()
            await task

    @asynccontextmanager
    async def pod(self, **settings: str) -> AsyncIterator[Running]:
        """A pod."""
        async with self.pipe.process(http__admin_token=TOKEN, delivery__max_retry_delay_s="1", **settings) as running:
            yield running

    async def command(self, *argv: str, **settings: str) -> tuple[int, str]:
        """A command as an operator calls it; its status and all that it prints."""
        more = self.pipe.environ(http__admin_token=TOKEN, log__level="error", **settings)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "consumer",
            *argv,
            env={**os.environ, **self._environ, **more},
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S * 2)
        assert process.returncode is not None
        return process.returncode, out.decode() + err.decode()

    async def shows(self, pod: Running, cause: Cause, *pods: Running) -> None:
        """Wait until every witness names the cause.

        Raises:
            AssertionError: One does not, with what it says instead.
        """
        assert not cause.log or f"`{cause.log}`" in RUNBOOK, f"the runbook does not know: {cause.log}"
        missing: dict[str, str] = {"nothing": ""}
        try:
            async with asyncio.timeout(PATIENCE_S):
                while missing:
                    missing = await self._missing(pod, cause, pods)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not named by {missing}") from None

    async def _missing(self, pod: Running, cause: Cause, pods: Iterable[Running]) -> dict[str, str]:
        missing: dict[str, str] = {}
        _, body = await pod.get("/api/overview?pods=all")
        overview = json.loads(body)
        words = overview["words"]
        page = f"{words['headline']}. {words['detail']} {' '.join(words['steps'])}"
        blocked = "; ".join(
            f"{each['blocked_by']['position']}: {each['blocked_by']['remedy']}"
            for each in overview["partitions"]
            if each["blocked_by"]
        )
        cases = "; ".join(f"{each['count']} {each['reason']}" for each in overview["letters"]["cases"])
        page = f"{page} | {blocked} | {cases}"
        if cause.page not in page:
            missing["page"] = page
        ready = tuple(await pod.reasons())
        if ready != cause.ready:
            missing["ready"] = str(ready)
        logged = [line["event"] for one in (pod, *pods) for line in one.log]
        if cause.log and cause.log not in logged:
            missing["log"] = str(Counter(logged))
        name, labels, least = cause.metric
        value = (await pod.metrics()).sum(name, **labels)
        if value < least:
            missing["metric"] = f"{name}{labels} {value}"
        if missing:
            return missing
        lag = ""
        if cause.lag:
            _, lag = await self.command("lag", "--no-rate", "--url", pod.url)
            if cause.lag not in lag:
                return {"lag": lag}
        told = next(line for line in lag.splitlines() if cause.lag in line) if cause.lag else "nothing is blocked"
        self.account.seen = {
            "page": page.split(" | ", maxsplit=1)[0] if cause.page in page.split(" | ")[0] else page,
            "lag": told.strip(),
            "log": cause.log or "nothing",
            "metrics": f"{name}{labels or ''} {value:g}",
            "ready": "ready" if not ready else f"not ready: {', '.join(ready)}",
        }
        return {}

    async def settled(self, pod: Running, *pods: Running, timeout_s: float = PATIENCE_S * 2) -> None:
        """Wait until nothing is open or unread at any pod, and the accounts of all add up."""
        async with asyncio.timeout(timeout_s):
            while True:
                found: list[Metrics] = [await each.metrics() for each in (pod, *pods)]
                backlog = sum(each.sum("backlog_records") + each.sum("events_open") for each in found)
                if not backlog and await self._all_there(found):
                    break
                await asyncio.sleep(0.2)
        for each in found:
            assert each.sum("events_unaccounted") == 0

    async def _all_there(self, found: Iterable[Metrics]) -> bool:
        self.account.expired = int(max(each.sum("records_expired_total") for each in found))
        return not await self.judge()

    async def judge(self) -> int:
        """The oracle: how many events are neither at Pendo nor in a letter, but for those that are counted as lost."""
        accepted = self.simulator.store.accepted
        there = {name for name in self._produced if accepted[name]}
        parked = (
            {letter_id(letter.headers) for letter in await self.pipe.dead_letters()}
            if there < self._produced
            else set()
        )
        gone = len(self._produced - there - parked)
        self.account.lost = max(gone - self.account.expired, 0)
        self.account.twice = sum(times > 1 for name, times in accepted.items() if name in self._produced)
        return self.account.lost


def letter_id(headers: Iterable[tuple[str, bytes]]) -> str:
    """The messageId that a letter names."""
    return dict(headers).get("pendo.dlq.message-id", b"").decode()
