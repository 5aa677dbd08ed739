"""The pulse: notices when the process slept for so long that others may have taken over.

It beats a few times a second, and tells how late. After a sleep it commits until that succeeds; only then may requests
go again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from consumer.delivery.lease import Hold, Lease
from consumer.log import get_logger

log = get_logger(__name__)

BEAT_S: Final = 0.25
RETRY_S: Final = 1.0
"""Between two commits that are to show whether the partitions are still ours."""
WORST_OF_S: Final = 60.0
"""The lag shown is the worst of at least so long, so that a scrape does not miss it."""


class Pulse:
    """Beats.

    Args:
        lease: The process's leave to send.
        prove: Commits once more what is ours; whether that was confirmed.
        free: Lets requests go again.
    """

    def __init__(self, lease: Lease, *, prove: Callable[[], Awaitable[bool]], free: Callable[[Hold], None]) -> None:
        self._lease = lease
        self._prove = prove
        self._free = free
        self._worst_s = 0.0
        self._worst_before_s = 0.0
        self._since = 0.0

    @property
    def lag_s(self) -> float:
        """How late the loop ran at worst, lately."""
        return max(self._worst_s, self._worst_before_s)

    async def run(self) -> None:
        """Beat for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            now = loop.time()
            self._observe(now - due, now)
            if self._lease.tick(now):
                log.warning(
                    "the process stood still: nothing is sent until a commit shows that its partitions are its own",
                    stood_still_s=round(now - due, 1),
                )
            if Hold.ASLEEP in self._lease.held:
                await self._ask_for_the_lease()

    def _observe(self, lag_s: float, now: float) -> None:
        if now - self._since > WORST_OF_S:
            self._since = now
            self._worst_before_s, self._worst_s = self._worst_s, 0.0
        self._worst_s = max(self._worst_s, lag_s)

    async def _ask_for_the_lease(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if await self._prove() and self._lease.confirm(began, loop.time()):
            self._free(Hold.ASLEEP)
            log.info("the partitions are still this process's own: delivering")
        else:
            await asyncio.sleep(RETRY_S)
