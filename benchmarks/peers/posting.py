"""How the two contestants of plain Python post: aiohttp's session, set as lean as its options allow."""

import ssl

import aiohttp
from yarl import URL

_HEADERS = {"Content-Type": "application/json"}
_REQUEST_TIMEOUT_S = 10.0


def session(ca_file: str | None) -> aiohttp.ClientSession:
    """Open a session without limit or cookies; call it in the running loop."""
    tls = ssl.create_default_context(cafile=ca_file) if ca_file else True
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def post(with_session: aiohttp.ClientSession, url: URL, body: bytes) -> None:
    """Send one event.

    Raises:
        aiohttp.ClientError: It was not accepted.
    """
    async with with_session.post(url, data=body, headers=_HEADERS, allow_redirects=False) as response:
        await response.read()
        response.raise_for_status()
