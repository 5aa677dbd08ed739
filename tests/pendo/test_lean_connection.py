"""One lean connection over a wire that is none: when an answer is one, and when a second request may follow."""

import asyncio

import pytest

from consumer.errors import UnreachableError
from consumer.pendo.lean.connection import MAX_ANSWER_BYTES, MAX_KNOWN, MAX_KNOWN_BYTES, Known
from consumer.pendo.waist import Response
from tests.support.wires import Wired, told

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
_OK = _HEAD + b"\r\n{}"


async def test_a_request_is_one_write_and_an_answer_frees_its_connection() -> None:
    """Again and again; nothing of one answer is left for the next."""
    wired = Wired()
    for number in range(3):
        waiter = wired.ask(b"POST %d" % number)
        wired.answer(_HEAD + b"Retry-After: 7\r\n\r\n{}" if number == 0 else _OK)
        response = waiter.result()
        assert (response.status, response.body, response.headers.get("Retry-After")) == (
            200,
            b"{}",
            None if number else "7",
        )
    assert wired.wire.written == [b"POST 0", b"POST 1", b"POST 2"]
    assert (wired.keeper.free, wired.keeper.gone, wired.wire.ended) == (3, 0, False)


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    """They would be taken for the answer to the next request."""
    wired = Wired()
    waiter = wired.ask()
    wired.answer(_OK, b"H")
    assert told(waiter) == Response(200, {"Content-Length": "2"}, b"{}")
    assert (wired.keeper.free, wired.keeper.gone, wired.wire.ended) == (1, 1, True)


