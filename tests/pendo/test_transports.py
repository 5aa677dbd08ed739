"""Both transports read every answer alike: one table, played byte for byte, plain and over TLS."""

import ssl
import traceback
from dataclasses import replace

import pytest

from consumer.errors import UnreachableError
from tests.support.answers import CASES, Case
from tests.support.scripted import passes, scripted
from tests.support.transports import KEY, Opened, Transport, opened

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, server_tls: ssl.SSLContext) -> ssl.SSLContext | None:
    """A server's side, of either scheme."""
    return server_tls if request.param == "https" else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_answer_is_read_alike(
    case: Case, transport: Transport, tls: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    """What came, and whether the connection is used again."""
    if transport == "session":
        case = replace(case, **case.session)
    timeout_s = 0.5 if case.error == "timeout" else 10.0
    async with scripted(case.script, tls=tls) as server, opened(transport, tls=client_tls, timeout_s=timeout_s) as ours:
        await _check(case, ours, server.url)
        if case.reused is None:
            return
        if transport == "auto" and not case.reused:
            # At once, not when somebody asks again.
            await server.gone[0].wait()
        await passes()
        await passes()
        response = await ours.post(server.url)
        assert (response.status, response.body) == (200, b"ok")
        assert (server.asked == [0, 0]) is case.reused
    await server.all_gone()


async def _check(case: Case, ours: Opened, url: str) -> None:
    if case.status is None:
        with pytest.raises(UnreachableError) as caught:
            await ours.post(url)
        assert caught.value.kind == case.error
        assert KEY not in "".join(traceback.format_exception(caught.value))
        return
    response = await ours.post(url)
    kept = {name: value.strip() for name in ("Content-Type", "Retry-After") if (value := response.headers.get(name))}
    assert (response.status, response.body, kept) == (case.status, case.body, case.headers)
