"""The client: one POST to Pendo, one verdict.

Bytes go in; a verdict and the status for the metric come out, or an `UnreachableError`. It knows neither lanes nor
retries. Redirects are never followed (they turn a POST into a GET that answers 200), bodies are always read, so that
connections can be used again, and the URL of the Segment endpoint is never logged: it carries the key.
"""

import ssl
from collections.abc import Mapping
from io import BytesIO
from typing import Final, Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp import hdrs
from yarl import URL

from consumer.errors import ConfigError, UnreachableError
from consumer.pendo.calls import Answer, Form, answer_of
from consumer.pendo.endpoints import Kind
from consumer.pendo.verdicts import Verdict, verdict_of

MAX_BODY_BYTES: Final = 1024 * 1024
"""More than any answer that we understand; the rest is not read, and its connection is closed."""
MAX_RAW_BODY_BYTES: Final = 1024 * 1024
KEEPALIVE_S: Final = 10.0
"""Below what servers and load balancers use: a POST on a connection that they just closed has an unknown end."""


class Client:
    """One session to Pendo for all routes; use it as an async context manager."""

    def __init__(
        self,
        *,
        timeout_s: float,
        call_timeout_s: float | None = None,
        ca_file: str | None = None,
        proxy: str | None = None,
    ) -> None:
        """Prepare a session.

        Args:
            timeout_s: For a whole request.
            call_timeout_s: For one that carries many ids; without it as for any other.
            ca_file: PEM file of a private CA, beside the system's.
            proxy: URL of a proxy; without it `HTTPS_PROXY` and `NO_PROXY` count.

        Raises:
            ConfigError: The CA file cannot be used.
        """
        self._tls = _tls(ca_file)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._call_timeout = aiohttp.ClientTimeout(total=call_timeout_s or timeout_s)
        self._proxies = ProxyChoice(proxy)
        self._session: aiohttp.ClientSession | None = None

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
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes) -> tuple[Verdict, int]:
        """Send one request.

        Returns:
            The verdict and the HTTP status.

        Raises:
            UnreachableError: No answer came, or not all of it.
        """
        status, answer_headers, answer = await self._exchange(hdrs.METH_POST, url, headers, body)
        return verdict_of(status, answer_headers, answer), status

    async def call(self, url: URL, headers: Mapping[str, str], body: bytes) -> tuple[Answer, int]:
        """Send a request that carries many ids.

        Returns:
            What became of each, and the HTTP status.

        Raises:
            UnreachableError: No answer came, or not all of it.
        """
        status, answer_headers, answer = await self._exchange(
            hdrs.METH_POST, url, headers, body, timeout=self._call_timeout
        )
        return answer_of(verdict_of(status, answer_headers, answer), answer), status

    async def get(self, url: URL, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Ask, once; for commands, not for the way of an event.

        Raises:
            UnreachableError: No answer came, or not all of it.
        """
        status, _, answer = await self._exchange(hdrs.METH_GET, url, headers, None)
        return status, answer

    async def _exchange(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - the session's own
    ) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None  # noqa: S101  # a programming error, not a condition
        # aiohttp writes large bytes in one piece, and warns of it; a file it writes in chunks.
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
                timeout=timeout or self._timeout,
            )
            return response.status, response.headers, await _bounded_body(response)
        except TimeoutError:
            raise UnreachableError("timeout", "no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Without its cause, whose text may quote the URL, and with it the key.
            raise UnreachableError("connection", error.__class__.__name__) from None


class Target:
    """One route's URL and headers, behind which a changed credential can be put while requests are on their way.

    Attributes:
        url: Carries the key on the Segment endpoint: never log it.
    """

    __slots__ = ("_client", "_headers", "url")

    def __init__(self, client: Client, url: str, headers: Mapping[str, str]) -> None:
        self._client = client
        self._headers = headers
        self.url = URL(url, encoded=True)

    def move_to(self, url: str, headers: Mapping[str, str]) -> None:
        """Send what follows there, with these headers."""
        self.url = URL(url, encoded=True)
        self._headers = headers

    async def post(self, body: bytes) -> tuple[Verdict, int]:
        """Send one request; see `Client.post`."""
        return await self._client.post(self.url, self._headers, body)


class CallTarget:
    """The URLs and headers of a route whose calls carry many ids.

    Attributes:
        form: How its calls are written.
        urls: By kind of whom they are about.
    """

    __slots__ = ("_client", "_headers", "form", "urls")

    def __init__(self, client: Client, urls: Mapping[Kind, str], headers: Mapping[str, str], form: Form) -> None:
        self._client = client
        self._headers = headers
        self.form = form
        self.urls: Mapping[Kind, URL] = {kind: URL(url, encoded=True) for kind, url in urls.items()}

    def log_in_with(self, headers: Mapping[str, str]) -> None:
        """Send what follows with these headers."""
        self._headers = headers

    async def call(self, kind: Kind, body: bytes) -> tuple[Answer, int]:
        """Send one call; see `Client.call`."""
        return await self._client.call(self.urls[kind], self._headers, body)


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


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                [f"pendo.ca_file: {ca_file}: not a usable PEM file ({error.__class__.__name__})"]
            ) from error
    return context
