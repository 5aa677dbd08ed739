"""The embedded broker: it takes records, gives them back, and ends when it should."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from consumer.sandbox.broker import EmbeddedBroker, admin_client
from consumer.sandbox.children import free_port


async def test_a_produced_record_is_read_back() -> None:
    async with EmbeddedBroker() as broker:
        await broker.create_topics(["events", "others"], partitions=2)
        await broker.create_topics(["events"])  # there already: no error
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
            sent = await producer.send_and_wait("events", b"value", key=b"key", headers=[("a", b"b")])
        async with AIOKafkaConsumer(
            "events", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            record = await asyncio.wait_for(consumer.getone(), 10)
        async with admin_client(broker.bootstrap) as admin:
            topics = await admin.describe_topics(["events"])
    assert (record.key, record.value, record.partition) == (b"key", b"value", sent.partition)
    assert record.headers == (("a", b"b"),)
    assert len(topics[0]["partitions"]) == 2


async def test_it_listens_below_the_ports_of_outgoing_connections() -> None:
    assert all(free_port() < 32_768 for _ in range(20))


async def test_it_ends_with_its_context() -> None:
    async with EmbeddedBroker() as broker:
        host, port = broker.bootstrap.split(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child whose parent was killed")
async def test_it_ends_when_its_parent_is_killed() -> None:
    """A demo that is killed leaves no broker behind."""
    code = (
        "import asyncio\n"
        "from consumer.sandbox.broker import EmbeddedBroker\n"
        "async def main():\n"
        "    async with EmbeddedBroker() as broker:\n"
        "        print(broker._process.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    broker_pid = int(await parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(10):
        while _runs(broker_pid):
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether a process runs; an ended one that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
