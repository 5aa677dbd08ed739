"""A real Apache Kafka of one node for tests: it can be stopped, killed and started again with its data.

Needs Java 17 and Maven; the jars are fetched once into `.build/kafka`.
"""

import asyncio
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, Process
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

from aiokafka.errors import KafkaError

from consumer.sandbox.broker import admin_client, create_topics
from consumer.sandbox.children import end_child, free_port, start_child

_SUPPORT: Final = Path(__file__).parent
JARS: Final = _SUPPORT.parent.parent / ".build" / "kafka"

# It is up in 3 s; a machine under load, or the first start after fetching, takes longer.
_READY_S: Final = 60.0
_POLL_S: Final = 0.1
# A clean stop writes snapshots; more than this means it hangs.
_STOP_S: Final = 20.0
_FETCH_S: Final = 300.0


class UnavailableError(Exception):
    """Apache Kafka cannot be run on this machine; the message says what is missing."""


class ApacheKafka:
    """One broker in KRaft mode; as an async context manager it runs.

    Attributes:
        bootstrap: Its address, `host:port`; the same after a restart.
    """

    def __init__(self, *, settings: dict[str, str] | None = None) -> None:
        """Take further lines of `server.properties`, which go before ours."""
        self._settings = settings or {}
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-"))
        self._process: Process | None = None
        self._choose_ports()

    def _choose_ports(self) -> None:
        self._port, self._controller_port = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        """Fetch what is missing, format, start, and wait until it answers."""
        try:
            await fetch_jars()
            try:
                await self._format()
                await self.start()
            except UnavailableError:
                # Seconds lie between choosing a port and listening: somebody else may have taken it. Try others.
                await self.kill()
                self._choose_ports()
                await asyncio.to_thread(shutil.rmtree, self._folder / "data", ignore_errors=True)
                await self._format()
                await self.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it; its data is gone."""
        await self._close()

    async def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            UnavailableError: It ended, or did not answer in time; the message ends with its output.
        """
        if self._process is not None:
            raise RuntimeError("it runs already")
        with (self._folder / "output.log").open("ab") as output:
            self._process = await start_child(
                *_java("kafka.Kafka", "-Xmx512m", "-Xms128m"), str(self._properties), output=output
            )
        try:
            async with asyncio.timeout(_READY_S):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise UnavailableError(f"Kafka ended: {self.output[-2000:]}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise UnavailableError(f"Kafka does not answer: {self.output[-2000:]}") from None

    async def stop(self) -> None:
        """Stop it cleanly; its data stays."""
        if self._process is not None:
            await end_child(self._process, _STOP_S)
            self._process = None

    async def kill(self) -> None:
        """End it as a power cut would; its data stays as it was."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it has ended by itself
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def restart(self) -> None:
        """Stop it and start it again."""
        await self.stop()
        await self.start()

    async def create_topics(self, names: list[str], partitions: int = 1) -> None:
        """Create topics; one that is there already is left as it is."""
        await create_topics(self.bootstrap, names, partitions)

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self._folder / "output.log").read_text(errors="replace")

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    async def _format(self) -> None:
        lines = _settings(self._port, self._controller_port, self._folder / "data") | self._settings
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        cluster_id = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        # An id that begins with a dash would be read as an option.
        cluster_id = cluster_id.replace("-", "A")
        command = _java("kafka.tools.StorageTool", "-Xmx256m")
        with (self._folder / "output.log").open("ab") as output:
            child = await start_child(*command, "format", "-t", cluster_id, "-c", str(self._properties), output=output)
        if await asyncio.wait_for(child.wait(), _READY_S):
            raise UnavailableError(f"Kafka's storage could not be formatted: {self.output[-2000:]}")

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.close()
            async with admin_client(self.bootstrap) as admin:
                return bool((await admin.describe_cluster())["brokers"])
        except (OSError, KafkaError):
            return False

    async def _close(self) -> None:
        await self.kill()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


async def fetch_jars() -> None:
    """Fetch Kafka's jars by their coordinates, unless they are there.

    Raises:
        UnavailableError: Java or Maven is missing, or Maven failed.
    """
    for command in ("java", "mvn"):
        if shutil.which(command) is None and (command == "java" or not JARS.exists()):
            raise UnavailableError(f"Apache Kafka needs `{command}`, which is not on the PATH")
    if JARS.exists():
        return
    # Into a folder of its own, renamed when complete: several test processes may fetch at once.
    fetched = JARS.with_name(f"kafka-{uuid4().hex}")
    maven = ("mvn", "-q", "-B", "-f", str(_SUPPORT / "pom.xml"), "dependency:copy-dependencies")
    child = await start_child(*maven, f"-DoutputDirectory={fetched}", output=DEVNULL)
    if await asyncio.wait_for(child.wait(), _FETCH_S):
        raise UnavailableError("Maven could not fetch Apache Kafka: run `mvn -f tests/support/pom.xml validate`")
    try:
        fetched.rename(JARS)
    except OSError:  # another process was first
        await asyncio.to_thread(shutil.rmtree, fetched, ignore_errors=True)


def _java(main_class: str, *options: str) -> tuple[str, ...]:
    log = f"-Dlog4j2.configurationFile={_SUPPORT / 'log4j2.xml'}"
    # One core's worth of compiler and collector threads: the tests need the other.
    lean = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return ("java", *options, *lean, log, "-cp", f"{JARS}/*", main_class)


def _settings(port: int, controller_port: int, data: Path) -> dict[str, str]:
    broker, controller = f"127.0.0.1:{port}", f"127.0.0.1:{controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "num.partitions": "1",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
    }
