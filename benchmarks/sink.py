"""The endpoint of the benchmarks: HTTP requests come in, an empty 200 goes out after a delay, and counts on request.

It does as little as an endpoint can, so that it is never the limit: no framework, no parsing beyond the body's length.
It runs in a process of its own (`python -m benchmarks.sink`), says its port on the first line, and knows no Pendo.
With `--journal` it remembers what came: `GET /journal`, `/arrivals`, `/late`. `GET /answer/503` changes its answers.
"""

import argparse
import asyncio
import math
import random
from collections.abc import Callable
from enum import StrEnum
from time import monotonic
from typing import Final, assert_never, cast

import orjson
import uvloop

from benchmarks.journal import Journal

_SEED: Final = 1
_CONSTANT_S: Final = 0.005
_STEADY_S: Final = 0.05
_MEDIAN_S: Final = 0.05
_P99_S: Final = 0.5
_Z99: Final = 2.326
"""The 99th percentile of the standard normal distribution."""
_OK: Final = 200
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Latency(StrEnum):
    """How long the endpoint takes: 5 ms or 50 ms always, or lognormal: median 50 ms, 500 ms at the 99th percent."""

    CONSTANT = "constant"
    STEADY = "steady"
    LOGNORMAL = "lognormal"


class Sink:
    """Counts requests, and decides how and when each is answered.

    Attributes:
        requests: POSTs so far.
        journal: Remembers those that were accepted; None when only a count is wanted.
        delay_s: How long the next one takes.
    """

    def __init__(self, latency: Latency, journal: Journal | None = None) -> None:
        self.requests = 0
        self.journal = journal
        self.delay_s = _delay_s(latency)
        self.use_status(_OK)

    def use_status(self, status: int) -> None:
        """Answer with this status from now on."""
        self.status = status
        self.answer = b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status

    def look_up(self, path: str) -> bytes:
        """Answer a GET: what was asked for as JSON; a bare count at the root."""
        asked = path.strip("/").split("/")
        if asked[0] == "answer":
            self.use_status(int(asked[1]))
        if self.journal is None or asked[0] not in ("journal", "arrivals", "late"):
            return str(self.requests).encode()
        if asked[0] == "journal":
            return orjson.dumps(self.journal.summary())
        if asked[0] == "late":
            return orjson.dumps(self.journal.late_ms.tolist())
        return orjson.dumps([self.journal.arrivals.tolist(), self.journal.held.tolist()])


def _delay_s(latency: Latency) -> Callable[[], float]:
    match latency:
        case Latency.CONSTANT:
            return lambda: _CONSTANT_S
        case Latency.STEADY:
            return lambda: _STEADY_S
        case Latency.LOGNORMAL:
            return _lognormal(random.Random(_SEED))  # noqa: S311 - a seed is what is wanted
        case _:
            assert_never(latency)


def _lognormal(chance: random.Random) -> Callable[[], float]:
    sigma = math.log(_P99_S / _MEDIAN_S) / _Z99
    return lambda: chance.lognormvariate(math.log(_MEDIAN_S), sigma)


class Connection(asyncio.Protocol):
    """One keep-alive connection; a request that comes while another is answered waits for nothing."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the way back: whatever is answered from here on goes nowhere."""
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer = self._buffer + data if self._buffer else data
        while (end := request_end(self._buffer)) is not None:
            request, self._buffer = self._buffer[:end], self._buffer[end:]
            if request.startswith(b"POST"):
                self._sink.requests += 1
                self._hold(request)
            else:
                body = self._sink.look_up(request.split(b" ", 2)[1].decode())
                self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def _hold(self, request: bytes) -> None:
        sink, delay_s = self._sink, self._sink.delay_s()
        if sink.journal is None or sink.status != _OK:
            self._loop.call_later(delay_s, self._write, sink.answer)
        else:
            sink.journal.arrived(request, delay_s)
            self._loop.call_later(delay_s, self._note_and_write, sink.journal, request, monotonic(), sink.answer)

    def _note_and_write(self, journal: Journal, request: bytes, arrived: float, answer: bytes) -> None:
        journal.answered(request, arrived)
        self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


def request_end(buffer: bytes) -> int | None:
    """Where the first request in the buffer ends; None while it is not complete."""
    head_end = buffer.find(_HEAD_END)
    if head_end < 0:
        return None
    head = buffer[: head_end + 2].lower()
    at = head.find(_LENGTH)
    body_bytes = int(head[at + len(_LENGTH) : head.index(b"\r\n", at)]) if at >= 0 else 0
    end = head_end + len(_HEAD_END) + body_bytes
    return end if len(buffer) >= end else None


async def _serve(latency: Latency, *, journal: bool) -> None:
    sink = Sink(latency, Journal() if journal else None)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sink), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=Latency, default=Latency.CONSTANT)
    parser.add_argument("--journal", action="store_true")
    args = parser.parse_args()
    uvloop.run(_serve(args.latency, journal=args.journal))
