"""Answers of every kind, and what either transport must make of them."""

import gzip
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.support.scripted import Act, Endless, Script

PAUSE: Final = Act.PAUSE
H11: Final = b"HTTP/1.1 200 OK\r\n"
TWO: Final = b"Content-Length: 2\r\n\r\n{}"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n\r\n"
PACKED: Final = gzip.compress(b"{}")


@dataclass(frozen=True)
class Case:
    """An answer, and what becomes of it.

    Attributes:
        name: Of the test.
        script: What the server does.
        status: None when there is no answer.
        body: What came.
        headers: Of those that are kept.
        reused: Whether the next request goes over the same connection; None where the next one may go wrong.
        error: What kind of error it is when there is no answer.
        session: What is otherwise for the session, by the names above.
        why: The reason for that.
    """

    name: str
    script: Script
    status: int | None = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    reused: bool | None = True
    error: Literal["timeout", "connection"] = "connection"
    session: dict[str, Any] = field(default_factory=dict)
    why: str = ""


def _no(name: str, *script: bytes | Act | Endless, **otherwise: Any) -> Case:
    """Not an answer."""
    return Case(name, script, status=None, body=b"", reused=False, **otherwise)


def _last(name: str, *script: bytes | Act | Endless, **otherwise: Any) -> Case:
    """An answer that ends its connection."""
    return Case(name, script, reused=False, **otherwise)


_KEPT_ON: Final[dict[str, Any]] = {
    "session": {"reused": True},
    "why": "aiohttp knows no Keep-Alive, and takes a 101 that offers nothing for an answer like any other",
}
_LEFT_OVER: Final[dict[str, Any]] = {
    "session": {"reused": None},
    "why": "aiohttp takes what it has not asked for as the beginning of its next answer",
}
_TOO_MUCH: Final[dict[str, Any]] = {
    "session": {"status": None},
    "why": "aiohttp parses on, and does not get what came whole before what is wrong",
}
_UNFRAMED: Final[dict[str, Any]] = {
    "status": None,
    "session": {"status": 200},
    "why": "an encoding that says where a body ends ends it; the lean transport knows chunks alone",
}

