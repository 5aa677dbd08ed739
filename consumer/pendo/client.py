"""The client: one POST to Pendo, one verdict.

Bytes go in; how a request ended comes out, and what that means as a verdict. It knows neither lanes nor
retries. Which transport serves a URL is decided here, once. The URL of the Segment endpoint is never logged: it carries
the key.
"""

import ssl
from collections.abc import Mapping
from typing import Final, Literal, Self

from yarl import URL

from consumer.errors import ConfigError
from consumer.pendo.calls import Answer, Form, answer_of
from consumer.pendo.endpoints import Kind
from consumer.pendo.lean.transport import LeanTransport
from consumer.pendo.session import ProxyChoice, SessionTransport
from consumer.pendo.verdicts import ACCEPTED, NO_ANSWER, Verdict, verdict_of
from consumer.pendo.waist import Channel, End, OnEnd, Response

GET: Final = "GET"
POST: Final = "POST"


class Client:
    """The connections to Pendo for all routes; use it as an async context manager."""

    def __init__(
        self,
        *,
        timeout_s: float,
        call_timeout_s: float | None = None,
        ca_file: str | None = None,
        proxy: str | None = None,
        transport: Literal["auto", "session"] = "auto",
    ) -> None:
        """Prepare both transports; nothing is connected yet.

        Args:
            timeout_s: For a whole request.
            call_timeout_s: For one that carries many ids; without it as for any other.
            ca_file: PEM file of a private CA, beside the system's.
            proxy: URL of a proxy; without it `HTTPS_PROXY` and `NO_PROXY` count.
            transport: The leanest that a URL allows, or always the session.

        Raises:
            ConfigError: The CA file cannot be used.
        """
        tls = _tls(ca_file)
        self._proxies = ProxyChoice(proxy)
        self._call_timeout_s = call_timeout_s
        self._session = SessionTransport(tls=tls, timeout_s=timeout_s, proxies=self._proxies)
        self._lean = LeanTransport(tls=tls, timeout_s=timeout_s) if transport == "auto" else None

    async def __aenter__(self) -> Self:
        """Open the session, in the running loop."""
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        if self._lean is not None:
            self._lean.close()
        await self._session.__aexit__()

    def channel(self, url: URL, headers: Mapping[str, str]) -> Channel:
        """The way to a URL of one event a request: lean, but through a proxy or where the settings want the session."""
        if self._lean is not None and self._proxies.of(url) is None:
            return self._lean.channel(url, headers)
        return self._session.channel(url, headers)

    async def call(self, url: URL, headers: Mapping[str, str], body: bytes) -> tuple[Answer, int]:
        """Send a request that carries many ids.

        Returns:
            What became of each, and the HTTP status.

        Raises:
            UnreachableError: No answer came, or not all of it.
        """
        response = await self._session.exchange(POST, url, headers, body, self._call_timeout_s)
        return answer_of(verdict_of(*response), response.body), response.status

    async def get(self, url: URL, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Ask, once; for commands, not for the way of an event.

        Raises:
            UnreachableError: No answer came, or not all of it.
        """
        response = await self._session.exchange(GET, url, headers)
        return response.status, response.body


class Target:
    """One route's URL and headers, behind which a changed credential can be put while requests are on their way."""

    __slots__ = ("_accepted", "_accepting", "_channel", "_client")

    def __init__(self, client: Client, url: str, headers: Mapping[str, str]) -> None:
        self._client = client
        self._channel = client.channel(URL(url, encoded=True), headers)
        # The last answer by which a request was accepted. Most are the very same: the transport hands out one response
        # for all that are alike.
        self._accepted: Response | None = None
        self._accepting: tuple[Verdict, int | str] = ACCEPTED, 0

    def move_to(self, url: str, headers: Mapping[str, str]) -> None:
        """Send what follows there, with these headers."""
        self._channel = self._client.channel(URL(url, encoded=True), headers)

    def post(self, body: bytes, on_end: OnEnd) -> None:
        """Send one request; see `Channel`."""
        self._channel.post(body, on_end)

    def judge(self, end: End) -> tuple[Verdict, int | str]:
        """The verdict on what a request ended with, and the HTTP status, or `timeout` or `connection`."""
        if end is self._accepted:
            return self._accepting
        if not isinstance(end, Response):
            return NO_ANSWER, end.kind
        judged = verdict_of(*end), end.status
        if judged[0] is ACCEPTED:
            self._accepted, self._accepting = end, judged
        return judged


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


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                [f"pendo.ca_file: {ca_file}: not a usable PEM file ({error.__class__.__name__})"]
            ) from error
    return context