@pytest.mark.parametrize("more", [b"H", _OK, b" ", b"\0", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_an_answer_with_something_left_over_is_taken_and_its_connection_is_not(more: bytes) -> None:
    """In the same piece; whole or not, sense or nonsense."""
    wired = Wired()
    waiter = wired.ask()
    wired.answer(_OK + more)
    assert told(waiter) == Response(200, {"Content-Length": "2"}, b"{}")
    assert (wired.keeper.free, wired.wire.ended) == (0, True)


@pytest.mark.parametrize(
    ("answer", "free"),
    [
        (_OK, 1),
        (_HEAD + b"Connection: close\r\n\r\n{}", 0),
        (_OK.replace(b"1.1", b"1.0"), 0),
        ((_HEAD + b"Connection: keep-alive\r\n\r\n{}").replace(b"1.1", b"1.0"), 1),
    ],
)
async def test_a_connection_is_used_again_only_if_http_lets_it(answer: bytes, free: int) -> None:
    """Where the server says that it ends, a request would meet its end."""
    wired = Wired()
    waiter = wired.ask()
    wired.answer(answer)
    assert told(waiter) == Response(200, {"Content-Length": "2"}, b"{}")
    assert (wired.keeper.free, wired.wire.ended) == (free, not free)


async def test_an_interim_answer_is_waited_past() -> None:
    """Its status would be a verdict, and the true answer another request's."""
    wired = Wired()
    waiter = wired.ask()
    wired.answer(b"HTTP/1.1 103 Early Hints\r\nRetry-After: 7\r\n\r\n")
    assert told(waiter) is None
    wired.answer(_OK)
    assert told(waiter) == Response(200, {"Content-Length": "2"}, b"{}")
    assert wired.keeper.free == 1


async def test_an_answer_that_ends_before_its_length_is_none_and_one_without_a_length_ends_so() -> None:
    """A 200 that is cut off is no delivery."""
    for head, expected in (
        (b"Content-Length: 3\r\n", "connection"),
        (b"Transfer-Encoding: chunked\r\n", "connection"),
        (b"", Response(200, {}, b"{}")),
    ):
        wired = Wired()
        waiter = wired.ask()
        wired.answer(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + (b"3\r\n{}" if b"chunked" in head else b"{}"))
        assert told(waiter) is None
        wired.end()
        assert told(waiter) == expected
        assert (wired.keeper.free, wired.wire.ended) == (0, True)


async def test_an_answer_before_the_request_is_written_whole_ends_the_connection() -> None:
    """The rest of the body would stand before the next request."""
    wired = Wired()
    waiter = wired.ask()
    wired.wire.unsent = 1
    wired.answer(_OK)
    assert told(waiter) == Response(200, {"Content-Length": "2"}, b"{}")
    assert (wired.keeper.free, wired.keeper.gone, wired.wire.ended) == (0, 1, True)


async def test_a_body_that_is_too_long_is_cut_and_gives_its_verdict() -> None:
    """64 KiB of it are read; a byte less is still waited for."""
    head = b"HTTP/1.1 403 Forbidden\r\nRetry-After: 7\r\nContent-Length: 1000000\r\n\r\n"
    wired = Wired()
    waiter = wired.ask()
    wired.answer(head, b"x" * (MAX_ANSWER_BYTES - len(head)))
    assert told(waiter) is None
    wired.answer(b"x")
    response = waiter.result()
    assert (response.status, response.headers["Retry-After"]) == (403, "7")
    assert response.body == b"x" * (MAX_ANSWER_BYTES - len(head) + 1)
    assert (wired.keeper.free, wired.keeper.gone, wired.wire.ended) == (0, 1, True)


async def test_a_head_that_is_too_long_is_no_answer() -> None:
    """Nor are interim answers, however many."""
    for endless in (b"X: y\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n"):
        wired = Wired()
        waiter = wired.ask()
        wired.answer(_HEAD if endless.startswith(b"X") else b"", *[endless] * (MAX_ANSWER_BYTES // len(endless) + 1))
        assert told(waiter) == "connection"
        assert (wired.keeper.free, wired.wire.ended) == (0, True)


async def test_the_bound_is_of_one_answer_not_of_one_connection() -> None:
    """Else every connection would end after 64 KiB."""
    wired = Wired()
    for _ in range(2 * MAX_ANSWER_BYTES // 30_000):
        waiter = wired.ask()
        wired.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n", bytes(30_000))
        assert told(waiter) == Response(200, {"Content-Length": "30000"}, bytes(30_000))
    assert not wired.wire.ended


async def test_the_same_bytes_are_the_same_answer_on_whichever_connection_they_come() -> None:
    """Without the parser, which goes on with what it does not know."""
    known: Known = {}
    first, second = Wired(known), Wired(known)
    asked = [wired.ask() for wired in (first, second)]
    first.answer(_OK)
    assert known == {_OK: asked[0].result()}
    second.answer(_OK)
    assert asked[1].result() is asked[0].result()
    for wired in (first, second):
        waiter = wired.ask()
        wired.answer(_HEAD + b"Retry-After: 7\r\n\r\n[]")
        assert told(waiter) == Response(200, {"Content-Length": "2", "Retry-After": "7"}, b"[]")
        assert (wired.keeper.free, wired.wire.ended) == (2, False)


async def test_an_answer_after_which_nothing_may_follow_is_so_each_time() -> None:
    """It is not remembered; nor is one that is cut, or that has something left over."""
    known: Known = {}
    for answer in (_HEAD + b"Connection: close\r\n\r\n{}", _OK + b" ", _OK + b"HTTP/1.1 200"):
        for _ in range(2):
            wired = Wired(known)
            waiter = wired.ask()
            wired.answer(answer)
            assert told(waiter) == Response(200, {"Content-Length": "2"}, b"{}")
            assert (wired.keeper.free, wired.wire.ended) == (0, True)
    assert known == {}


async def test_what_looks_like_a_known_answer_in_the_middle_of_another_is_part_of_it() -> None:
    """And an interim answer and what follows it are not remembered as one that they are not."""
    known: Known = {}
    wired = Wired(known)
    wired.ask()
    wired.answer(_OK)
    waiter = wired.ask()
    wired.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(_OK), _OK)
    assert told(waiter) == Response(404, {"Content-Length": str(len(_OK))}, _OK)
    waiter = wired.ask()
    wired.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n", _OK)
    assert told(waiter) == Response(200, {"Content-Length": "2"}, b"{}")
    assert list(known) == [_OK]


async def test_answers_are_remembered_up_to_a_bound() -> None:
    """Of a server that gives each a number of its own as of one whose answers are long."""
    known: Known = {}
    wired = Wired(known)
    for number in range(3 * MAX_KNOWN):
        wired.ask()
        wired.answer(_HEAD + b"X-Request-Id: %d\r\n\r\n{}" % number)
        assert len(known) <= MAX_KNOWN
    known.clear()
    wired.ask()
    wired.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MAX_KNOWN_BYTES + bytes(MAX_KNOWN_BYTES))
    assert (known, wired.wire.ended) == ({}, False)


async def test_too_late_is_a_timeout_and_ends_the_connection() -> None:
    """The answer may still come."""
    wired = Wired()
    waiter = wired.ask()
    wired.answer(_HEAD)
    wired.connection.give_up()
    assert told(waiter) == "timeout"
    wired.connection.data_received(b"\r\n{}")
    wired.end()
    assert (wired.keeper.free, wired.wire.ended) == (0, True)


async def test_a_reset_in_the_middle_has_no_answer_and_nothing_is_sent_again() -> None:
    """Its end is unknown, which is for the lanes to judge."""
    for said in ((), (_HEAD,), (b"HTTP/1.1 200 OK\r\n\r\nbody",)):
        wired = Wired()
        waiter = wired.ask()
        wired.answer(*said)
        wired.end(ConnectionResetError())
        with pytest.raises(UnreachableError, match=r"^ConnectionResetError$"):
            await waiter
        assert (len(wired.wire.written), wired.keeper.free, wired.keeper.gone) == (1, 0, 1)


async def test_a_connection_that_the_server_ends_while_idle_is_gone_at_once() -> None:
    """Not only when the loop has closed it: what was written between the two would be lost, and its end unknown."""
    wired = Wired()
    wired.connection.eof_received()
    assert (wired.keeper.gone, wired.wire.ended) == (1, True)
    assert told(wired.ask()) == "connection"
    assert wired.wire.written == []


async def test_what_was_on_its_way_at_the_end_has_no_answer() -> None:
    """Who closes it has no use for it."""
    wired = Wired()
    waiter = wired.ask()
    wired.connection.close()
    wired.connection.close()
    wired.end()
    assert told(waiter) == "connection"
    assert wired.wire.ended


async def test_tls_does_not_come_over_a_connection_that_ended_in_the_handshake() -> None:
    """A request would be written into nothing, and wait until its time is over."""
    wired = Wired()
    secured = Wired().wire
    wired.connection.eof_received()
    wired.connection.encrypt(secured)
    assert told(wired.ask()) == "connection"
    assert secured.written == []


async def test_a_connection_leaves_nothing_to_the_collector() -> None:
    """Parser and wire hold it, and would keep it after its end."""
    wired = Wired()
    wired.end()
    assert (wired.connection._parser, wired.connection._wire, wired.connection._transport) == (None, None, None)
    await asyncio.sleep(0)
