"""Probes and metrics over real HTTP."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from consumer.errors import ConfigError
from consumer.web import Web


class Told:
    """What the server is told to answer."""

    def __init__(self) -> None:
        self.alive = True
        self.reasons: list[str] = []
        self.web = Web(alive=lambda: self.alive, not_ready=lambda: self.reasons, metrics=lambda: b"a_metric 1\n")


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    """A listening server."""
    told = Told()
    await told.web.start("127.0.0.1", 0)
    yield told
    await told.web.stop()


async def get(told: Told, path: str) -> tuple[int, str, str]:
    """Status, content type and body."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        session.get(f"http://127.0.0.1:{told.web.port}{path}") as response,
    ):
        return response.status, response.headers["Content-Type"], await response.text()


async def test_a_live_process_says_so_and_a_dead_one_too(told: Told) -> None:
    """The orchestrator restarts at anything but 200."""
    assert await get(told, "/livez") == (200, "application/json", '{"alive":true}')
    told.alive = False
    assert await get(told, "/livez") == (503, "application/json", '{"alive":false}')


async def test_readiness_names_what_an_operator_must_mend(told: Told) -> None:
    """A JSON list of reasons; none means ready."""
    assert await get(told, "/readyz") == (200, "application/json", '{"ready":true,"reasons":[]}')
    told.reasons = ["kafka", "dead_letter"]
    status, _, body = await get(told, "/readyz")
    assert (status, body) == (503, '{"ready":false,"reasons":["kafka","dead_letter"]}')


async def test_metrics_are_given_as_prometheus_reads_them(told: Told) -> None:
    """With its content type."""
    status, content_type, body = await get(told, "/metrics")
    assert (status, body) == (200, "a_metric 1\n")
    assert content_type.startswith("text/plain; version=")


async def test_nothing_else_is_there_and_nothing_can_be_changed(told: Told) -> None:
    """No page, no switch, yet."""
    assert (await get(told, "/"))[0] == 404
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{told.web.port}/livez") as response,
    ):
        assert response.status == 405


async def test_a_port_that_is_taken_is_a_configuration_error_that_names_it() -> None:
    """Not a stack trace."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"http\.port: cannot listen on 127\.0\.0\.1:{port}"):
            await Told().web.start("127.0.0.1", port)


async def test_a_host_that_is_none_is_a_configuration_error() -> None:
    """As it would be in a typo."""
    with pytest.raises(ConfigError, match="cannot listen"):
        await Told().web.start("no-such-host.invalid", 0)


async def test_a_stop_frees_the_port() -> None:
    """A restarted process wants it again."""
    first, second = Told(), Told()
    await first.web.start("127.0.0.1", 0)
    port = first.web.port
    await first.web.stop()
    await second.web.start("127.0.0.1", port)
    await second.web.stop()
