"""What stands around a lean connection: a wire that is none, a keeper that counts, a clock that is set by hand."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from consumer.errors import UnreachableError
from consumer.pendo.lean.connection import Connection, Known
from consumer.pendo.lean.pool import Pool
from consumer.pendo.waist import Response
from tests.support.awaited import response_to

_MAX_FIRED: Final = 1000


class Wire(asyncio.Transport):
    """A transport on whose other side a test stands.

    Attributes:
        written: What was sent.
        ended: Whether it was closed or aborted.
        unsent: How much of what was written has not gone out yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended = False
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        """What the test says."""
        return self.unsent

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self.ended

    def close(self) -> None:
        """End."""
        self.ended = True

    def abort(self) -> None:
        """End."""
        self.ended = True


class Keeper:
    """A pool of one.

    Attributes:
        free: How often the connection might be used again.
        gone: How often it was said to be of no use.
    """

    def __init__(self) -> None:
        self.free = 0
        self.gone = 0

    def on_free(self, _: Connection, __: Mapping[str, str]) -> None:
        """Count."""
        self.free += 1

    def on_gone(self, _: Connection) -> None:
        """Count."""
        self.gone += 1


class Wired:
    """A connection over such a wire."""

    def __init__(self, known: Known | None = None) -> None:
        self.wire = Wire()
        self.keeper = Keeper()
        self.connection = Connection(self.keeper, 0.0, {} if known is None else known)
        self.connection.connection_made(self.wire)

    def ask(self, request: bytes = b"POST") -> "asyncio.Future[Response]":
        """Send a request."""
        return response_to(lambda on_end: self.connection.ask(request, 1.0, on_end))

    def answer(self, *parts: bytes) -> None:
        """Say this, as long as anybody listens."""
        for part in parts:
            if not self.wire.ended:
                self.connection.data_received(part)

    def end(self, error: Exception | None = None) -> None:
        """The server is gone."""
        if error is None and not self.wire.ended:
            self.connection.eof_received()
        self.connection.connection_lost(error)


def told(waiter: "asyncio.Future[Response]") -> Response | str | None:
    """What came of a request: an answer, a kind of error, or nothing yet."""
    if not waiter.done():
        return None
    error = waiter.exception()
    if error is None:
        return waiter.result()
    if not isinstance(error, UnreachableError):
        raise error
    return error.kind


class _Timer:
    def __init__(self, when: float, call: Callable[[], object]) -> None:
        self.when = when
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self.call = None


class Clock:
    """What a pool knows of the loop.

    Attributes:
        now: Seconds.
        fired: How many timers have.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.fired = 0
        self._timers: list[_Timer] = []

    def time(self) -> float:
        """Now."""
        return self.now

    def call_at(self, when: float, call: Callable[[], object]) -> _Timer:
        """Set a timer."""
        timer = _Timer(when, call)
        self._timers.append(timer)
        return timer

    @property
    def pending(self) -> int:
        """How many timers are set."""
        return len([timer for timer in self._timers if timer.call is not None])

    def move(self, seconds: float) -> None:
        """Let time pass, and the timers fire that are due."""
        until = self.now + seconds
        while due := [timer for timer in self._timers if timer.call is not None and timer.when <= until]:
            assert self.fired < _MAX_FIRED, "a timer spins"
            timer = min(due, key=lambda timer: timer.when)
            self.now = max(self.now, timer.when)
            self.fired += 1
            call, timer.call = timer.call, None
            assert call is not None
            call()
        self.now = until


class WiredPool(Pool):
    """A pool whose connections are such wires, by such a clock.

    Attributes:
        clock: It.
        wires: All that were opened, with their connections.
    """

    __slots__ = ("clock", "wires")

    def __init__(self, timeout_s: float = 30.0) -> None:
        super().__init__("pendo.example", 80, None, timeout_s)
        self.clock = Clock()
        self.wires: list[tuple[Wire, Connection]] = []
        loop: Any = self.clock
        self._loop = loop

    async def _connected(self, deadline: float) -> Connection:
        connection = Connection(self, self.clock.now + 300.0, self._known)
        wire = Wire()
        connection.connection_made(wire)
        self.wires.append((wire, connection))
        self._connections.add(connection)
        assert deadline > self.clock.now
        return connection

    def ask(self) -> "asyncio.Future[Response]":
        """A request on its way."""
        return response_to(lambda on_end: self.exchange(b"POST", on_end))
