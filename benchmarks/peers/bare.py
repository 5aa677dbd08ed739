"""The yardstick: the events' bodies by aiohttp's session, from memory. No Kafka, no order, no JSON, no retry.

A process of its own (`python -m benchmarks.peers.bare SETTING`) that stays until it is ended, so that what it took can
be read after the last answer.
"""

import asyncio
import sys
from collections.abc import Iterable

import aiohttp
import uvloop
from yarl import URL

from benchmarks.peers.events import sequenced_events
from benchmarks.peers.posting import post, session
from benchmarks.peers.setting import Setting


async def _run(setting: Setting) -> None:
    bodies, url = iter([record.value for record in sequenced_events(setting.events)]), URL(setting.url)
    async with session(setting.ca_file) as opened, asyncio.TaskGroup() as senders:
        for _ in range(setting.concurrency):
            senders.create_task(_send(opened, url, bodies))
    await asyncio.Event().wait()


async def _send(opened: aiohttp.ClientSession, url: URL, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        await post(opened, url, body)


if __name__ == "__main__":
    uvloop.run(_run(Setting.from_arguments(sys.argv[1:])))
