"""The client against real servers: every answer, no answer, TLS, proxies; the key stays out of every text."""

import asyncio
import gzip
import os
import socket
import ssl
import struct
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from aiohttp import web
from yarl import URL

from consumer.errors import ConfigError, UnreachableError
from consumer.pendo.client import Client, Target
from consumer.pendo.session import MAX_BODY_BYTES
from consumer.pendo.verdicts import (
    MAX_RETRY_AFTER_S,
    Accepted,
    Later,
    Locked,
    OptedOut,
    Refused,
    Stall,
    Verdict,
    verdict_of,
)
from consumer.pendo.waist import Response
from consumer.sandbox.children import free_port
from consumer.sandbox.simulator import Simulator
from tests.support.awaited import response_to, verdict_on

KEY = "a-secret-key"
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.timeout(15)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxy is none of a test's business."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@asynccontextmanager
async def serving(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A real HTTP server; gives its base URL."""
    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """A TCP server that says what it likes after the request's head; gives its base URL."""
    talks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await reader.readuntil(b"\r\n\r\n")
                await talk(reader, writer)
        finally:
            await _close(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


Transport = Literal["auto", "session"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("auto", "session")


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Each of them: what follows holds for both."""
    return cast("Transport", request.param)


async def post(
    base: str,
    *,
    transport: Transport = "auto",
    timeout_s: float = 5.0,
    ca_file: str | None = None,
    proxy: str | None = None,
) -> Verdict:
    """One request by a client of its own."""
    async with Client(timeout_s=timeout_s, ca_file=ca_file, proxy=proxy, transport=transport) as client:
        channel = client.channel(URL(f"{base}/data/segmentio/{KEY}", encoded=True), {})
        return verdict_of(*await response_to(partial(channel.post, b"{}")))


def told(verdict: Verdict) -> tuple[object, ...]:
    """A verdict as a value that compares."""
    match verdict:
        case Accepted() | OptedOut():
            return (type(verdict),)
        case Refused():
            return (Refused, verdict.message)
        case Later():
            return (Later, verdict.after_s, verdict.throttled)
        case Locked():
            return (Locked, verdict.stall)


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {}, "", (Accepted,)),
        (202, {}, "{}", (Accepted,)),
        (204, {}, "", (Accepted,)),
        (200, {"Content-Type": "text/html"}, "hello", (Locked, Stall.ENDPOINT)),
        (200, {"Content-Type": "text/plain"}, " <!DOCTYPE html>", (Locked, Stall.ENDPOINT)),
        (301, {"Location": "/elsewhere"}, "", (Locked, Stall.ENDPOINT)),
        (400, {}, "bad", (Refused, "Pendo answered 400")),
        (401, {}, "", (Locked, Stall.CREDENTIALS)),
        (403, {}, "", (Locked, Stall.CREDENTIALS)),
        (403, {"Retry-After": "3"}, '{"reason": "rateLimitExceeded"}', (Later, 3.0, True)),
        (404, {}, "", (Locked, Stall.ENDPOINT)),
        (405, {}, "", (Locked, Stall.ENDPOINT)),
        (413, {}, "", (Refused, "Pendo answered 413")),
        (429, {"Retry-After": "7"}, "", (Later, 7.0, True)),
        (451, {}, "", (OptedOut,)),
        (500, {}, "", (Later, None, False)),
        (503, {"Retry-After": "5"}, "", (Later, 5.0, False)),
    ],
)
async def test_an_answer_becomes_its_verdict_and_its_status(
    status: int, headers: dict[str, str], body: str, expected: tuple[object, ...], transport: Transport
) -> None:
    """Over a real connection; the table itself is tested beside the verdicts."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers=headers, body=body.encode())

    async with serving(answer) as base, Client(timeout_s=5, transport=transport) as client:
        verdict, seen = await verdict_on(Target(client, f"{base}/", {}), b"{}")
    assert (told(verdict), seen) == (expected, status)


async def test_answers_in_turn_are_judged_each_for_itself(transport: Transport) -> None:
    """A target knows the answer that accepted the last request again, and takes no other for it."""
    answers = [(200, "{}"), (200, "{}"), (200, "<html>"), (200, "{}"), (503, "{}"), (201, "{}"), (201, "{}")]
    left = iter(answers)

    async def answer(_: web.BaseRequest) -> web.Response:
        status, body = next(left)
        return web.Response(status=status, body=body.encode())

    async with serving(answer) as base, Client(timeout_s=5, transport=transport) as client:
        target = Target(client, f"{base}/", {})
        seen = [await verdict_on(target, b"{}") for _ in answers]
    assert [status for _, status in seen] == [status for status, _ in answers]
    kinds = [Accepted, Accepted, Locked, Accepted, Later, Accepted, Accepted]
    assert [type(verdict) for verdict, _ in seen] == kinds


async def test_what_an_answer_asks_for_until_some_time_gets_shorter_with_it() -> None:
    """One response stands for all answers that are alike: its `Retry-After` may be a date."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    async with Client(timeout_s=5) as client:
        target, response = Target(client, "http://127.0.0.1/", {}), Response(503, {"Retry-After": until}, b"")
        first, _ = target.judge(response)
        second, _ = target.judge(response)
    assert isinstance(first, Later)
    assert isinstance(second, Later)
    assert first.after_s is not None
    assert second.after_s is not None
    assert first.after_s > second.after_s


async def test_a_request_arrives_as_it_was_given(transport: Transport) -> None:
    """Method, path with its escapes, headers, body."""
    seen: list[object] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.extend((request.method, request.raw_path, request.headers["Content-Type"], await request.read()))
        return web.Response()

    async with serving(answer) as base, Client(timeout_s=5, transport=transport) as client:
        target = Target(client, f"{base}/data/segmentio/a%2Fb", {"Content-Type": "application/json"})
        verdict, status = await verdict_on(target, b'{"a":1}')
    assert seen == ["POST", "/data/segmentio/a%2Fb", "application/json", b'{"a":1}']
    assert (told(verdict), status) == ((Accepted,), 200)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int, transport: Transport) -> None:
    """It would turn the POST into a GET, whose 200 would look like a delivery."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        if request.path == "/target":
            return web.Response()
        return web.Response(status=status, headers={"Location": "/target"})

    async with serving(answer) as base, Client(timeout_s=5, transport=transport) as client:
        assert told((await verdict_on(Target(client, f"{base}/", {}), b"{}"))[0]) == (Locked, Stall.ENDPOINT)
        assert await client.get(URL(f"{base}/"), {}) == (status, b"")
    assert asked == ["/", "/"]


async def test_an_endless_body_ends_and_its_connection_is_closed() -> None:
    """What we need stands at the beginning; the rest would fill the memory."""
    closed = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await writer.drain()
        except OSError:
            closed.set()

    async with talking(talk) as base, Client(timeout_s=10) as client:
        _, body = await client.get(URL(f"{base}/"), {})
        await asyncio.wait_for(closed.wait(), 5)
    assert MAX_BODY_BYTES < len(body) < 2 * MAX_BODY_BYTES


async def test_a_small_body_that_unpacks_to_a_huge_one_is_bounded_too() -> None:
    """Its length is that of the compressed bytes."""
    packed = gzip.compress(bytes(64 * MAX_BODY_BYTES))

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with serving(answer) as base, Client(timeout_s=10) as client:
        _, body = await client.get(URL(f"{base}/"), {})
    assert len(packed) < MAX_BODY_BYTES < len(body) < 4 * MAX_BODY_BYTES


async def test_a_connection_is_used_again_whatever_was_answered(transport: Transport) -> None:
    """Since every body is read to its end."""
    peers = set()

    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(status=400, body=bytes(60_000))

    async with serving(answer) as base, Client(timeout_s=5, transport=transport) as client:
        for _ in range(3):
            await verdict_on(Target(client, f"{base}/", {}), b"{}")
    assert len(peers) == 1


async def test_no_limit_in_the_client_holds_back_what_the_gate_let_pass(transport: Transport) -> None:
    """A wait in here would only be taken from the request's own time; aiohttp's usual limit is 100."""
    arrived = 0
    all_there = asyncio.Event()

    async def answer(_: web.BaseRequest) -> web.Response:
        nonlocal arrived
        arrived += 1
        if arrived == 128:
            all_there.set()
        await all_there.wait()
        return web.Response()

    async with serving(answer) as base, Client(timeout_s=5, transport=transport) as client:
        answers = await asyncio.gather(*(verdict_on(Target(client, f"{base}/", {}), b"{}") for _ in range(128)))
    assert {status for _, status in answers} == {200}


async def test_cookies_are_not_kept(transport: Transport) -> None:
    """Requests do not depend on each other."""
    cookies: list[str | None] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with serving(answer) as base, Client(timeout_s=5, transport=transport) as client:
        for _ in range(2):
            await verdict_on(Target(client, base.replace("127.0.0.1", "localhost"), {}), b"{}")
    assert cookies == [None, None]


@pytest.mark.parametrize(
    "retry_after",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "9" * 400, "soon", "-1", "0"],
)
async def test_a_retry_after_that_makes_no_sense_is_no_error(retry_after: str, transport: Transport) -> None:
    """Whatever a server writes there, the event is tried again; an exception would end the sender."""

    async def busy(_: web.BaseRequest) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": retry_after})

    async with serving(busy) as base:
        verdict = await post(base, transport=transport)
    assert isinstance(verdict, Later)
    assert verdict.after_s in {None, MAX_RETRY_AFTER_S}


async def _silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await asyncio.sleep(60)


async def _hang_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Close without an answer."""


async def _cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n\r\n")


@pytest.mark.parametrize("talk", [_silence, _half])
async def test_no_answer_in_time_is_a_timeout(talk: Talk, transport: Transport) -> None:
    """Before the answer, or in the middle of it."""
    async with talking(talk) as base:
        with pytest.raises(UnreachableError) as caught:
            await post(base, transport=transport, timeout_s=0.3)
    assert caught.value.kind == "timeout"
    assert_no_key_in(caught.value)


@pytest.mark.parametrize("talk", [_hang_up, _cut, _reset, _garbage])
async def test_a_broken_answer_is_a_connection_error(talk: Talk, transport: Transport) -> None:
    """A 200 whose body is cut off is no delivery: its end is unknown."""
    async with talking(talk) as base:
        with pytest.raises(UnreachableError) as caught:
            await post(base, transport=transport)
    assert caught.value.kind == "connection"
    assert_no_key_in(caught.value)


@pytest.mark.parametrize("base", ["http://127.0.0.1:{port}", "http://no-such-host.invalid", "http://a..b"])
async def test_a_host_that_cannot_be_reached_is_a_connection_error(base: str, transport: Transport) -> None:
    """Nobody listens, no such name, no possible name."""
    with pytest.raises(UnreachableError) as caught:
        await post(base.format(port=free_port()), transport=transport)
    assert caught.value.kind == "connection"
    assert_no_key_in(caught.value)


@pytest.mark.parametrize("error", [RuntimeError(KEY), AssertionError(KEY), LookupError(KEY)])
async def test_whatever_aiohttp_raises_is_no_answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unforeseen, it would be told to nobody, and its lane stand for ever; its class is all that is told of it."""

    async def request(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(aiohttp.ClientSession, "request", request)
    with pytest.raises(UnreachableError, match=rf"^{type(error).__name__}$") as caught:
        await post("http://127.0.0.1:1", transport="session")
    assert caught.value.kind == "connection"
    assert_no_key_in(caught.value)


async def test_a_get_that_fails_is_told_like_a_post() -> None:
    """`check --connect` asks with it."""
    async with Client(timeout_s=0.3) as client:
        with pytest.raises(UnreachableError) as caught:
            await client.get(URL(f"http://127.0.0.1:{free_port()}/{KEY}"), {})
        assert caught.value.kind == "connection"
        async with talking(_silence) as base:
            with pytest.raises(UnreachableError) as caught:
                await client.get(URL(f"{base}/{KEY}"), {})
        assert caught.value.kind == "timeout"


def assert_no_key_in(error: BaseException) -> None:
    """Neither in the error nor in what a traceback would show of its causes."""
    assert KEY not in "".join(traceback.format_exception(error)).replace(f'"{KEY}"', "")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private CA."""
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side, with a certificate of the private CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """The private CA as a file."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


async def _ok(_: web.BaseRequest) -> web.Response:
    return web.Response()


async def test_a_private_ca_is_trusted_when_it_is_named_and_only_then(
    tls: ssl.SSLContext, ca_file: str, transport: Transport
) -> None:
    """Without it the handshake fails: nothing is sent to a server that we cannot tell."""
    async with serving(_ok, tls) as base:
        assert told(await post(base, transport=transport, ca_file=ca_file)) == (Accepted,)
        with pytest.raises(UnreachableError) as caught:
            await post(base, transport=transport)
    assert caught.value.kind == "connection"
    assert_no_key_in(caught.value)


async def test_a_certificate_for_another_host_is_refused(
    authority: trustme.CA, ca_file: str, tls: ssl.SSLContext, transport: Transport
) -> None:
    """Even one that the right CA signed."""
    authority.issue_cert("pendo.example").configure_cert(tls)
    async with serving(_ok, tls) as base:
        with pytest.raises(UnreachableError):
            await post(base, transport=transport, ca_file=ca_file)


@pytest.mark.parametrize("content", ["", "no certificate", None])
def test_a_ca_file_that_is_none_is_a_configuration_error(tmp_path: Path, content: str | None) -> None:
    """At the start, by the key's name, not at the first request."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"pendo\.ca_file: .*ca\.pem"):
        Client(timeout_s=1, ca_file=str(path))


class ForwardProxy:
    """A forward proxy: tunnels by CONNECT, absolute URLs for plain HTTP; it keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.address = ""
        self._tunnels: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ForwardProxy"]:
        """Listen."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, rest = head.split(b" ", 2)
        self.asked.append(f"{method.decode()} {target.decode()}")
        if method == b"CONNECT":
            host, _, port = target.decode().partition(":")
            onward, out = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            url = urlsplit(target.decode())
            onward, out = await asyncio.open_connection(url.hostname, url.port)
            out.write(b" ".join((method, url.path.encode(), rest)))
        tunnel = [asyncio.create_task(_pipe(reader, out)), asyncio.create_task(_pipe(onward, writer))]
        self._tunnels += tunnel
        await asyncio.wait(tunnel)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    await _close(writer)


@pytest.fixture
async def proxy() -> AsyncIterator[ForwardProxy]:
    """A running forward proxy."""
    async with ForwardProxy().running() as running:
        yield running


async def test_a_configured_proxy_is_used_for_plain_http_and_for_tls(
    proxy: ForwardProxy, tls: ssl.SSLContext, ca_file: str, transport: Transport
) -> None:
    """TLS goes through a tunnel, so the proxy does not see the key."""
    async with serving(_ok) as plain, serving(_ok, tls) as secure:
        assert told(await post(plain, transport=transport, proxy=f"http://{proxy.address}")) == (Accepted,)
        assert told(await post(secure, transport=transport, proxy=f"http://{proxy.address}", ca_file=ca_file)) == (
            Accepted,
        )
    assert proxy.asked == [f"POST {plain}/data/segmentio/{KEY}", f"CONNECT {secure.removeprefix('https://')}"]


async def test_a_configured_proxy_goes_before_the_environment(
    proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither another proxy nor an exception from it counts."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with serving(_ok) as base:
        await post(base, proxy=f"http://{proxy.address}")
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_the_environment_names_a_proxy_by_the_scheme_of_the_url(
    proxy: ForwardProxy,
    tls: ssl.SSLContext,
    ca_file: str,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    transport: Transport,
) -> None:
    """As everywhere; a proxy may be named by host and port alone."""
    async with serving(_ok) as plain, serving(_ok, tls) as secure:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}{proxy.address}")
        assert told(await post(plain, transport=transport)) == (Accepted,)
        assert proxy.asked == []
        assert told(await post(secure, transport=transport, ca_file=ca_file)) == (Accepted,)
        monkeypatch.setenv("HTTP_PROXY", f"{scheme}{proxy.address}")
        assert told(await post(plain, transport=transport)) == (Accepted,)
    assert [asked.split()[0] for asked in proxy.asked] == ["CONNECT", "POST"]


async def test_no_proxy_makes_an_exception_for_a_host_or_for_one_of_its_ports(
    proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    """Another host, or another port of it, goes through the proxy."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    async with serving(_ok) as base, serving(_ok) as other:
        for exception in ("elsewhere.example,127.0.0.1", f"elsewhere.example,{URL(base).authority}", "*"):
            monkeypatch.setenv("NO_PROXY", exception)
            assert told(await post(base, transport=transport)) == (Accepted,)
        assert proxy.asked == []
        monkeypatch.setenv("NO_PROXY", f"elsewhere.example,{URL(base).authority}")
        await post(other, transport=transport)
        assert len(proxy.asked) == 1


async def test_a_proxy_that_is_away_or_refuses_is_a_connection_error(
    tls: ssl.SSLContext, ca_file: str, transport: Transport
) -> None:
    """It is not Pendo that refuses: the event is tried again."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with serving(_ok, tls) as base, talking(refuse) as refusing:
        for proxy in (f"http://127.0.0.1:{free_port()}", refusing):
            with pytest.raises(UnreachableError) as caught:
                await post(base, transport=transport, ca_file=ca_file, proxy=proxy)
            assert caught.value.kind == "connection"
            assert_no_key_in(caught.value)


async def test_a_changed_key_is_used_from_the_next_request_on(transport: Transport) -> None:
    """Without a new session, while others may be on their way."""
    body = b'{"type":"track","event":"e","userId":"u","messageId":"m","timestamp":"2026-01-01T00:00:00Z"}'
    async with Simulator(api_key="new") as pendo, Client(timeout_s=5, transport=transport) as client:
        target = Target(client, f"{pendo.url}/data/segmentio/old", {"Content-Type": "application/json"})
        assert told((await verdict_on(target, body))[0]) == (Locked, Stall.CREDENTIALS)
        target.move_to(f"{pendo.url}/data/segmentio/new", {"Content-Type": "application/json"})
        assert told((await verdict_on(target, body))[0]) == (Accepted,)
