"""A bare consumer group: the pauses that a rebalance makes by itself, with the service's settings and no work at all.

A broker and a number of rounds come in, pauses go out: for how long no member got a record while one joined or left.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from benchmarks.stage import SESSION_TIMEOUT_S, TOPIC

_GROUP: Final = "bare"
_TURN_RECORDS: Final = 50
_TURN_S: Final = 0.005
"""Slow enough for the topic to last; a rebalance begins it again."""
_SETTLE_S: Final = 3.0
"""Longer than it takes a member to hear of a rebalance and to take part."""


class _Group:
    """Its members' turns.

    Attributes:
        turns: When some member got records; seconds of the monotonic clock.
    """

    def __init__(self, bootstrap: str) -> None:
        self.turns: list[float] = []
        self._bootstrap = bootstrap

    @asynccontextmanager
    async def member(self) -> AsyncIterator[None]:
        """Be a member for as long as the block lasts."""
        session_ms = SESSION_TIMEOUT_S * 1000
        consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=self._bootstrap,
            group_id=_GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )
        await consumer.start()
        ending = asyncio.Event()
        turning = asyncio.create_task(self._turn(consumer, ending))
        try:
            yield
        finally:
            ending.set()
            await turning
            await consumer.stop()

    async def _turn(self, consumer: AIOKafkaConsumer, ending: asyncio.Event) -> None:
        while not ending.is_set():
            if await consumer.getmany(timeout_ms=100, max_records=_TURN_RECORDS):
                self.turns.append(monotonic())
            elif consumer.assignment():
                await consumer.seek_to_beginning()
            await asyncio.sleep(_TURN_S)

    def pause_since(self, began: float) -> float:
        """The longest time without a turn since then."""
        inside = [at for at in self.turns if at >= began]
        return max((later - earlier for earlier, later in pairwise(inside)), default=monotonic() - began)


async def pauses_s(bootstrap: str, rounds: int) -> dict[str, tuple[float, ...]]:
    """Have a second member join and leave so often; the pauses of each kind."""
    group = _Group(bootstrap)
    joins, leaves = [], []
    async with group.member():
        await asyncio.sleep(_SETTLE_S)
        for _ in range(rounds):
            began = monotonic()
            async with group.member():
                await asyncio.sleep(_SETTLE_S)
                joins.append(group.pause_since(began))
                began = monotonic()
            await asyncio.sleep(_SETTLE_S)
            leaves.append(group.pause_since(began))
    return {"join": tuple(joins), "leave": tuple(leaves)}
