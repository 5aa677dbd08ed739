"""The endpoint of the benchmarks: HTTP requests come in, an empty 200 goes out after a delay, and a count on request.

It does as little as an endpoint can, so that it is never the limit: no framework, no parsing beyond the body's length.
It runs in a process of its own (`python -m benchmarks.sink`), says its port on the first line, and knows no Pendo.
"""

import argparse
import asyncio
import math
import random
from collections.abc import Callable
from enum import StrEnum
from typing import Final, cast

import uvloop

_SEED: Final = 1
_CONSTANT_S: Final = 0.005
_MEDIAN_S: Final = 0.05
_P99_S: Final = 0.5
_Z99: Final = 2.326
"""The 99th percentile of the standard normal distribution."""
_ACCEPTED: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Latency(StrEnum):
    """How long the endpoint takes: 5 ms always, or lognormal with a median of 50 ms and 500 ms at the 99th percent."""

    CONSTANT = "constant"
    LOGNORMAL = "lognormal"


class Sink:
    """Counts requests, and decides when each is answered.

    Attributes:
        requests: POSTs so far.
    """

    def __init__(self, latency: Latency) -> None:
        self.requests = 0
        self.delay_s = _constant if latency is Latency.CONSTANT else _lognormal(random.Random(_SEED))  # noqa: S311


def _constant() -> float:
    return _CONSTANT_S


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
            is_post = self._buffer.startswith(b"POST")
            self._buffer = self._buffer[end:]
            if is_post:
                self._sink.requests += 1
                self._loop.call_later(self._sink.delay_s(), self._write, _ACCEPTED)
            else:
                self._write(_count(self._sink.requests))

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


def _count(requests: int) -> bytes:
    body = str(requests).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def _serve(latency: Latency) -> None:
    sink = Sink(latency)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sink), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=Latency, default=Latency.CONSTANT)
    uvloop.run(_serve(parser.parse_args().latency))
