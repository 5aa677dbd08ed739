"""What a good engineer writes in an afternoon: fixed senders, a lane for each key, a commit of the prefix each second.

A process of its own (`python -m benchmarks.peers.keyed SETTING`). It keeps order and loses nothing. It knows no
dead letters, no outage, no rebalance; and what it finished beyond the oldest open record is sent again after a crash.
"""

import asyncio
import sys
from collections import defaultdict, deque
from typing import Final

import aiohttp
import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition
from yarl import URL

from benchmarks.peers.posting import post, session
from benchmarks.peers.setting import Setting

_MAX_OPEN: Final = 20_000
"""As many as the service keeps open by default."""
_COMMIT_S: Final = 1.0
_RETRY_S: Final = 1.0

_Record = ConsumerRecord[bytes, bytes]


class _Keyed:
    """Lanes, and what of each partition is open."""

    def __init__(self, setting: Setting, consumer: AIOKafkaConsumer) -> None:
        self._url = URL(setting.url)
        self._consumer = consumer
        self._lanes: dict[bytes, deque[_Record]] = {}
        self._ready: asyncio.Queue[bytes] = asyncio.Queue()
        self._open: defaultdict[TopicPartition, dict[int, None]] = defaultdict(dict)
        self._next: dict[TopicPartition, int] = {}
        self._room = asyncio.Event()

    async def read(self) -> None:
        while True:
            for partition, records in (await self._consumer.getmany(timeout_ms=200, max_records=500)).items():
                self._next[partition] = records[-1].offset + 1
                for record in records:
                    self._admit(partition, record)
            while sum(map(len, self._open.values())) > _MAX_OPEN:
                self._room.clear()
                await self._room.wait()

    def _admit(self, partition: TopicPartition, record: _Record) -> None:
        self._open[partition][record.offset] = None
        key = record.key or b""
        if key in self._lanes:
            self._lanes[key].append(record)
        else:
            self._lanes[key] = deque([record])
            self._ready.put_nowait(key)

    async def send(self, opened: aiohttp.ClientSession) -> None:
        while True:
            key = await self._ready.get()
            lane = self._lanes[key]
            record = lane[0]
            try:
                await post(opened, self._url, record.value or b"")
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(_RETRY_S)
            else:
                lane.popleft()
                del self._open[TopicPartition(record.topic, record.partition)][record.offset]
                self._room.set()
            if lane:
                self._ready.put_nowait(key)
            else:
                del self._lanes[key]

    async def commit(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_S)
            if self._next:
                await self._consumer.commit({tp: next(iter(self._open[tp]), end) for tp, end in self._next.items()})


async def _run(setting: Setting) -> None:
    consumer = AIOKafkaConsumer(
        setting.topic,
        bootstrap_servers=setting.bootstrap,
        group_id=setting.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=(setting.session_timeout_s or 30) * 1000,
    )
    async with consumer, session(setting.ca_file) as opened, asyncio.TaskGroup() as tasks:
        keyed = _Keyed(setting, consumer)
        tasks.create_task(keyed.read())
        tasks.create_task(keyed.commit())
        for _ in range(setting.concurrency):
            tasks.create_task(keyed.send(opened))


if __name__ == "__main__":
    uvloop.run(_run(Setting.from_arguments(sys.argv[1:])))
