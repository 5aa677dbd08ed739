"""A server that says what a script tells it, byte for byte, and keeps on which connection it was asked."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_PASSES: Final = 50
"""Of the loop; what was written over the loopback before them has been read after them."""


class Act(Enum):
    """What a server does beside writing.

    Attributes:
        PAUSE: Let the other side read what it has got.
        CLOSE: End the connection in good order.
        CUT: End it without a word: over TLS without its own.
        RESET: End it, and tell the other side to forget it.
        SILENCE: Say nothing until the other side is gone.
    """

    PAUSE = auto()
    CLOSE = auto()
    CUT = auto()
    RESET = auto()
    SILENCE = auto()


@dataclass(frozen=True)
class Endless:
    """Bytes that are said again and again, until nobody listens."""

    data: bytes


Step = bytes | Act | Endless
Script = Sequence[Step]

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """The server.

    Attributes:
        url: Its base URL.
        port: Of TCP.
        asked: For each request, the number of its connection.
        heads: Of the requests.
        bodies: What was posted.
        gone: By connection, whether its other side has ended it.
        greeting: Said on a new connection before anything was asked.
        impatient: Whether it answers when it has read the head, and reads nothing any more.
        echo: Where there are any, what is done in turn after an answer that is what was asked.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.url = ""
        self.port = 0
        self.asked: list[int] = []
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.gone: list[asyncio.Event] = []
        self.greeting = b""
        self.impatient = False
        self.echo: Sequence[Script] = ()
        self._talks: set[asyncio.Task[None]] = set()

    async def all_gone(self) -> None:
        """Wait until no connection has another side any more."""
        for gone in self.gone:
            await gone.wait()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        number = len(self.gone)
        self.gone.append(asyncio.Event())
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._talk(number, reader, writer)
        finally:
            self.gone[number].set()
            writer.transport.abort()

    async def _talk(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.asked.append(number)
            self.heads.append(head)
            if not self.impatient:
                self.bodies.append(await reader.readexactly(length))
            for step in self._script():
                await self._do(step, reader, writer)
            if self.impatient:
                await asyncio.Event().wait()

    def _script(self) -> Script:
        if self.echo:
            body = self.bodies[-1]
            return (
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
                *self.echo[len(self.asked) % len(self.echo)],
            )
        return self._scripts.pop(0) if self._scripts else (OK,)

    async def _do(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case Endless():
                while True:
                    writer.write(step.data)
                    await writer.drain()
                    await asyncio.sleep(0)
            case Act.PAUSE:
                await passes()
            case Act.SILENCE:
                await reader.readexactly(1)
            case Act.CLOSE:
                writer.close()
                await reader.read()
            case Act.CUT:
                writer.transport.abort()
                await reader.read()
            case Act.RESET:
                await passes()
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                await reader.read()

    async def end(self) -> None:
        """Leave nothing behind."""
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await passes()


async def passes() -> None:
    """Let the loop turn, until what is on its way over the loopback has arrived."""
    for _ in range(_PASSES):
        await asyncio.sleep(0)


@asynccontextmanager
async def scripted(
    *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", name: str | None = None
) -> AsyncIterator[Scripted]:
    """A running server: the first request gets the first script, and each that has none `OK`."""
    playing = Scripted(*scripts)
    server = await asyncio.start_server(playing.accept, host, 0, ssl=tls)
    named = name or (f"[{host}]" if ":" in host else host)
    playing.port = server.sockets[0].getsockname()[1]
    playing.url = f"{'https' if tls else 'http'}://{named}:{playing.port}"
    try:
        yield playing
    finally:
        server.close()
        await playing.end()
