"""The processes of the real service: started, stopped, killed, frozen, and looked at.

Settings come in; each start gives a process with a number of its own, which is also in its base URL, so that Pendo's
side knows who sent a request. What they deliver is not known here.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from math import nan
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp

from consumer.sandbox.children import end_child, free_port, start_child

SHUTDOWN_S: Final = 10.0
_GRACE_S: Final = SHUTDOWN_S + 10.0
_SCRAPE_S: Final = 2.0
_EXIT_S: Final = 60.0
_UNACCOUNTED: Final = "pendo_consumer_events_unaccounted "
_IN_FLIGHT: Final = "pendo_consumer_requests_in_flight{"
_LOOK_S: Final = 0.05
_RELEASED: Final = "pendo_consumer_events_released_total "


@dataclass(slots=True)
class Member:
    """One process of the group.

    Attributes:
        number: Its own, never used again.
        process: It.
        url: Where it answers probes.
        log_path: What it printed.
        frozen: Whether it was told to stand still.
        ending: Whether it was told to end.
        released: Events that it said to have handed back.
        peak_rss_bytes: The most memory that it had.
    """

    number: int
    process: Process
    url: str
    log_path: Path
    frozen: bool = False
    ending: bool = False
    released: float = 0
    peak_rss_bytes: int = 0

    def send(self, signal_: signal.Signals) -> None:
        """Send it a signal; one that has ended is left alone."""
        if self.process.returncode is None:
            self.process.send_signal(signal_)

    def note_memory(self) -> None:
        """Read the most memory that it had, as long as the system knows."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak_rss_bytes = int(line.split()[1]) * 1024


@dataclass(slots=True)
class Members:
    """The group: a process in each slot, and all that there have been.

    Attributes:
        settings: By the names of the environment variables, without prefix.
        pendo_url: Base URL without the part that names a process.
        folder: Where they log.
        slots: Who runs in each.
        all: Everybody there has been.
        died: Who ended without being told to.
        exits: Exit statuses of those that were asked to end, by number.
        unaccounted: Scrapes in which one had lost count.
        scrapes: All of them.
    """

    settings: Mapping[str, str]
    pendo_url: str
    folder: Path
    slots: dict[int, Member] = field(default_factory=dict)
    all: list[Member] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    exits: dict[int, int] = field(default_factory=dict)
    unaccounted: int = 0
    scrapes: int = 0
    _numbers: Iterator[int] = field(default_factory=count)

    async def start(self, slot: int) -> Member:
        """Start a process."""
        number, port = next(self._numbers), free_port()
        log_path = self.folder / f"process-{number}.log"
        with log_path.open("wb") as output:
            command = (sys.executable, "-m", "consumer", "run")
            process = await start_child(*command, output=output, env=self._environ(number, port))
        member = Member(number, process, f"http://127.0.0.1:{port}", log_path)
        self.slots[slot] = member
        self.all.append(member)
        return member

    async def end(self, slot: int, grace_s: float = _GRACE_S) -> None:
        """End one in an orderly way, by force after its grace, and note its exit status."""
        member = self.slots[slot]
        member.note_memory()
        member.ending = True
        self.exits[member.number] = await end_child(member.process, grace_s)

    async def kill(self, slot: int) -> None:
        """End one without warning."""
        member = self.slots[slot]
        member.note_memory()
        member.ending = True
        member.send(signal.SIGKILL)
        await asyncio.wait_for(member.process.wait(), _EXIT_S)

    async def until_sending(self, slot: int, patience_s: float) -> None:
        """Wait until one has a request on the wire: a fault that hits none proves nothing."""
        member, deadline = self.slots[slot], monotonic() + patience_s
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SCRAPE_S)) as session:
            while monotonic() < deadline:
                text = await metrics_of(session, member)
                if text is not None and sum_of(text, _IN_FLIGHT) > 0:
                    return
                await asyncio.sleep(_LOOK_S)

    async def freeze(self, slot: int, seconds: float) -> None:
        """Let one stand still for so long."""
        member = self.slots[slot]
        member.frozen = True
        member.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        member.send(signal.SIGCONT)
        member.frozen = False

    async def close(self) -> None:
        """End whatever still runs, without ceremony."""
        for member in self.all:
            if member.process.returncode is None:
                member.process.kill()
                await member.process.wait()

    async def watch(self) -> None:
        """Look at all of them, for ever."""
        timeout = aiohttp.ClientTimeout(total=_SCRAPE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await asyncio.sleep(_SCRAPE_S)
                for member in list(self.slots.values()):
                    await self._look(session, member)

    async def _look(self, session: aiohttp.ClientSession, member: Member) -> None:
        if member.process.returncode is not None:
            if not member.ending:
                member.ending = True
                tail = member.log_path.read_text(errors="replace")[-1500:]
                self.died.append(f"process {member.number} ended with {member.process.returncode}: {tail}")
            return
        member.note_memory()
        if member.frozen:
            return
        text = await metrics_of(session, member)
        if text is None:
            return
        self.scrapes += 1
        member.released = _metric(text, _RELEASED)
        self.unaccounted += _metric(text, _UNACCOUNTED) != 0

    def _environ(self, number: int, port: int) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PENDO_CONSUMER_")}
        own = {
            "PENDO__DATA_URL": f"{self.pendo_url}/p{number}",
            "PENDO__API_URL": f"{self.pendo_url}/p{number}",
            "HTTP__PORT": str(port),
        }
        settings = {f"PENDO_CONSUMER_{name}": value for name, value in (*self.settings.items(), *own.items())}
        return inherited | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | settings


async def metrics_of(session: aiohttp.ClientSession, member: Member) -> str | None:
    """What it says of itself; None while it starts, ends, or stands still."""
    try:
        async with session.get(f"{member.url}/metrics") as response:
            return await response.text()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


def _metric(text: str, name: str) -> float:
    """The metric's value; one that is missing must not look like a good one."""
    for line in text.splitlines():
        if line.startswith(name):
            return float(line.removeprefix(name))
    return nan


def sum_of(text: str, name: str) -> float:
    """The metric's values over all its labels."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))
