"""Fuzz: answers of HTTP, whole and spoilt, through a lean connection; each must end as a response or as our error.

A number of answers comes in, how each ended goes out. The same seed makes the same answers. The suite of the transports
plays some of each kind; this plays many.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

from benchmarks.figures import Figure
from consumer.pendo.waist import Response
from tests.support.wires import Wired, told

ANSWERS: Final = 50_000
_SEED: Final = 11
_MAX_KEPT: Final = 5
"""Exceptions that are shown; one is enough to begin with."""
_SPOILT: Final = 0.8
"""The share of answers whose bytes are cut, doubled or changed."""
_STATUSES: Final = (200, 200, 200, 202, 204, 304, 301, 400, 401, 403, 429, 500, 503, 799)
_BODILESS: Final = frozenset({204, 304})
_INTERIM: Final = (
    b"",
    b"",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n" * 2,
)
_LINES: Final = (
    *(b"Content-Type: application/json\r\n", b"content-type: text/html; charset=utf-8\r\n", b"Retry-After: 7\r\n"),
    *(
        b"Keep-Alive: timeout=5\r\n",
        b"Connection: keep-alive\r\n",
        b"Date: \r\n",
        b"X: a\tb\r\n",
        b"Set-Cookie: c=d\r\n",
    ),
)
_SPLINTERS: Final = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0\r\n\r\n", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n\r\n", b"\xff" * 9),
    *(
        b"Content-Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Upgrade: x\r\n",
        b"9" * 30,
    ),
    *(
        b"Transfer-Encoding: identity\r\n",
        b"Connection: upgrade\r\n",
        b"HTTP/1.1 101 S\r\n\r\n",
        b"ffffffffffffffff\r\n",
    ),
)


class Made(NamedTuple):
    """An answer.

    Attributes:
        data: Its bytes.
        status: What it says.
        body: What it carries.
    """

    data: bytes
    status: int
    body: bytes


def made(chance: Random) -> Made:
    """An answer that is one, and after which a connection can be used again."""
    status = chance.choice(_STATUSES)
    body = b"" if status in _BODILESS else chance.randbytes(chance.choice((0, 1, 2, 30, 300)))
    lines = chance.sample(_LINES, chance.randrange(4))
    head = b"%bHTTP/1.1 %d So\r\n%b" % (chance.choice(_INTERIM), status, b"".join(lines))
    if status in _BODILESS:
        return Made(head + b"\r\n", status, body)
    if chance.random() < 0.5:
        return Made(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body), status, body)
    return Made(head + b"Transfer-Encoding: chunked\r\n\r\n" + _chunked(chance, body), status, body)


def _chunked(chance: Random, body: bytes) -> bytes:
    chunks = b"".join(
        b"%x%b\r\n%b\r\n" % (len(part), _extension(chance), part) for part in pieces(chance, body) if part
    )
    return chunks + b"0%b\r\n%b\r\n" % (_extension(chance), chance.choice((b"", b"", b"Retry-After: 9\r\nX: y\r\n")))


def _extension(chance: Random) -> bytes:
    return chance.choice((b"", b"", b";a=b"))


def spoilt(chance: Random, data: bytes) -> bytes:
    """Cut, doubled or changed, in one place or in three."""
    for _ in range(chance.choice((1, 1, 3))):
        begin = chance.randrange(len(data) + 1)
        end = min(len(data), begin + chance.choice((0, 1, 1, 5, 50)))
        middle = chance.choice((b"", chance.randbytes(1), chance.choice(_SPLINTERS), data[begin:end] * 2))
        data = data[:begin] + middle + data[chance.choice((end, end, len(data))) :]
    return data


def pieces(chance: Random, data: bytes) -> list[bytes]:
    """The same in segments, of which none is empty, the whole or each byte among them."""
    parts = []
    size = chance.choice((1, 3, 20, 100, len(data) or 1))
    while data:
        cut = chance.randint(1, size)
        parts.append(data[:cut])
        data = data[cut:]
    return parts


def played(chance: Random, data: bytes) -> tuple[Wired, "asyncio.Future[Response]"]:
    """A connection on which a request got that for an answer, and then an end."""
    wired = Wired()
    waiter = wired.ask()
    wired.answer(*pieces(chance, data))
    wired.end(chance.choice((None, ConnectionResetError())))
    return wired, waiter


@dataclass(slots=True)
class Fuzz:
    """How answers ended.

    Attributes:
        answers: How many there were.
        ends: By what came of them.
        exceptions: How many raised what is not ours, or ended as nothing.
        shown: The first of those.
    """

    answers: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    exceptions: int = 0
    shown: list[str] = field(default_factory=list)


async def run(answers: int, say: Callable[[str], None]) -> Fuzz:
    """Play so many."""
    say(f"fuzz: {answers:,} answers")
    chance = Random(_SEED)  # noqa: S311 - a seed, not secrecy
    found = Fuzz(answers)
    for _ in range(answers):
        data = made(chance).data
        if chance.random() < _SPOILT:
            data = spoilt(chance, data)
        try:
            found.ends[_end(chance, data)] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            found.exceptions += 1
            if len(found.shown) < _MAX_KEPT:
                found.shown.append(f"{type(error).__name__}: {error}: {data[:500]!r}")
    return found


def _end(chance: Random, data: bytes) -> str:
    _, waiter = played(chance, data)
    end = told(waiter)
    if end is None:
        raise TimeoutError("neither an answer nor an error, though the connection has ended")
    return "answer" if isinstance(end, Response) else end


def figures(found: Fuzz) -> list[Figure]:
    """As a line of the results."""
    return [
        Figure(
            what="fuzzed answers: exceptions; each is a response or no answer",
            case=f"{found.answers:,} answers of HTTP, {_SPOILT:.0%} of them spoilt, through the lean transport",
            aim="0",
            value=f"{found.exceptions:,}",
            met=not found.exceptions,
            note="; ".join(found.shown) or f"{found.ends['answer']:,} responses, {found.ends['connection']:,} without",
        )
    ]
