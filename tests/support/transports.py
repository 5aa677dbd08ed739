"""Both transports by name, as the client opens them, but with the response in place of a verdict."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from yarl import URL

from consumer.pendo.lean.transport import LeanTransport
from consumer.pendo.session import ProxyChoice, SessionTransport
from consumer.pendo.waist import Channel, Response
from tests.support.awaited import response_to

Transport = Literal["auto", "session"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("auto", "session")
KEY: Final = "a-secret-key"


class Opened:
    """A transport that is open.

    Attributes:
        transport: It.
    """

    def __init__(self, transport: LeanTransport | SessionTransport) -> None:
        self.transport = transport
        self._channels: dict[str, Channel] = {}

    async def post(self, base: str, body: bytes = b"{}") -> Response:
        """One request, whose URL holds the key."""
        if base not in self._channels:
            url = URL(f"{base}/data/segmentio/{KEY}", encoded=True)
            self._channels[base] = self.transport.channel(url, {})
        channel = self._channels[base]
        return await response_to(lambda on_end: channel.post(body, on_end))


@asynccontextmanager
async def opened(transport: Transport, *, tls: ssl.SSLContext, timeout_s: float = 10.0) -> AsyncIterator[Opened]:
    """A transport, until the end of the block."""
    if transport == "session":
        async with SessionTransport(tls=tls, timeout_s=timeout_s, proxies=ProxyChoice(None)) as session:
            yield Opened(session)
        return
    lean = LeanTransport(tls=tls, timeout_s=timeout_s)
    try:
        yield Opened(lean)
    finally:
        lean.close()
