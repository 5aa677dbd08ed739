"""The peers: what the other pods behind a headless name say, asked over HTTP in bounded time.

A name comes in; answers, and the addresses that gave none, come out. Whoever does not answer in time is told of.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from consumer.log import get_logger

log = get_logger(__name__)

WITHIN_S: Final = 1.0
"""For the name and all answers: the page wants a view a second."""
MAX_PEERS: Final = 200
MAX_BYTES: Final = 4 * 1024 * 1024
"""A report of a thousand partitions; more is none."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the peers said.

    Attributes:
        answers: Those of the pods that gave one; our own may be among them.
        silent: Addresses that did not, or answered something else.
        problem: Why the name is no help; empty when it is.
    """

    answers: tuple[dict[str, Any], ...] = ()
    silent: tuple[str, ...] = ()
    problem: str = ""


def host_and_port(name: str, port: int) -> tuple[str, int]:
    """Take apart `host` or `host:port`; without a port that of this pod."""
    host, colon, given = name.rpartition(":")
    if not colon or given.endswith("]"):
        return name.strip("[]"), port
    return host.strip("[]"), int(given)


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name to addresses; raises `OSError` when there are none."""


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})


class Peers:
    """The pods behind one name."""

    def __init__(self, host: str, port: int, resolve: Resolve = addresses_of) -> None:
        self._host = host
        self._port = port
        self._resolve = resolve

    async def answers(self, path: str) -> Heard:
        """Ask all of them at once for what lies there."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WITHIN_S
        try:
            async with asyncio.timeout_at(deadline):
                addresses = (await self._resolve(self._host, self._port))[:MAX_PEERS]
        except TimeoutError:
            return Heard(problem=f"the name {self._host} was not resolved in time")
        except OSError as error:
            return Heard(problem=f"the name {self._host} cannot be resolved: {error.strerror or error}")
        timeout = aiohttp.ClientTimeout(total=max(deadline - loop.time(), 0.05))
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            answers = await asyncio.gather(*(self._ask(session, address, path) for address in addresses))
        return Heard(
            tuple(answer for answer in answers if answer is not None),
            tuple(address for address, answer in zip(addresses, answers, strict=True) if answer is None),
        )

    async def _ask(self, session: aiohttp.ClientSession, address: str, path: str) -> dict[str, Any] | None:
        host = f"[{address}]" if ":" in address else address
        try:
            async with session.get(f"http://{host}:{self._port}{path}", allow_redirects=False) as response:
                body = await response.content.read(MAX_BYTES) if response.status == 200 else b""  # noqa: PLR2004
                while response.status == 200 and not response.content.at_eof() and len(body) < MAX_BYTES:  # noqa: PLR2004
                    body += await response.content.read(MAX_BYTES)
            report = orjson.loads(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.debug("a peer does not answer", address=address, problem=type(error).__name__)
            return None
        return report if isinstance(report, dict) and "instance" in report else None
