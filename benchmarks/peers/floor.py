"""The floor: the least that a POST can take in Python here. A write, a read, and what the kernel does for them.

As many connections as may be in flight, each of which sends its next event when anything comes back: no parser, no
task, no future, no timeout, no Kafka. It is right about nothing, and no way to send events. A process of its own
(`python -m benchmarks.peers.floor SETTING`) that stays until it is ended.
"""

import asyncio
import ssl
import sys
from collections.abc import Iterator
from typing import Protocol, cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.peers.events import sequenced_events
from benchmarks.peers.setting import Setting


class _Writer(Protocol):
    def write(self, data: bytes) -> None: ...


class _Connection(asyncio.Protocol):
    """Sends the next request whenever something comes."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._transport: _Writer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        self._transport = cast("_Writer", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """An answer, as far as this is concerned."""
        del data
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is not None and self._transport is not None:
            self._transport.write(request)


async def _run(setting: Setting) -> None:
    url = urlsplit(setting.url)
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
    )
    requests = iter([b"%b%d\r\n\r\n%b" % (head, len(one.value), one.value) for one in sequenced_events(setting.events)])
    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context(cafile=setting.ca_file) if setting.ca_file else None
    for _ in range(setting.concurrency):
        await loop.create_connection(lambda: _Connection(requests), url.hostname or "", url.port or 0, ssl=tls)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_run(Setting.from_arguments(sys.argv[1:])))
