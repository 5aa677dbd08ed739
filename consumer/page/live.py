"""The live view: one snapshot a second, made once for all who listen, and only while somebody does.

Whoever listens is handed the newest snapshot, and misses those that came while it was not looking: nothing piles up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import orjson

from consumer.log import get_logger
from consumer.page.sums import Json

log = get_logger(__name__)

EVERY_S: Final = 1.0
MAX_LISTENERS: Final = 32
"""A wall of screens; each holds a connection and costs a write a second."""


class CrowdedError(Exception):
    """As many listen as may."""


class Live:
    """The newest snapshot, and who waits for it.

    Attributes:
        listeners: How many listen.
    """

    def __init__(self, view: Callable[[], Awaitable[Json]], every_s: float = EVERY_S) -> None:
        self.listeners = 0
        self._view = view
        self._every_s = every_s
        self._newest = b""
        self._number = 0
        self._made_at = -every_s
        self._changed = asyncio.Event()
        self._making = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._failing = False

    async def newest(self) -> bytes:
        """A snapshot that is not much older than asked for; asked by many at once it is made once."""
        async with self._making:
            now = asyncio.get_running_loop().time()
            if now - self._made_at >= self._every_s / 2:
                self._newest = orjson.dumps(await self._view())
                self._made_at = now
            return self._newest

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Listen: snapshots as they come, the first at once, until `close`.

        Raises:
            CrowdedError: As many listen as may.
        """
        if self.listeners >= MAX_LISTENERS or self._closed:
            raise CrowdedError
        self.listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._tick(), name="page")
        try:
            yield self._snapshots()
        finally:
            self.listeners -= 1
            if not self.listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _snapshots(self) -> AsyncIterator[bytes]:
        yield await self.newest()
        seen = self._number
        while not self._closed:
            if seen == self._number:
                await self._changed.wait()
            seen = self._number
            if not self._closed:
                yield self._newest

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.newest()
            except Exception as error:  # noqa: BLE001  # a page that cannot be drawn must not stop what it shows
                if not self._failing:
                    log.warning("the page cannot be drawn: what it shows goes on", error=type(error).__name__)
                self._failing = True
                continue
            self._failing = False
            self._number += 1
            self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def close(self) -> None:
        """Nobody listens any more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._tell()
