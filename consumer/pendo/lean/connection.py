"""One connection to a server: at most one request on its way, and the answer to it.

Bytes come in as the loop has them, a `Response` goes out to who waits for it, or an `UnreachableError`. What makes an
answer whole is decided here; when it took too long, and who gets the connection next, is for the `pool`.
"""

import asyncio
from collections.abc import Mapping
from math import inf
from typing import Final, Literal, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from consumer.errors import UnreachableError
from consumer.pendo.waist import OnEnd, Response

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Of one answer, its head and framing included; verdicts need its beginning, the rest would only fill the memory."""
MAX_KNOWN: Final = 64
MAX_KNOWN_BYTES: Final = 1024
Known = dict[bytes, Response]
"""Answers, by their bytes. Most are alike: those of one second have the same date."""
_CONTENT_LENGTH: Final = "Content-Length"
_TRANSFER_ENCODING: Final = "Transfer-Encoding"
KEEP_ALIVE: Final = "Keep-Alive"
_KEPT: Final[Mapping[bytes, str]] = {
    name.lower().encode(): name
    for name in ("Content-Type", "Retry-After", _CONTENT_LENGTH, _TRANSFER_ENCODING, KEEP_ALIVE)
}
"""What verdicts ask for, what tells where a body ends, and for how long the server keeps a connection."""
_IDENTITY: Final = "identity"
_INTERIM: Final = frozenset(range(100, 200)) - {101}
"""An answer follows them; what follows a 101 is no HTTP."""


class Keeper(Protocol):
    """Who has connections."""

    def on_free(self, connection: "Connection", headers: Mapping[str, str]) -> None:
        """The answer was read whole, and another request may follow it."""

    def on_gone(self, connection: "Connection") -> None:
        """Nothing can be sent on it any more."""


class Connection(asyncio.Protocol):
    """One connection.

    Attributes:
        renew_at: When it is to be let go of between two requests; seconds of the loop's clock.
        due: When what is on its way is too late, or it has stood idle for long enough; seconds of the loop's clock.
    """

    __slots__ = (
        "_body",
        "_head_complete",
        "_headers",
        "_keeper",
        "_known",
        "_on_end",
        "_parser",
        "_received",
        "_response",
        "_reusable",
        "_transport",
        "_wire",
        "due",
        "renew_at",
    )

    def __init__(self, keeper: Keeper, renew_at: float, known: Known) -> None:
        self.renew_at = renew_at
        self.due = inf
        self._keeper = keeper
        self._known = known
        self._transport: asyncio.Transport | None = None
        # Below TLS, whose transport does not count what the socket has not taken yet.
        self._wire: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # As lenient as aiohttp is.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._on_end: OnEnd | None = None
        self._received = 0
        self._headers: dict[str, str] = {}
        self._body = b""
        self._head_complete = False
        self._reusable = False
        self._response: Response | None = None

    def ask(self, request: bytes, deadline: float, on_end: OnEnd) -> None:
        """Send a request, and tell what it ends with; nothing else may be on its way."""
        self.due = deadline
        self._on_end = on_end
        if self._transport is None:
            self._fail("connection", "closed before the request was sent")
        else:
            self._transport.write(request)

    def give_up(self) -> None:
        """It is due; an answer that did not come in time may still come: nothing else may be sent here."""
        self._fail("timeout", "no answer in time")

    def close(self) -> None:
        """End it, at once: over TLS another way would wait for the server; what is on its way has no answer."""
        self._fail("connection", "closed")

    def _abort(self) -> None:
        self._on_end = None
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()
        self._keeper.on_gone(self)

    def _fail(self, kind: Literal["timeout", "connection"], why: str) -> None:
        on_end = self._on_end
        self._abort()
        if on_end is not None:
            on_end(UnreachableError(kind, why))

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected."""
        self._transport = self._wire = cast("asyncio.Transport", transport)

    def encrypt(self, transport: asyncio.Transport) -> None:
        """The handshake is done: from now on all goes over this, unless it has ended since."""
        if self._transport is not None:
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended: where an answer says no length, that is how its body ends."""
        if exc is None and self._on_end is not None and self._head_complete and not self._framed:
            self._reusable = False
            self._finish(Response(self._parsed.get_status_code(), self._headers, self._body))
        else:
            self._fail("connection", "closed before the answer was whole" if exc is None else exc.__class__.__name__)
        # The parser holds our methods, and TLS holds the wire.
        self._parser = self._wire = None

    def eof_received(self) -> None:
        """The server ends it: nothing may be sent here between that and the loop's word that it is lost."""
        if self._on_end is None:
            self._abort()

    def data_received(self, data: bytes) -> None:
        """A part of the answer, or all of it; or what nobody has asked for."""
        if self._on_end is None:
            self._abort()
            return
        if not self._received and (known := self._known.get(data)) is not None:
            self._reusable = True
            self._finish(known)
            return
        self._received += len(data)
        try:
            self._parsed.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            # What follows a whole answer is no part of it, but nothing may be sent after it.
            self._reusable = False
            if self._response is None:
                self._fail("connection", "not an HTTP answer")
                return
        if self._response is not None:
            if self._reusable and self._received == len(data):
                self._remember(data, self._response)
            self._finish(self._response)
        elif self._received > MAX_ANSWER_BYTES:
            self._cut()

    def _remember(self, data: bytes, response: Response) -> None:
        """A whole answer leaves nothing behind in the parser: the same bytes mean the same, without it."""
        if len(data) <= MAX_KNOWN_BYTES:
            if len(self._known) == MAX_KNOWN:
                self._known.clear()
            self._known[data] = response

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins: one too many, where there is one already."""
        if self._response is not None:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head; of several with one name the first counts, and what comes after chunks does not."""
        kept = _KEPT.get(name.lower())
        if kept is not None and kept not in self._headers and not self._head_complete:
            self._headers[kept] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_complete = True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """An answer is whole; an interim one is none."""
        parser = self._parsed
        status = parser.get_status_code()
        if self._response is None and status not in _INTERIM:
            self._response = Response(status, self._headers, self._body)
            # Only now does the parser know.
            self._reusable = parser.should_keep_alive()
        self._headers = {}
        self._body = b""
        self._head_complete = False

    @property
    def _parsed(self) -> HttpResponseParser:
        assert self._parser is not None  # noqa: S101  # nothing is received once it is lost
        return self._parser

    @property
    def _framed(self) -> bool:
        """Whether the head says where the body ends."""
        headers = self._headers
        return _CONTENT_LENGTH in headers or headers.get(_TRANSFER_ENCODING, _IDENTITY).lower() != _IDENTITY

    @property
    def _unwritten(self) -> int:
        """How much of what was sent has not gone out yet."""
        return 0 if self._wire is None else self._wire.get_write_buffer_size()

    def _cut(self) -> None:
        """More than any answer that we understand: its beginning counts, the rest is not read."""
        if not self._head_complete:
            self._fail("connection", "an endless head")
            return
        self._reusable = False
        self._finish(Response(self._parsed.get_status_code(), self._headers, self._body))

    def _finish(self, response: Response) -> None:
        on_end, self._on_end = self._on_end, None
        self._response = None
        self._received = 0
        # First: what is sent within may not go here, where the end of the connection may have been read already.
        if on_end is not None:
            on_end(response)
        # An answer that came before the request was written whole leaves the rest of it in the way.
        if self._reusable and self._transport is not None and not self._unwritten:
            self._keeper.on_free(self, response.headers)
        else:
            self._abort()
