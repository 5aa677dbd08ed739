"""Starting a Kafka client so that nothing is left behind, whenever the one who starts it is stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

GRACE_S: Final = 1.0
"""For a start to end by itself: brokers that are there answer within it."""


async def start(starting: Coroutine[Any, Any, None]) -> None:
    """Await a client's `start()`; cancelled meanwhile, let it end first.

    Cancelled itself, aiokafka's `start()` forgets the connection that it was asking for the brokers, and no `stop()`
    closes it. Whoever calls this stops the client all the same.

    Args:
        starting: What the client's `start` returned.
    """
    task = asyncio.create_task(starting, name="start client")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait([task], timeout=GRACE_S)
        if not done:
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=GRACE_S)
        for ended in done:
            # Looked at, so that nobody is told of an error that no longer matters.
            _ = ended.cancelled() or ended.exception()
        raise
