"""The connections to one origin: which is asked next, which has waited too long, which is let go of.

The one used last is used next, so that those of a burst stand idle and go. All deadlines share one timer: it is set for
the earliest, and looks at all of them when it fires, once in a request's time or in that for which a connection is
kept.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from math import inf
from random import uniform
from typing import Final, cast

from aiohappyeyeballs import start_connection

from consumer.errors import UnreachableError
from consumer.pendo.lean.addresses import Addresses
from consumer.pendo.lean.connection import KEEP_ALIVE, Connection, Known
from consumer.pendo.waist import KEEPALIVE_S, OnEnd

MAX_AGE_S: Final = 300.0
"""A connection is renewed after that, a quarter more or less, so that a name's new addresses are seen."""
HAPPY_EYEBALLS_S: Final = 0.25
"""RFC 8305's: how long one address may take until the next is tried beside it."""
KEEP_ALIVE_MARGIN_S: Final = 1.0
"""How much earlier than the server we let go of an idle connection when it says how long it keeps one."""
GRAIN_S: Final = 0.001
"""Of uvloop's clock and timers: one that fired that much too early would be set again and again until it is time."""


class Pool:
    """One origin's.

    Args:
        host: Without brackets.
        port: Of TCP.
        tls: None for plain HTTP.
        timeout_s: For a whole request, connecting included.
    """

    __slots__ = (
        "_addresses",
        "_closed",
        "_connecting",
        "_connections",
        "_host",
        "_idle",
        "_known",
        "_loop",
        "_timeout_s",
        "_timer",
        "_timer_due",
        "_tls",
    )

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        self._host = host
        self._tls = tls
        self._timeout_s = timeout_s
        self._addresses = Addresses(host, port)
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        # The last one was used last.
        self._idle: list[Connection] = []
        self._connecting: set[asyncio.Task[Connection]] = set()
        self._known: Known = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = inf
        self._closed = False

    def exchange(self, request: bytes, on_end: OnEnd) -> None:
        """Send a request; `on_end` is told its answer, or that none came in time, or not all of it."""
        now = self._loop.time()
        deadline = now + self._timeout_s
        connection = self._idle_one(now)
        if connection is not None:
            self._ask(connection, request, deadline, on_end)
            return
        connecting = asyncio.create_task(self._connected(deadline), name=f"connecting to {self._host}")
        self._connecting.add(connecting)
        connecting.add_done_callback(partial(self._on_connected, request, deadline, on_end))

    def _on_connected(
        self, request: bytes, deadline: float, on_end: OnEnd, connecting: "asyncio.Task[Connection]"
    ) -> None:
        self._connecting.discard(connecting)
        try:
            connection = connecting.result()
        except UnreachableError as error:
            on_end(error)
        except asyncio.CancelledError:
            on_end(UnreachableError("connection", "closed"))
        else:
            self._ask(connection, request, deadline, on_end)

    def _ask(self, connection: Connection, request: bytes, deadline: float, on_end: OnEnd) -> None:
        if deadline < self._timer_due:
            self._look_at(deadline)
        connection.ask(request, deadline, on_end)

    def close(self) -> None:
        """End all connections; what is on its way has no answer, nor what comes later."""
        self._closed = True
        for connecting in self._connecting:
            connecting.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._connections):
            connection.close()

    # What connections call.

    def on_free(self, connection: Connection, headers: Mapping[str, str]) -> None:
        """Keep it for the next request, or let go of it when its time has come."""
        now = self._loop.time()
        keep_s = _kept_s(headers[KEEP_ALIVE]) if KEEP_ALIVE in headers else KEEPALIVE_S
        if now >= connection.renew_at or keep_s <= 0:
            connection.close()
            return
        connection.due = due = now + keep_s
        self._idle.append(connection)
        if due < self._timer_due:
            self._look_at(due)

    def on_gone(self, connection: Connection) -> None:
        """It is of no use any more."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _idle_one(self, now: float) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if now < connection.due:
                return connection
            connection.close()
        return None

    async def _connected(self, deadline: float) -> Connection:
        renew_at = self._loop.time() + MAX_AGE_S * uniform(0.75, 1.25)  # noqa: S311  # not a secret
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._opened(renew_at)
        except TimeoutError:
            raise UnreachableError("timeout", "no connection in time") from None
        except Exception as error:  # noqa: BLE001  # whatever a library raises, there is no connection
            raise UnreachableError("connection", error.__class__.__name__) from None
        if self._closed:
            connection.close()
            raise UnreachableError("connection", "closed")
        self._connections.add(connection)
        return connection

    async def _opened(self, renew_at: float) -> Connection:
        socket = await start_connection(
            await self._addresses.in_turn(), happy_eyeballs_delay=HAPPY_EYEBALLS_S, interleave=1
        )
        try:
            wire, connection = await self._loop.create_connection(
                lambda: Connection(self, renew_at, self._known), sock=socket
            )
        except BaseException:
            socket.close()
            raise
        if self._tls is not None:
            if wire.is_closing():
                raise ConnectionResetError
            # Not by `create_connection`, which keeps the wire to itself.
            encrypted = await self._loop.start_tls(wire, connection, self._tls, server_hostname=self._host.rstrip("."))
            connection.encrypt(cast("asyncio.Transport", encrypted))
        return connection

    def _look_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        """Give up what is too late, let go of what has stood idle, and come back when the next is."""
        # First: what is given up is sent anew, with a deadline of its own.
        self._timer = None
        self._timer_due = inf
        now = self._loop.time() + GRAIN_S
        for connection in list(self._connections):
            # Each by what it is due now: an idle one may serve what one before it has given up.
            if now >= connection.due:
                connection.give_up()
        if self._connections:
            self._look_at(min(connection.due for connection in self._connections))


def _kept_s(keep_alive: str) -> float:
    """How long to keep a connection whose server says `timeout=N`: a little less, and never longer than any other."""
    for part in keep_alive.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "timeout" and value.isascii() and value.isdigit():
            return min(float(value) - KEEP_ALIVE_MARGIN_S, KEEPALIVE_S)
    return KEEPALIVE_S
