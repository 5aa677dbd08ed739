"""The session: aiohttp's `ClientSession`, which can all that HTTP asks for; it serves what the lean transport does not.

Bytes go in, a `Response` or an `UnreachableError` comes out. Redirects are never followed (they turn a POST into a GET
that answers 200), and bodies are always read, so that connections can be used again.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from io import BytesIO
from typing import Final, Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp import hdrs
from yarl import URL

from consumer.errors import UnreachableError
from consumer.pendo.waist import KEEPALIVE_S, Channel, End, OnEnd, Response

MAX_BODY_BYTES: Final = 1024 * 1024
"""More than any answer that we understand; the rest is not read, and its connection is closed."""
MAX_RAW_BODY_BYTES: Final = 1024 * 1024
"""From here on aiohttp warns of bytes that are written in one piece."""


class SessionTransport:
    """One session for all URLs; use it as an async context manager."""

    def __init__(self, *, tls: ssl.SSLContext, timeout_s: float, proxies: "ProxyChoice") -> None:
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._proxies = proxies
        self._session: aiohttp.ClientSession | None = None
        self._posts: set[asyncio.Task[Response]] = set()

    async def __aenter__(self) -> Self:
        """Open the session, in the running loop."""
        self._session = aiohttp.ClientSession(
            # The engine holds a slot before it asks: a second limit in here would only add to the request's timeout.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S, ssl=self._tls),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session and its connections; what is on its way has no answer."""
        for post in self._posts:
            post.cancel()
        if self._session is not None:
            await self._session.close()

    def channel(self, url: URL, headers: Mapping[str, str]) -> Channel:
        """The way to a URL."""
        return _SessionChannel(self, url, headers)

    def post(self, url: URL, headers: Mapping[str, str], body: bytes, on_end: OnEnd) -> None:
        """Send one request; see `Channel`."""
        post = asyncio.create_task(self.exchange(hdrs.METH_POST, url, headers, body), name="post")
        self._posts.add(post)
        post.add_done_callback(partial(self._on_posted, on_end))

    def _on_posted(self, on_end: OnEnd, post: "asyncio.Task[Response]") -> None:
        self._posts.discard(post)
        end: End
        try:
            end = post.result()
        except UnreachableError as error:
            end = error
        except asyncio.CancelledError:
            end = UnreachableError("connection", "closed")
        on_end(end)

    async def exchange(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """Send one request.

        Args:
            method: GET or POST.
            url: Whole, as it is to be sent.
            headers: Beside those that every request has.
            body: None for none.
            timeout_s: For this one, where it is not as for all.

        Raises:
            UnreachableError: No answer came, or not all of it.
        """
        assert self._session is not None  # noqa: S101  # a programming error, not a condition
        # A file is written in chunks.
        data = BytesIO(body) if body is not None and len(body) > MAX_RAW_BODY_BYTES else body
        try:
            # Not as a context manager, which costs as much as reading the body: that leaves nothing to be closed.
            response = await self._session.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxies.of(url),
                timeout=aiohttp.ClientTimeout(total=timeout_s) if timeout_s else self._timeout,
            )
            return Response(response.status, response.headers, await _bounded_body(response))
        except TimeoutError:
            raise UnreachableError("timeout", "no answer in time") from None
        except Exception as error:  # noqa: BLE001  # whatever a library raises, there is no answer
            # Without its cause, whose text may quote the URL, and with it the key.
            raise UnreachableError("connection", error.__class__.__name__) from None


class _SessionChannel:
    """The way to one URL."""

    __slots__ = ("_headers", "_session", "_url")

    def __init__(self, session: SessionTransport, url: URL, headers: Mapping[str, str]) -> None:
        self._session = session
        self._url = url
        self._headers = headers

    def post(self, body: bytes, on_end: OnEnd) -> None:
        """Send one request; see `Channel`."""
        self._session.post(self._url, self._headers, body, on_end)


class ProxyChoice:
    """Which proxy a URL goes through: the configured one, else what the environment says, asked once a URL.

    aiohttp's own `trust_env` reads the environment anew for every request.
    """

    __slots__ = ("_configured", "_known")

    def __init__(self, configured: str | None) -> None:
        self._configured = configured
        self._known: dict[URL, str | None] = {}

    def of(self, url: URL) -> str | None:
        """The proxy's URL; None to connect directly."""
        if self._configured is not None:
            return self._configured
        if url not in self._known:
            bypassed = url.host is not None and proxy_bypass(f"{url.host}:{url.port}")
            self._known[url] = None if bypassed else _with_scheme(getproxies().get(url.scheme))
        return self._known[url]


def _with_scheme(proxy: str | None) -> str | None:
    """The environment may name a proxy by host and port alone."""
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    """The body, or its first part; either way the response is done with, its connection free or closed."""
    length = response.headers.get(hdrs.CONTENT_LENGTH, "")
    # A compressed body's length says nothing of what it unpacks to.
    if length.isdecimal() and int(length) <= MAX_BODY_BYTES and hdrs.CONTENT_ENCODING not in response.headers:
        return await response.read()
    body = bytearray()
    async with response:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                response.close()
                break
    return bytes(body)
