"""The service: what its exit status says of a stop in the middle of a rebalance."""

import asyncio

import pytest

from consumer.config.load import load
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.service import Service

P0 = Partition("events", 0)
ENVIRON = {
    "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "KAFKA__TOPICS": "events",
    "PENDO__API_KEY": "k",
    "HTTP__HOST": "127.0.0.1",
    "HTTP__PORT": "0",
    "DELIVERY__SHUTDOWN_TIMEOUT_S": "4",
}


class Work:
    """An open record."""

    open = 0
    held_bytes = 0


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("answered", "status"), [(True, 1), (False, 0)])
async def test_a_stop_in_a_rebalance_tells_whether_something_answered_is_uncommitted(
    status: int, *, answered: bool
) -> None:
    """It is not ours to commit until the partition is back, and is sent again by whoever gets it: that is no 0."""
    service = Service(load(None, {f"PENDO_CONSUMER_{key}": value for key, value in ENVIRON.items()}))
    progress = Progress(*P0, next_offset=0)
    progress.start(0, Work())
    service._partitions.owned[P0] = progress
    running = asyncio.create_task(service.run())
    await service._partitions.revoked([P0])
    if answered:
        progress.finish(0)
    service.stop()
    assert await running == status
    assert progress.released
