"""The lean transport: one POST of one event, at a fraction of what a general client takes.

Bytes go in, a `Response` or an `UnreachableError` comes out. No proxies, no compression, no cookies, no redirects:
where the settings ask for such a thing, the session serves.
"""

import ssl
from collections.abc import Mapping

from yarl import URL

from consumer import __version__
from consumer.pendo.lean.pool import Pool
from consumer.pendo.waist import Channel, OnEnd

_Origin = tuple[str, str, int]


class LeanTransport:
    """Connections by origin, and channels over them."""

    def __init__(self, *, tls: ssl.SSLContext, timeout_s: float) -> None:
        self._tls = tls
        self._timeout_s = timeout_s
        self._pools: dict[_Origin, Pool] = {}

    def channel(self, url: URL, headers: Mapping[str, str]) -> Channel:
        """The way to a URL: all that can be known of a request beforehand."""
        return _LeanChannel(self._pool(url), _head(url, headers))

    def close(self) -> None:
        """End all connections; what is on its way has no answer."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def _pool(self, url: URL) -> Pool:
        assert url.raw_host is not None  # noqa: S101  # the configuration has checked it
        assert url.port is not None  # noqa: S101  # http and https have one
        origin = (url.scheme, url.raw_host, url.port)
        if origin not in self._pools:
            tls = self._tls if url.scheme == "https" else None
            self._pools[origin] = Pool(url.raw_host, url.port, tls, self._timeout_s)
        return self._pools[origin]


class _LeanChannel:
    """The way to one URL."""

    __slots__ = ("_head", "_pool")

    def __init__(self, pool: Pool, head: bytes) -> None:
        self._pool = pool
        self._head = head

    def post(self, body: bytes, on_end: OnEnd) -> None:
        """Send one request; see `Channel`."""
        self._pool.exchange(b"%b%d\r\n\r\n%b" % (self._head, len(body), body), on_end)


def _head(url: URL, headers: Mapping[str, str]) -> bytes:
    """A request up to its body's length; header values are checked where they are read."""
    lines = {
        "Host": url.host_port_subcomponent or "",
        "User-Agent": f"pendo-consumer/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {url.raw_path_qs} HTTP/1.1\r\n{head}Content-Length: ".encode()
