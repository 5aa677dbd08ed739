"""Tokens for SASL OAUTHBEARER.

Two ways: a token that somebody else keeps fresh in a file (`…PASSWORD_FILE`), or the OAuth 2.0 client-credentials grant
(RFC 6749, section 4.4) at `oauth_token_url`. aiokafka asks for a token at every connect; it does not re-authenticate
(KIP-368), so a broker cuts connections when their token expires and the client comes back with a new one.
"""

import time
from base64 import b64encode
from typing import Final
from urllib.parse import quote_plus

import aiohttp
from aiokafka.abc import AbstractTokenProvider

from consumer.config.settings import KafkaSecuritySettings
from consumer.errors import BrokerError

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_RENEW_BEFORE_S: Final = 30.0
"""A token that is about to expire is not worth a new connection."""
_DEFAULT_LIFETIME_S: Final = 60.0
"""RFC 6749 only recommends `expires_in`; without it a token is kept for this long."""


class TokenError(BrokerError, OSError):
    """The authorization server gave no token.

    aiokafka takes an `OSError` at a connect for a failed connect, and tries again; any other error would end its
    background task for good.
    """


class FixedToken(AbstractTokenProvider):
    """The token is the configured password; a changed file replaces it through `replace`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def replace(self, token: str) -> None:
        """Use another token from the next connect on."""
        self._token = token

    async def token(self) -> str:
        """The token, as the client asks for it at a connect."""
        return self._token


class ClientCredentialsToken(AbstractTokenProvider):
    """Tokens from an authorization server, one for all connects until it is about to expire."""

    def __init__(self, url: str, client_id: str, client_secret: str, scope: str | None) -> None:
        self._url = url
        # RFC 6749, section 2.3.1: each is form-encoded before they are joined.
        login = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._token = ""
        self._renew_at = 0.0

    async def token(self) -> str:
        """A token that is good for at least `_RENEW_BEFORE_S`.

        Raises:
            TokenError: The authorization server gave none.
        """
        if time.monotonic() >= self._renew_at:
            await self._fetch()
        return self._token

    async def _fetch(self) -> None:
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
                session.post(self._url, data=self._form, headers=self._headers, allow_redirects=False) as response,
            ):
                response.raise_for_status()
                answer = await response.json(content_type=None)
                self._token = str(answer["access_token"])
                lifetime_s = float(answer.get("expires_in", _DEFAULT_LIFETIME_S))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise TokenError(f"no OAuth token for Kafka: {error.__class__.__name__}") from error
        self._renew_at = time.monotonic() + max(lifetime_s - _RENEW_BEFORE_S, lifetime_s / 2)


def fixed_token(security: KafkaSecuritySettings) -> AbstractTokenProvider:
    """The provider for a token given as the password."""
    return FixedToken(_secret(security))


def client_credentials_token(security: KafkaSecuritySettings) -> AbstractTokenProvider:
    """The provider that asks an authorization server; username and password are client id and secret."""
    url = security.oauth_token_url or ""
    return ClientCredentialsToken(url, security.username or "", _secret(security), security.oauth_scope)


def _secret(security: KafkaSecuritySettings) -> str:
    return security.password.get_secret_value() if security.password else ""
