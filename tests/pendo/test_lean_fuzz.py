"""Answers by chance: whole ones are read the same in any segments, spoilt ones are an answer or our own error."""

import ssl
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.answers import made, pieces, played, spoilt
from consumer.errors import UnreachableError
from consumer.pendo.waist import Response
from tests.support.scripted import Act, Script, scripted
from tests.support.transports import TRANSPORTS, Opened, Transport, opened
from tests.support.wires import Wired, told

_CHANCES = st.randoms(use_true_random=False)
_BLANK = {*b"\r\n"}


async def test_a_whole_answer_is_read_the_same_in_any_segments() -> None:
    """And its connection can be used again, for another one."""

    @settings(max_examples=300)
    @given(_CHANCES)
    def holds(chance: Random) -> None:
        wired, whole = Wired(), Wired()
        for number in range(1, 4):
            answer = made(chance)
            waiter, at_once = wired.ask(), whole.ask()
            whole.answer(answer.data)
            wired.answer(*pieces(chance, answer.data))
            response = waiter.result()
            assert (response.status, response.body) == (answer.status, answer.body)
            assert response == told(at_once)
            assert wired.keeper.free == whole.keeper.free == number
        wired.end()

    holds()


async def test_a_spoilt_answer_is_an_answer_or_our_own_error_and_nothing_waits_after_the_end() -> None:
    """Whatever is done to it; another exception would end the sender."""

    @settings(max_examples=1000)
    @given(_CHANCES)
    def holds(chance: Random) -> None:
        wired, waiter = played(chance, spoilt(chance, made(chance).data))
        assert isinstance(told(waiter), Response) or told(waiter) == "connection"
        assert wired.wire.ended
        assert wired.keeper.gone

    holds()


async def test_bytes_of_any_kind_are_an_answer_or_our_own_error() -> None:
    """Though they look like none."""

    @settings(max_examples=300)
    @given(_CHANCES, st.binary(max_size=300))
    def holds(chance: Random, data: bytes) -> None:
        for one in (
            data,
            b"HTTP/1.1 200 OK\r\n" + data,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data,
        ):
            assert isinstance(told(played(chance, one)[1]), Response | str)

    holds()


async def test_a_connection_is_free_at_the_very_end_of_an_answer_or_not_at_all() -> None:
    """What is left over would be the beginning of the next; blank lines are not, which any answer may begin with."""

    @settings(max_examples=500)
    @given(_CHANCES)
    def holds(chance: Random) -> None:
        data = made(chance).data + chance.choice((b"", made(chance).data[: chance.randrange(40)], chance.randbytes(3)))
        if chance.random() < 0.5:
            data = spoilt(chance, data)
        wired = Wired()
        wired.ask()
        said = b""
        for part in pieces(chance, data):
            wired.answer(part)
            said += part
            if wired.keeper.free:
                assert set(said[_length(said) :]) <= _BLANK
                return

    holds()


def _length(said: bytes) -> int:
    """Of the answer that this begins with, told byte by byte."""
    wired = Wired()
    wired.ask()
    for count in range(len(said)):
        wired.answer(said[count : count + 1])
        if wired.keeper.free:
            return count + 1
    raise AssertionError("at once it was an answer, and byte by byte it is none")


async def _told(ours: Opened, url: str) -> tuple[int, bytes] | str:
    try:
        response = await ours.post(url)
    except UnreachableError as error:
        return error.kind
    return response.status, response.body


@pytest.mark.timeout(60)
async def test_whole_answers_are_the_same_to_both_transports_and_spoilt_ones_no_more_than_refused_by_one(
    client_tls: ssl.SSLContext,
) -> None:
    """Over real connections; where both have an answer it is the same one."""
    chance = Random(5)
    whole = [made(chance) for _ in range(100)]
    spoilt_ones = [spoilt(chance, made(chance).data) for _ in range(200)]
    heard: dict[Transport, list[tuple[int, bytes] | str]] = {}
    for transport in TRANSPORTS:
        scripts: list[Script] = [tuple(pieces(chance, answer.data)) for answer in whole]
        scripts += [(*pieces(chance, data), Act.CLOSE) for data in spoilt_ones]
        async with scripted(*scripts) as server:
            async with opened(transport, tls=client_tls) as ours:
                heard[transport] = [await _told(ours, server.url) for _ in whole]
            for _ in spoilt_ones:
                # Each for itself: aiohttp takes what one has left over for the beginning of the next.
                async with opened(transport, tls=client_tls, timeout_s=1.0) as ours:
                    heard[transport].append(await _told(ours, server.url))
    lean, session = heard["auto"], heard["session"]
    assert lean[:100] == session[:100] == [(answer.status, answer.body) for answer in whole]
    differing = [pair for pair in zip(lean, session, strict=True) if pair[0] != pair[1]]
    assert [pair for pair in differing if not {"connection", "timeout"} & {*pair}] == []
    # aiohttp has nothing of an answer where nonsense follows it in the same segment, and waits on after some of it.
    assert len(differing) < 40
