"""Both transports where an answer breaks off, does not end, comes too early, or is not waited for."""

import asyncio
import ssl
from collections.abc import Awaitable

import pytest

from consumer.errors import UnreachableError
from consumer.pendo.client import Client, Target
from consumer.pendo.lean.connection import MAX_ANSWER_BYTES
from consumer.pendo.session import MAX_BODY_BYTES
from consumer.pendo.waist import Response
from tests.support.awaited import verdict_on
from tests.support.scripted import OK, Act, Endless, Script, passes, scripted
from tests.support.transports import Transport, opened

pytestmark = pytest.mark.timeout(30)

_FRAMED = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
_UNFRAMED = b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\n\r\nabc"


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, server_tls: ssl.SSLContext) -> ssl.SSLContext | None:
    """A server's side, of either scheme."""
    return server_tls if request.param == "https" else None


async def _told(asking: Awaitable[Response]) -> tuple[int, bytes] | str:
    try:
        response = await asking
    except UnreachableError as error:
        return error.kind
    return response.status, response.body


@pytest.mark.parametrize("end", [Act.CLOSE, Act.CUT, Act.RESET])
@pytest.mark.parametrize("answer", [_FRAMED, _CHUNKED])
async def test_an_answer_that_breaks_off_at_any_byte_is_none(
    answer: bytes, end: Act, transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """Nothing of it counts, and nothing else than our own error comes of it."""
    scripts: list[Script] = [(answer[:cut], end) for cut in range(len(answer) + 1)]
    async with scripted(*scripts, tls=tls) as server, opened(transport, tls=client_tls) as ours:
        told = []
        for _ in scripts:
            told.append(await _told(ours.post(server.url)))
            await passes()
        assert told == ["connection"] * len(answer) + [(200, b"abc")]
        assert server.asked == list(range(len(scripts)))


async def test_an_answer_without_a_length_ends_where_its_connection_does(
    transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """From the end of its head on; before, it is none."""
    scripts: list[Script] = [(_UNFRAMED[:cut], Act.CLOSE) for cut in range(len(_UNFRAMED) + 1)]
    async with scripted(*scripts, tls=tls) as server, opened(transport, tls=client_tls) as ours:
        told = [await _told(ours.post(server.url)) for _ in scripts]
    assert told == ["connection"] * (len(_UNFRAMED) - 3) + [(200, b"abc"[:length]) for length in range(4)]


async def test_an_endless_body_is_cut_and_its_beginning_counts(
    transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """At 64 KiB of one event's answer, at 1 MiB of the session's, which carries many ids."""
    endless = (b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", Endless(b"1000\r\n" + bytes(0x1000) + b"\r\n"))
    bound = MAX_ANSWER_BYTES if transport == "auto" else MAX_BODY_BYTES
    async with scripted(endless, tls=tls) as server, opened(transport, tls=client_tls) as ours:
        response = await ours.post(server.url)
        assert response.status == 403
        assert bound / 2 < len(response.body) < 2 * bound + 1024 * 1024
        await server.gone[0].wait()
        await ours.post(server.url)
        assert server.asked == [0, 1]


@pytest.mark.parametrize(
    ("beginning", "endless", "expected"),
    [
        # The head is there, and so its verdict.
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000, (200, b"")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 99, (200, b"")),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "connection"),
        (b"", b"\r\n" * 500, "connection"),
    ],
    ids=["chunk-extension", "trailer", "interim", "blank-lines"],
)
async def test_what_never_ends_is_ended_by_us(
    beginning: bytes, endless: bytes, expected: object, client_tls: ssl.SSLContext
) -> None:
    """At 64 KiB, whatever it is; of the session this does not hold."""
    async with scripted((beginning, Endless(endless))) as server, opened("auto", tls=client_tls) as ours:
        assert await _told(ours.post(server.url)) == expected
        await server.gone[0].wait()


async def test_an_answer_before_the_request_was_read_is_taken_and_its_connection_is_not(
    transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """A 413 comes at once; the rest of the body would stand before the next request."""
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}"
    async with scripted((answer,), tls=tls) as server, opened(transport, tls=client_tls) as ours:
        server.impatient = True
        assert await _told(ours.post(server.url, bytes(32 * 1024 * 1024))) == (413, b"{}")
        server.impatient = False
        assert await _told(ours.post(server.url)) == (200, b"ok")
        assert server.asked == [0, 1]


async def test_a_server_that_speaks_first_is_not_answered(
    transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """What it says is no answer to what we ask."""
    async with scripted(*[(Act.SILENCE,)] * 5, tls=tls) as server:
        server.greeting = b"220 mail.example.com ESMTP\r\n"
        async with opened(transport, tls=client_tls, timeout_s=0.5) as ours:
            told = [await _told(ours.post(server.url)) for _ in range(5)]
    # Where it comes before a request is sent, the session reads it as the beginning of the answer, and then waits.
    assert set(told) == {"connection"} if transport == "auto" else set(told) <= {"connection", "timeout"}


async def test_an_idle_connection_that_the_server_closes_is_not_used(
    transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """The next request goes over a new one, and is not lost."""
    idle: Script = (OK, Act.PAUSE, Act.PAUSE, Act.CLOSE)
    async with scripted(*[idle] * 5, tls=tls) as server, opened(transport, tls=client_tls) as ours:
        for _ in range(5):
            assert await _told(ours.post(server.url)) == (200, b"ok")
            for _ in range(4):
                await passes()
        assert server.asked == [0, 1, 2, 3, 4]


async def test_what_is_closed_at_any_step_of_a_request_leaves_no_connection(
    transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """While the name is looked up, while it connects, in the handshake, or later."""
    async with scripted(tls=tls) as server:
        for steps in range(1, 40):
            async with opened(transport, tls=client_tls) as ours:
                asking = asyncio.create_task(_told(ours.post(server.url)))
                for _ in range(steps):
                    await asyncio.sleep(0)
            assert await asking in ("connection", (200, b"ok"))
        await passes()
        await server.all_gone()


async def test_what_is_on_its_way_when_all_is_closed_has_no_answer(
    tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """Nor what was just connecting, nor what comes later; of the session's nobody asks, who has closed it."""
    async with scripted((Act.SILENCE,), tls=tls) as server:
        async with opened("auto", tls=client_tls) as ours:
            asking = asyncio.create_task(_told(ours.post(server.url)))
            while not server.asked:
                await asyncio.sleep(0)
            connecting = [asyncio.create_task(_told(ours.post(server.url))) for _ in range(3)]
            await asyncio.sleep(0)
        assert await asyncio.gather(asking, *connecting) == ["connection"] * 4
        assert await _told(ours.post(server.url)) == "connection"
        await passes()
        await server.all_gone()
        assert server.asked == [0]


async def test_a_key_that_changes_while_requests_are_on_their_way_changes_none_of_them(
    transport: Transport,
) -> None:
    """They end as they began; what follows has the new one, over the same connections."""
    async with scripted(*[(Act.PAUSE, OK)] * 3) as server, Client(timeout_s=10, transport=transport) as client:
        target = Target(client, f"{server.url}/old", {"X-Key": "old"})
        asking = [verdict_on(target, b"{}") for _ in range(3)]
        while len(server.asked) < 3:
            await asyncio.sleep(0)
        target.move_to(f"{server.url}/new", {"X-Key": "new"})
        assert [status for _, status in await asyncio.gather(*asking)] == [200] * 3
        assert (await verdict_on(target, b"{}"))[1] == 200
    assert [(head.split()[1], b"X-Key: old\r\n" in head) for head in server.heads] == [(b"/old", True)] * 3 + [
        (b"/new", False)
    ]
    assert server.asked[3] in server.asked[:3]


async def test_requests_at_the_same_time_get_their_own_answers(
    transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """One in three breaks, one in three ends its connection; nobody gets another's."""
    async with scripted(tls=tls) as server, opened(transport, tls=client_tls) as ours:
        server.echo = ((), (Act.CLOSE,), (Act.RESET,))
        bodies = [b"%d" % number for number in range(60)]
        told = await asyncio.gather(*(_told(ours.post(server.url, body)) for body in bodies))
        told += await asyncio.gather(*(_told(ours.post(server.url, body)) for body in bodies))
    assert [one for one, body in zip(told, bodies * 2, strict=True) if one not in {(200, body), "connection"}] == []
    assert len([one for one in told if one != "connection"]) > 60