CASES: Final = (
    Case("length", (H11 + TWO,)),
    Case("no-body", (H11 + b"Content-Length: 0\r\n\r\n",), body=b""),
    Case("in-two-parts", (H11 + b"Content-Le", PAUSE, b"ngth: 2\r\n\r\n{", PAUSE, b"}")),
    Case("a-byte-a-segment", tuple(step for byte in H11 + TWO for step in (bytes([byte]), PAUSE))),
    Case("chunks", (H11 + CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",)),
    Case("chunks-in-parts", (H11 + CHUNKED + b"1\r\n{\r", PAUSE, b"\n1\r\n}\r\n0", PAUSE, b"\r\n\r", PAUSE, b"\n")),
    Case("chunk-extension", (H11 + CHUNKED + b"2;a=b\r\n{}\r\n0;c\r\n\r\n",)),
    Case("space-after-chunk-size", (H11 + CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",)),
    Case("trailer", (H11 + CHUNKED + b"2\r\n{}\r\n0\r\nRetry-After: 7\r\nX: y\r\n\r\n",)),
    Case(
        "headers",
        (H11 + b"CONTENT-TYPE: a/b\r\nretry-AFTER:  7 \r\nSet-Cookie: c\r\n" + TWO,),
        headers={"Content-Type": "a/b", "Retry-After": "7"},
    ),
    Case("first-of-two", (H11 + b"Retry-After: 7\r\nRetry-After: 9\r\n" + TWO,), headers={"Retry-After": "7"}),
    Case("folded", (H11 + b"Retry-After:\r\n 7\r\n" + TWO,), headers={"Retry-After": "7"}),
    Case("latin-header", (H11 + b"X: \xff\x01\r\n" + TWO,)),
    Case("bare-line-feeds", (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",)),
    Case("no-reason", (b"HTTP/1.1 200\r\n" + TWO,)),
    Case("odd-status", (b"HTTP/1.1 799 Odd\r\n" + TWO,), status=799),
    Case("upgrade-offered", (H11 + b"Upgrade: h2\r\nConnection: Upgrade, Keep-Alive\r\n" + TWO,)),
    Case("blank-lines-first", (b"\r\n\r\n" + H11 + TWO,)),
    # How a connection ends, or not
    _last("close", H11 + b"Connection: close\r\n" + TWO),
    _last("close-and-closed", H11 + b"Connection: close\r\n" + TWO, Act.CLOSE),
    _last("closed-after", H11 + TWO, Act.CLOSE),
    _last("reset-after", H11 + TWO, Act.RESET),
    _last("old", b"HTTP/1.0 200 OK\r\n" + TWO),
    Case("old-kept-alive", (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + TWO,)),
    _last("keep-alive-0", H11 + b"Keep-Alive: timeout=0\r\n" + TWO, **_KEPT_ON),
    _last("keep-alive-1", H11 + b"Keep-Alive: timeout=1\r\n" + TWO, **_KEPT_ON),
    Case("keep-alive-5", (H11 + b"Keep-Alive: timeout=5, max=9\r\n" + TWO,)),
    Case("keep-alive-garbage", (H11 + b"Keep-Alive: timeout=\xb2, for ever\r\n" + TWO,)),
    _last("until-the-end", H11 + b"\r\n{", PAUSE, b"}", Act.CLOSE),
    _last("until-the-end-kept-alive", H11 + b"Connection: keep-alive\r\n\r\n{}", Act.CLOSE),
    _last("identity-until-the-end", H11 + b"Transfer-Encoding: identity\r\n\r\n{}", Act.CLOSE),
    _last("old-until-the-end", b"HTTP/1.0 200 OK\r\n\r\n{}", Act.CLOSE),
    _last("nothing-until-the-end", H11 + b"\r\n", Act.CLOSE, body=b""),
    _last("encoded-until-the-end", H11 + b"Transfer-Encoding: gzip\r\n\r\n{}", Act.CLOSE, **_UNFRAMED),
    # Those that have no body
    Case("no-content", (b"HTTP/1.1 204 No Content\r\n\r\n",), status=204, body=b""),
    Case("not-modified", (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",), status=304, body=b""),
    _last("no-content-with-a-body", b"HTTP/1.1 204 No Content\r\n" + TWO, status=204, body=b"", **_TOO_MUCH),
    # Interim answers
    Case("continue", (b"HTTP/1.1 100 Continue\r\n\r\n", PAUSE, H11 + TWO)),
    Case("hints", (b"HTTP/1.1 103 Early Hints\r\nRetry-After: 7\r\n\r\n" * 3 + H11 + TWO,)),
    _no("continue-and-no-more", b"HTTP/1.1 100 Continue\r\n\r\n", Act.CLOSE),
    _last("switching", b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", status=101, body=b""),
    _last("switching-to-nothing", b"HTTP/1.1 101 S\r\n\r\n", status=101, body=b"", **_KEPT_ON),
    # Too much
    _last("two-answers", (H11 + TWO) * 2),
    _last("more-than-its-length", H11 + TWO + b"}", **_TOO_MUCH),
    _last("more-later", H11 + TWO, PAUSE, b"}"),
    _last("another-answer-later", H11 + TWO, PAUSE, H11 + TWO, **_LEFT_OVER),
    _last("more-after-chunks", H11 + CHUNKED + b"2\r\n{}\r\n0\r\n\r\nHTTP", **_LEFT_OVER),
    # Not answers
    _no("nothing", Act.CLOSE),
    _no("reset", Act.RESET),
    _no("silence", Act.SILENCE, error="timeout"),
    _no("half-and-silence", H11 + b"Content-Length: 3\r\n\r\n{}", Act.SILENCE, error="timeout"),
    _no("less-than-its-length", H11 + b"Content-Length: 3\r\n\r\n{}", Act.CLOSE),
    _no("less-than-its-chunks", H11 + CHUNKED + b"2\r\n{}\r\n", Act.CLOSE),
    _no("cut", H11 + b"Content-Length: 3\r\n\r\n{}", Act.CUT),
    _no("head-cut", H11 + b"Content-Length: 2\r\n", Act.CLOSE),
    _no("garbage", b"220 mail.example.com ESMTP\r\n\r\n"),
    _no("http-2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"),
    _no("a-request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    _no("length-and-chunks", H11 + b"Content-Length: 2\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"),
    _no("chunks-and-length", H11 + b"Transfer-Encoding: chunked\r\n" + TWO),
    _no("two-lengths", H11 + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    _no("no-length", H11 + b"Content-Length: two\r\n\r\n{}"),
    _no("negative-length", H11 + b"Content-Length: -2\r\n\r\n{}"),
    _no("huge-length", H11 + b"Content-Length: 18446744073709551616\r\n\r\n{}"),
    _no("no-chunk", H11 + CHUNKED + b"two\r\n{}\r\n"),
    _no("endless-head", H11, Endless(b"X-Filler: " + b"x" * 1000 + b"\r\n")),
    _no("endless-header", H11 + b"X: ", Endless(b"x" * 1000)),
    # Not what was asked for
    Case(
        "gzip",
        (H11 + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,),
        body=PACKED,
        session={"body": b"{}"},
        why="the lean transport asks for identity, and unpacks nothing",
    ),
)
