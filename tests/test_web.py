"""Probes, metrics and the admin API over real HTTP; the page is tested in tests/page."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from consumer.errors import ConfigError
from consumer.web import MAX_NAME_CHARS, Api, Token, Web

TOKEN = "a-token-é"


@dataclass
class Answered:
    """What an act came to."""

    done: bool
    message: str


class Told:
    """What the server is told to answer."""

    def __init__(self) -> None:
        self.alive = True
        self.reasons: list[str] = []
        self.asked: list[tuple[dict[str, Any], str]] = []
        self.unauthorized: list[str] = []
        self.done = True
        self.token = Token(SecretStr(TOKEN))
        self.web = Web(
            alive=lambda: self.alive,
            not_ready=lambda: self.reasons,
            metrics=lambda: b"a_metric 1\n",
            api=Api(
                partitions=lambda: [{"topic": "t", "partition": 0}],
                acts={"skip": self._skip},
                unauthorized=self.unauthorized.append,
            ),
            token=self.token,
        )

    def _skip(self, asked: dict[str, Any], who: str) -> Answered:
        if "position" not in asked:
            raise ValueError("no position")
        self.asked.append((asked, who))
        return Answered(self.done, "said")


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
    """Without a site there is no page."""
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


async def post(told: Told, path: str, body: str = "{}", **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        session.post(f"http://127.0.0.1:{told.web.port}{path}", data=body, headers=headers) as response,
    ):
        return response.status, await response.json()


def by(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_partitions_are_told_without_a_token(told: Told) -> None:
    """They hold no person and no secret."""
    assert await get(told, "/api/partitions") == (
        200,
        "application/json",
        '{"partitions":[{"topic":"t","partition":0}]}',
    )


async def test_an_act_with_the_token_is_done_and_says_who_asked(told: Told) -> None:
    """A name is cut, and cleaned of what does not print."""
    status, body = await post(told, "/api/skip", '{"position":"t-0@1"}', **by(TOKEN), **{"X-Asked-By": " ada "})
    assert (status, body) == (200, {"done": True, "message": "said"})
    await post(told, "/api/skip", '{"position":"t-0@1"}', **by(TOKEN), **{"X-Asked-By": "x\t" * 200})
    await post(told, "/api/skip", '{"position":"t-0@1"}', **by(TOKEN))
    assert [who for _, who in told.asked] == ["ada", "x" * MAX_NAME_CHARS, "somebody"]


@pytest.mark.parametrize(
    "headers", [{}, by("wrong"), by(""), {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}]
)
async def test_without_the_token_nothing_is_done_and_it_is_counted(told: Told, headers: dict[str, str]) -> None:
    """401."""
    status, body = await post(told, "/api/skip", '{"position":"t-0@1"}', **headers)
    assert (status, body) == (401, {"message": "the admin token is missing or wrong"})
    assert told.asked == []
    assert told.unauthorized == ["skip"]


def test_without_a_token_in_the_configuration_nobody_may() -> None:
    """403, whatever is sent; until one is put there."""
    token = Token(None)
    assert token.refusal("") == token.refusal("Bearer None") == 403
    token.replace(SecretStr("new"))
    assert token.refusal("bearer new") == 0


@pytest.mark.parametrize("body", ["no json", "[]", "{}"])
async def test_a_request_that_makes_no_sense_says_why(told: Told, body: str) -> None:
    """400."""
    status, answer = await post(told, "/api/skip", body, **by(TOKEN))
    assert status == 400
    assert answer["message"]


async def test_an_act_that_cannot_be_done_is_a_conflict_and_one_that_does_not_exist_is_not_found(told: Told) -> None:
    """With what to do."""
    told.done = False
    assert await post(told, "/api/skip", '{"position":"t-0@1"}', **by(TOKEN)) == (
        409,
        {"done": False, "message": "said"},
    )
    assert (await post(told, "/api/destroy", **by(TOKEN)))[0] == 404
