"""Both transports on their way to a server: names and addresses, some of them dead; TLS as the name wants it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
import trustme

from consumer.errors import UnreachableError
from tests.support.scripted import OK, Act, Script, scripted
from tests.support.tools import missing
from tests.support.transports import Transport, opened

pytestmark = pytest.mark.timeout(30)

_CLOSING: Script = (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", Act.CLOSE)


class Names:
    """A name server.

    Attributes:
        asked: The names that were looked up.
        answer: The addresses of each, or an error.
    """

    def __init__(self, *addresses: str) -> None:
        self.asked: list[str] = []
        self.answer: list[str] | OSError = list(addresses)
        self._real = asyncio.get_running_loop().getaddrinfo

    async def getaddrinfo(self, host: str, port: int, **how: Any) -> list[tuple[Any, ...]]:
        """As the loop's, which uvloop asks of an address, too."""
        if ":" in host or host[-1].isdigit():
            return list(await self._real(host, port, **how))
        self.asked.append(host)
        await asyncio.sleep(0)
        if isinstance(self.answer, OSError):
            raise self.answer
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.answer
        ]


def _named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Names:
    names = Names(*addresses)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    return names


@contextmanager
def _silent(address: str, port: int) -> Iterator[None]:
    """Somebody who listens, and accepts nobody: a connection to it is never made."""
    with socket.create_server((address, port), backlog=0) as listening:
        waiting = []
        for _ in range(8):
            waiting.append(socket.socket())
            waiting[-1].settimeout(0)
            with suppress(BlockingIOError):
                waiting[-1].connect(listening.getsockname())
        try:
            yield
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("addresses", [("127.0.0.2", "127.0.0.1"), ("::1", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")])
async def test_a_name_of_which_one_address_is_dead_is_reached_by_the_other(
    addresses: tuple[str, ...], transport: Transport, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever stands first, in every new connection."""
    _named(monkeypatch, *addresses)
    async with (
        scripted(*[_CLOSING] * 4, name="several.example") as server,
        opened(transport, tls=client_tls) as ours,
    ):
        for _ in range(4):
            assert (await ours.post(server.url)).status == 200
        assert server.asked == [0, 1, 2, 3]


async def test_an_address_that_does_not_answer_costs_a_moment_not_the_request(
    transport: Transport, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next is tried beside it."""
    _named(monkeypatch, "127.0.0.3", "127.0.0.1")
    async with scripted(*[_CLOSING] * 2, name="several.example") as server, opened(transport, tls=client_tls) as ours:
        with _silent("127.0.0.3", server.port):
            for _ in range(2):
                assert (await ours.post(server.url)).status == 200


async def test_a_name_whose_addresses_are_all_dead_cannot_be_reached(
    transport: Transport, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that has none."""
    _named(monkeypatch, "127.0.0.2", "127.0.0.3")
    async with scripted(name="several.example") as server, opened(transport, tls=client_tls) as ours:
        with pytest.raises(UnreachableError) as caught:
            await ours.post(server.url)
        assert caught.value.kind == "connection"


async def test_requests_at_the_same_time_share_one_lookup(
    transport: Transport, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when one of those who wait for it is cancelled."""
    names = _named(monkeypatch, "127.0.0.1")
    async with scripted(name="several.example") as server, opened(transport, tls=client_tls) as ours:
        asking = [asyncio.create_task(ours.post(server.url)) for _ in range(20)]
        await asyncio.sleep(0)
        asking[0].cancel()
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(one).__name__ for one in told] == ["CancelledError"] + ["Response"] * 19
    # aiohttp's one lookup ends with the one who asked for it first.
    assert len(names.asked) == 1 if transport == "auto" else len(names.asked) <= 2


async def test_a_name_that_cannot_be_looked_up_is_no_end(
    transport: Transport, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request asks again."""
    names = _named(monkeypatch)
    names.answer = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    async with scripted(name="several.example") as server, opened(transport, tls=client_tls) as ours:
        with pytest.raises(UnreachableError) as caught:
            await ours.post(server.url)
        assert caught.value.kind == "connection"
        names.answer = ["127.0.0.1"]
        assert (await ours.post(server.url)).status == 200


@pytest.mark.parametrize("secured", [False, True])
async def test_an_address_of_ipv6_is_a_host_like_any_other(
    transport: Transport, client_tls: ssl.SSLContext, server_tls: ssl.SSLContext, *, secured: bool
) -> None:
    """In brackets where it stands in a URL and in a header, without them where it is connected to and verified."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        missing("this machine has no IPv6")
    async with (
        scripted(host="::1", tls=server_tls if secured else None) as server,
        opened(transport, tls=client_tls) as ours,
    ):
        assert (await ours.post(server.url)).status == 200
        assert b"Host: [::1]:%d\r\n" % server.port in server.heads[0]


@pytest.fixture
def naming(authority: trustme.CA) -> tuple[ssl.SSLContext, list[str | None]]:
    """A server's side that keeps what name it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("pendo.example", "127.0.0.1").configure_cert(context)
    named: list[str | None] = []

    def keep(_: object, name: str | None, __: object) -> None:
        named.append(name)

    context.sni_callback = keep
    return context, named


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("pendo.example", "pendo.example"),
        ("PENDO.example", None),
        ("pendo.example.", "pendo.example"),
        ("127.0.0.1", None),
    ],
)
async def test_tls_asks_for_the_host_by_its_name(
    host: str,
    named: str | None,
    naming: tuple[ssl.SSLContext, list[str | None]],
    transport: Transport,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And verifies that one, without a dot at its end; an address has no name."""
    _named(monkeypatch, "127.0.0.1")
    tls, seen = naming
    async with scripted(name=host, tls=tls) as server, opened(transport, tls=client_tls) as ours:
        assert (await ours.post(server.url)).status == 200
        assert [name and name.lower() for name in seen] == [named or (None if host[0].isdigit() else host.lower())]
        assert b".:" not in server.heads[0]


@asynccontextmanager
async def _dumb() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that accepts, and does not shake hands; gives its URL, and when its other side has gone."""
    gone = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()
        gone.set()
        writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", gone
    finally:
        server.close()


@pytest.mark.timeout(15)
async def test_a_handshake_that_does_not_end_is_a_timeout_and_leaves_nothing(
    transport: Transport, client_tls: ssl.SSLContext
) -> None:
    """Within the request's own time, not in the minute that the loop would give it."""
    async with _dumb() as (url, gone), opened(transport, tls=client_tls, timeout_s=0.3) as ours:
        with pytest.raises(UnreachableError) as caught:
            await ours.post(url)
        assert caught.value.kind == "timeout"
        await gone.wait()


async def test_a_server_without_tls_is_a_connection_error(transport: Transport, client_tls: ssl.SSLContext) -> None:
    """Nothing is sent to it."""
    async with scripted() as server, opened(transport, tls=client_tls) as ours:
        server.greeting = OK
        with pytest.raises(UnreachableError) as caught:
            await ours.post(server.url.replace("http:", "https:"))
        assert caught.value.kind == "connection"
        assert server.asked == []


async def test_a_server_that_we_cannot_tell_is_sent_nothing_and_is_left(
    transport: Transport, server_tls: ssl.SSLContext
) -> None:
    """Its certificate is of an authority that we do not know."""
    async with scripted(tls=server_tls) as server:
        async with opened(transport, tls=ssl.create_default_context()) as ours:
            for _ in range(3):
                with pytest.raises(UnreachableError) as caught:
                    await ours.post(server.url)
                assert caught.value.kind == "connection"
        assert server.asked == []
        await server.all_gone()
