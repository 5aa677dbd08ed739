"""OAUTHBEARER tokens, from a file or from a real token server; secrets stay out of every text."""

import base64
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from consumer.config.settings import KafkaSecuritySettings
from consumer.errors import BrokerError
from consumer.kafka.oauth import ClientCredentialsToken, FixedToken, client_credentials_token, fixed_token
from consumer.sandbox.children import free_port

SECRET = "hidden-secret"


class TokenServer:
    """An authorization server: gives `token-1`, `token-2` …; keeps what it was asked.

    Attributes:
        url: Where it gives them.
        answer: What it answers, if not a token.
        lifetime_s: The `expires_in` of its tokens; None for none.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[dict[str, list[str]], str]] = []
        self.answer: web.Response | None = None
        self.lifetime_s: float | None = 3600

    @asynccontextmanager
    async def running(self) -> AsyncIterator["TokenServer"]:
        """Listen."""
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append((parse_qs((await request.read()).decode()), request.headers.get("Authorization", "")))
        if self.answer is not None:
            return self.answer
        token: dict[str, Any] = {"access_token": f"token-{len(self.asked)}", "token_type": "Bearer"}
        if self.lifetime_s is not None:
            token["expires_in"] = self.lifetime_s
        return web.json_response(token)

    def security(self, **more: Any) -> KafkaSecuritySettings:
        """Settings that ask this server."""
        return KafkaSecuritySettings.model_validate(
            {
                "protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "OAUTHBEARER",
                "username": "client",
                "password": SECRET,
                "oauth_token_url": self.url,
                **more,
            }
        )


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    """A running token server."""
    async with TokenServer().running() as running:
        yield running


async def test_a_token_is_asked_for_by_client_credentials_and_scope(server: TokenServer) -> None:
    """RFC 6749, section 4.4: id and secret by HTTP Basic."""
    provider = client_credentials_token(server.security(oauth_scope="kafka read"))
    assert await provider.token() == "token-1"
    form, authorization = server.asked[0]
    assert form == {"grant_type": ["client_credentials"], "scope": ["kafka read"]}
    assert base64.b64decode(authorization.removeprefix("Basic ")) == f"client:{SECRET}".encode()


async def test_an_id_and_a_secret_may_hold_any_character(server: TokenServer) -> None:
    """RFC 6749, section 2.3.1: both are form-encoded, so a colon in an id does not end it."""
    await ClientCredentialsToken(server.url, "a:b", "c d+é", None).token()
    assert base64.b64decode(server.asked[0][1].removeprefix("Basic ")) == b"a%3Ab:c+d%2B%C3%A9"


async def test_without_a_scope_none_is_sent(server: TokenServer) -> None:
    """An empty one would be refused."""
    await client_credentials_token(server.security()).token()
    assert server.asked[0][0] == {"grant_type": ["client_credentials"]}


async def test_a_token_is_used_for_every_connect_until_it_is_about_to_expire(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewed half a minute before its end."""
    now = 1000.0
    monkeypatch.setattr("consumer.kafka.oauth.time", SimpleNamespace(monotonic=lambda: now))
    provider = client_credentials_token(server.security())
    assert [await provider.token() for _ in range(3)] == ["token-1"] * 3
    now += 3569
    assert await provider.token() == "token-1"
    now += 1
    assert await provider.token() == "token-2"
    assert len(server.asked) == 2


@pytest.mark.parametrize(("lifetime_s", "kept_s"), [(20, 10), (None, 30)])
async def test_a_short_life_or_none_told_does_not_mean_a_request_for_each_connect(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch, lifetime_s: float | None, kept_s: float
) -> None:
    """A short-lived one is kept for half of its life, one without a life for half a minute."""
    now = 0.0
    monkeypatch.setattr("consumer.kafka.oauth.time", SimpleNamespace(monotonic=lambda: now))
    server.lifetime_s = lifetime_s
    provider = client_credentials_token(server.security())
    await provider.token()
    now += kept_s - 1
    assert await provider.token() == "token-1"
    now += 1
    assert await provider.token() == "token-2"


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=401, text=f"no such secret: {SECRET}"),
        web.Response(status=500),
        web.Response(status=302, headers={"Location": "/elsewhere"}),
        web.Response(text="<html>"),
        web.Response(text="[]"),
        web.Response(text="{}"),
        web.Response(text='{"access_token":"t","expires_in":"soon"}'),
    ],
    ids=["401", "500", "redirect", "html", "list", "no token", "odd expiry"],
)
async def test_no_token_is_an_error_without_a_secret_in_it(server: TokenServer, answer: web.Response) -> None:
    """Whatever the server answered."""
    server.answer = answer
    with pytest.raises(BrokerError, match="no OAuth token for Kafka") as caught:
        await client_credentials_token(server.security()).token()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert len(server.asked) == 1


async def test_a_server_that_is_away_is_an_error_and_asked_again_at_the_next_connect(server: TokenServer) -> None:
    """A failed request must not be remembered as a token."""
    provider = ClientCredentialsToken(f"http://127.0.0.1:{free_port()}/", "client", SECRET, None)
    for _ in range(2):
        with pytest.raises(BrokerError):
            await provider.token()
    server.answer = web.Response(status=503)
    provider = ClientCredentialsToken(server.url, "client", SECRET, None)
    with pytest.raises(BrokerError):
        await provider.token()
    server.answer = None
    assert await provider.token() == "token-2"


async def test_a_missing_token_is_an_os_error_too() -> None:
    """What that is good for is tested on a broker, beside the other ways in."""
    with pytest.raises(OSError, match="no OAuth token"):
        await ClientCredentialsToken(f"http://127.0.0.1:{free_port()}/", "client", SECRET, None).token()


async def test_a_fixed_token_is_the_password_until_it_is_replaced() -> None:
    """Somebody else keeps it fresh."""
    provider = fixed_token(KafkaSecuritySettings.model_validate({"password": "one"}))
    assert isinstance(provider, FixedToken)
    assert await provider.token() == "one"
    provider.replace("two")
    assert await provider.token() == "two"
