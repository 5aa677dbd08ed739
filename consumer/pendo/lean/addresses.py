"""The addresses of a name: looked up once in a while, every one of them used in turn."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Final

from aiohappyeyeballs import AddrInfoType

LOOKUP_TTL_S: Final = 10.0
"""As aiohttp keeps them: two hundred connections ask once, and a changed entry is soon seen."""


class Addresses:
    """Where one host can be reached."""

    __slots__ = ("_flags", "_host", "_known", "_lookup", "_port", "_until")

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        # An address is used as it is written, though this machine have no other of its family than the loopback's.
        self._flags = 0 if _is_address(host) else socket.AI_ADDRCONFIG
        self._known: list[AddrInfoType] = []
        self._until = 0.0
        self._lookup: asyncio.Task[None] | None = None

    async def in_turn(self) -> list[AddrInfoType]:
        """All addresses, beginning with another one each time.

        Raises:
            OSError: The name is not known, and never was; what was known counts on while a lookup fails.
            ValueError: It cannot be a name.
        """
        loop = asyncio.get_running_loop()
        if loop.time() >= self._until:
            if self._lookup is None:
                self._lookup = loop.create_task(self._look_up(loop), name="lookup")
                # Whoever waits is told; nobody need be left who does.
                self._lookup.add_done_callback(lambda lookup: lookup.cancelled() or lookup.exception())
            # Not ended by one of those who wait for it.
            await asyncio.shield(self._lookup)
        self._known = self._known[1:] + self._known[:1]
        return self._known

    async def _look_up(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._known = list(
                await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=self._flags)
            )
        except OSError:
            if not self._known:
                raise
        finally:
            self._lookup = None
        self._until = loop.time() + LOOKUP_TTL_S


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
