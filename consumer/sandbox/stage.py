"""The stage: broker, simulated Pendo and the service itself, each as a process of its own, set up and taken down.

Settings for the service come in; addresses go out, and the service's exit status. What is played on the stage, and
how it went, is not its concern.
"""

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from shlex import quote
from typing import Final, Self

import aiohttp

from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.children import end_child, free_port, start_child

TOPIC: Final = "segment-events"
DEAD_LETTER_TOPIC: Final = "segment-events-dead-letter"
_PARTITIONS: Final = 4

# Tansu lets the first member of a group wait for half of its session timeout: this, the least, makes it 3 s.
_SESSION_TIMEOUT_S: Final = "6"

_API_KEY: Final = "sandbox-api-key"
_TRACK_EVENT_SECRET: Final = "sandbox-track-event-secret"  # noqa: S105 - of the sandbox
_INTEGRATION_KEY: Final = "sandbox-integration-key"
_ADMIN_TOKEN: Final = "sandbox-admin-token"  # noqa: S105 - likewise

# A second for the simulator; for the service its own deadline of 25 s and a little more.
_SIMULATOR_END_S: Final = 1.0
_SERVICE_END_S: Final = 30.0
_START_S: Final = 20.0
_POLL_S: Final = 0.1

_LOG_TAIL_CHARS: Final = 3000


class StageError(Exception):
    """A part of the stage does not work; the message says which, and ends with what it printed."""


class Stage:
    """Everything on one machine; as an async context manager it stands.

    Attributes:
        bootstrap: The broker's address.
        pendo_url: The simulator's base URL.
        service_url: The service's.
        log_path: Where the service logs.
        environment_path: The service's settings, for a shell that reads them: commands then ask this stage.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        """Take further settings of the service, by the names of its environment variables without prefix."""
        self._settings = dict(settings or {})
        self._exits = AsyncExitStack()
        self._service: Process | None = None
        self.bootstrap = ""
        self.pendo_url = ""
        self.service_url = ""
        self.log_path = Path()
        self.environment_path = Path()

    async def __aenter__(self) -> Self:
        """Set up broker, topics, simulator and service.

        Raises:
            StageError: One of them does not start.
        """
        async with AsyncExitStack() as exits:
            broker = await exits.enter_async_context(EmbeddedBroker())
            self.bootstrap = broker.bootstrap
            await broker.create_topics([TOPIC], _PARTITIONS)
            await broker.create_topics([DEAD_LETTER_TOPIC])
            folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="pendo-consumer-"))
            self.log_path = Path(folder) / "service.log"
            self.environment_path = Path(folder) / "environment.sh"
            await self._start_simulator(exits)
            await self._start_service(exits)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take all down, the service first."""
        await self._exits.aclose()

    def check(self) -> None:
        """Complain when the service has ended by itself.

        Raises:
            StageError: It has.
        """
        if self._service is None or self._service.returncode is not None:
            raise StageError(f"the service ended: {self._log_tail()}")

    async def stop_service(self) -> int:
        """Ask the service to stop, as an orchestrator would; return its exit status."""
        if self._service is None:
            raise StageError("the service was never started")
        return await end_child(self._service, _SERVICE_END_S)

    async def _start_simulator(self, exits: AsyncExitStack) -> None:
        keys = {"api-key": _API_KEY, "track-event-secret": _TRACK_EVENT_SECRET, "integration-key": _INTEGRATION_KEY}
        credentials = (word for name, key in keys.items() for word in (f"--{name}", key))
        command = (sys.executable, "-m", "consumer.sandbox.simulator", *credentials)
        process = await start_child(*command, output=PIPE)
        exits.push_async_callback(end_child, process, _SIMULATOR_END_S)
        if process.stdout is None:
            raise StageError("the simulator cannot say where it listens")
        first_line = await asyncio.wait_for(process.stdout.readline(), _START_S)
        self.pendo_url = first_line.decode().strip()

    async def _start_service(self, exits: AsyncExitStack) -> None:
        port = free_port()
        self.service_url = f"http://127.0.0.1:{port}"
        settings = self._service_settings(port)
        self.environment_path.write_text("".join(f"export {name}={quote(settings[name])}\n" for name in settings))
        with self.log_path.open("wb") as output:
            process = await start_child(
                sys.executable, "-m", "consumer", "run", output=output, env=_environment(settings)
            )
        self._service = process
        exits.push_async_callback(end_child, process, _SERVICE_END_S)
        try:
            async with asyncio.timeout(_START_S):
                while not await self._is_alive():
                    self.check()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise StageError(f"the service does not answer: {self._log_tail()}") from None

    async def _is_alive(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.service_url}/livez") as response:
                return response.status == 200  # noqa: PLR2004 - HTTP: OK
        except aiohttp.ClientConnectionError:
            return False

    def _service_settings(self, port: int) -> dict[str, str]:
        settings = {
            "KAFKA__BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA__TOPICS": TOPIC,
            "KAFKA__SESSION_TIMEOUT_S": _SESSION_TIMEOUT_S,
            "DEAD_LETTER__TOPIC": DEAD_LETTER_TOPIC,
            "PENDO__DATA_URL": self.pendo_url,
            "PENDO__API_URL": self.pendo_url,
            "PENDO__API_KEY": _API_KEY,
            "PENDO__TRACK_EVENT_SECRET": _TRACK_EVENT_SECRET,
            "PENDO__INTEGRATION_KEY": _INTEGRATION_KEY,
            "HTTP__HOST": "127.0.0.1",
            "HTTP__PORT": str(port),
            "HTTP__ADMIN_TOKEN": _ADMIN_TOKEN,
        }
        settings.update(self._settings)
        return {f"PENDO_CONSUMER_{name}": value for name, value in settings.items()}

    def _log_tail(self) -> str:
        return self.log_path.read_text(errors="replace")[-_LOG_TAIL_CHARS:]


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the service's environment: ours, without settings meant for another service."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PENDO_CONSUMER_")}
    return inherited | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | settings
