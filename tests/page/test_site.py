"""The page over real HTTP: its headers, its stream, its tables, and the sum over several pods."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from consumer.page import live, peers
from consumer.page.peers import Peers, host_and_port
from consumer.page.site import FILES, HEADERS
from tests.page import states
from tests.page.served import Served, served


@asynccontextmanager
async def got(url: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """An answer."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**22) as session,
        session.get(url, headers=headers) as response,
    ):
        yield response


async def snapshot(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next of a stream."""
    async for line in response.content:
        if line.startswith(b"data: "):
            found: dict[str, Any] = json.loads(line[6:])
            return found
    raise EOFError


@pytest.mark.parametrize("path", [*FILES, "/api/overview", "/api/settings", "/livez", "/nothing-here"])
async def test_every_answer_forbids_what_the_page_does_not_need(path: str) -> None:
    """No other host, nothing inline, in nobody's frame."""
    async with served() as server, got(server.url + path) as response:
        policy = response.headers["Content-Security-Policy"]
        for wanted in ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
            assert wanted in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == ("no-cache" if path.startswith("/page.") else "no-store")


async def test_the_stream_has_the_headers_too() -> None:
    """It is prepared otherwise."""
    async with served() as server, got(server.url + "/api/events") as response:
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
        assert response.headers["Content-Type"] == "text/event-stream"


async def test_the_parts_of_the_page_are_in_the_package_and_are_not_sent_twice() -> None:
    """A browser that has one asks whether it is still the same."""
    async with served() as server:
        for path in ("/page.css", "/page.js", "/page.svg"):
            async with got(server.url + path) as response:
                assert response.status == 200
                assert len(await response.read()) > 100
                etag = response.headers["ETag"]
            async with got(server.url + path, **{"If-None-Match": etag}) as response:
                assert response.status == 304
            async with got(server.url + path, **{"If-None-Match": '"another"'}) as response:
                assert response.status == 200


async def test_the_page_names_no_other_host_and_holds_nothing_inline() -> None:
    """It works without the internet, and its policy would stop it else."""
    async with served() as server, got(server.url + "/") as response:
        page = await response.text()
    for forbidden in ("http://", "https://", "<style", " style=", " onclick", "javascript:"):
        assert forbidden not in page
    assert page.count("<script") == page.count("<script src=") == 1


async def test_a_first_snapshot_comes_at_once_and_then_one_a_second() -> None:
    """For whoever opens the page at three in the morning."""
    async with served() as server, got(server.url + "/api/events") as response:
        began = time.monotonic()
        first = await snapshot(response)
        assert time.monotonic() - began < 2
        assert first["words"]["headline"] == "Everything Pendo should have is on its way"
        assert first["pods"]["alone"] is True
        server.make = states.outage
        await snapshot(response)
        second = await snapshot(response)
        assert second["words"]["level"] == "notice"
        assert time.monotonic() - began < 4


async def test_a_snapshot_is_made_once_for_all_and_only_while_somebody_looks() -> None:
    """A wall of screens costs no more than one."""
    async with served() as server, AsyncExitStack() as stack:
        responses = [await stack.enter_async_context(got(server.url + "/api/events")) for _ in range(10)]
        for _ in range(3):
            await asyncio.gather(*map(snapshot, responses))
        assert server.made <= 5
        await stack.aclose()
        await asyncio.sleep(1.5)
        made = server.made
        await asyncio.sleep(1.5)
        assert server.made == made


async def test_no_more_listen_than_may_and_one_that_leaves_makes_room() -> None:
    """A script that opens streams without end must not take the pod's sockets."""
    async with served() as server, AsyncExitStack() as stack:
        for _ in range(live.MAX_LISTENERS - 1):
            await stack.enter_async_context(got(server.url + "/api/events"))
        async with got(server.url + "/api/events") as last:
            await snapshot(last)
            async with got(server.url + "/api/events") as refused:
                assert refused.status == 503
                assert int(refused.headers["Retry-After"]) > 0
        async with asyncio.timeout(8):
            while True:
                async with got(server.url + "/api/events") as again:
                    if again.status == 200:
                        break
                await asyncio.sleep(0.2)


async def test_a_stop_does_not_wait_for_who_looks_on() -> None:
    """The stream ends, and the browser looks for the next pod."""
    async with served() as server, got(server.url + "/api/events") as response:
        await snapshot(response)
        began = time.monotonic()
        await server.web.stop()
        assert time.monotonic() - began < 0.9
        with pytest.raises((EOFError, aiohttp.ClientError)):
            await snapshot(response)


async def test_a_reader_that_takes_nothing_costs_one_snapshot_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that was closed: nothing piles up for it, and others are not kept waiting."""
    monkeypatch.setattr("consumer.page.site.WRITE_S", 1.5)
    heavy = states.report(letters=states.report()["letters"] | {"problem": "x" * 3_000_000})
    async with served(lambda: heavy) as server:
        with socket.create_connection(("127.0.0.1", server.web.port)) as slow:
            slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
            async with got(server.url + "/api/events") as other:
                for _ in range(4):
                    await snapshot(other)
                async with asyncio.timeout(8):
                    while server.site.listeners > 1:
                        await asyncio.sleep(0.1)


async def test_a_snapshot_that_fails_ends_nothing() -> None:
    """The next may succeed; what is shown must not be stopped by who shows it."""

    def fail() -> dict[str, Any]:
        raise ZeroDivisionError

    async with served() as server, got(server.url + "/api/events") as response:
        await snapshot(response)
        server.make = fail
        await asyncio.sleep(1.5)
        server.make = states.outage
        while (await snapshot(response))["words"]["level"] != "notice":
            pass


async def test_a_script_gets_the_same_as_json() -> None:
    """This pod's report, or the view of all."""
    async with served() as server:
        async with got(server.url + "/api/overview") as response:
            assert (await response.json())["instance"] == "a"
        async with got(server.url + "/api/overview?pods=all") as response:
            view = await response.json()
    assert view["words"]["level"] == "good"
    assert view["ledger"]["unaccounted"] == 0


async def test_deliveries_are_taken_away_as_a_table() -> None:
    """With a name for the file."""
    async with served() as server, got(server.url + "/api/deliveries.csv") as response:
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert response.headers["Content-Disposition"] == 'attachment; filename="deliveries.csv"'
        lines = (await response.text()).splitlines()
    assert lines[1].startswith("2026-09-21,track,Report Opened,")


async def test_settings_are_shown_without_their_secrets() -> None:
    """The token is the one thing nobody may read here."""
    async with served() as server, got(server.url + "/api/settings") as response:
        text = await response.text()
        found = {one["key"]: one for one in json.loads(text)["settings"]}
    assert found["http.admin_token"] == {"key": "http.admin_token", "value": "(set, hidden)", "default": False}
    assert found["http.port"]["value"] == "8080"
    assert "an-admin-token" not in text


def resolving(*addresses: str) -> peers.Resolve:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        return addresses

    return resolve


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pod that hangs: it takes the connection and says nothing, until the other gives up."""
    await reader.read()
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def two_pods_and_one_that_hangs() -> AsyncIterator[Served]:
    """The first asks the other two."""
    other = Served(lambda: states.report(pod="pendo-consumer-1", instance="b", partitions=[states.partition(4)]))
    await other.web.start("127.0.0.2", 0)
    port = other.web.port
    hanging = await asyncio.start_server(silence, "127.0.0.3", port)
    first = Served(peers=Peers("pods", port, resolving("127.0.0.1", "127.0.0.2", "127.0.0.3")))
    await first.web.start("127.0.0.1", port)
    try:
        yield first
    finally:
        await first.web.stop()
        await other.web.stop()
        hanging.close()
        await hanging.wait_closed()


async def test_peers_are_summed_and_one_that_is_silent_is_named_in_bounded_time() -> None:
    """Its own address among them counts once."""
    async with two_pods_and_one_that_hangs() as first, got(first.url + "/api/events") as response:
        began = time.monotonic()
        view = await snapshot(response)
        assert time.monotonic() - began < 2
        async with got(first.url + "/api/deliveries.csv") as table:
            assert 'filename="deliveries-2-of-3-pods.csv"' in table.headers["Content-Disposition"]
            assert "2026-09-23,track,Report Opened,96420" in await table.text()
    assert view["pods"] == {
        "own": "pendo-consumer-0",
        "alone": False,
        "answered": 2,
        "asked": 3,
        "silent": ["127.0.0.3"],
        "problem": "",
    }
    assert view["ledger"]["types"]["track"]["received"] == 2 * 84_901
    assert [one["partition"] for one in view["partitions"]] == [0, 1, 2, 3, 4]
    assert view["rates"]["received"] == 192.8


async def test_peers_are_asked_only_while_somebody_looks() -> None:
    """Nobody asks pods round the clock for nothing."""
    asked = 0

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return []

    async with served(peers=Peers("pods", 1, resolve)) as server:
        await asyncio.sleep(1.2)
        assert asked == 0
        async with got(server.url + "/api/events") as response:
            await snapshot(response)
        assert asked == 1


@pytest.mark.parametrize("trouble", ["unknown", "slow", "another version", "no report"])
async def test_what_is_wrong_with_the_peers_is_said_and_the_own_pod_is_shown(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is not there, a resolver that hangs, a rollout, another server at that port."""
    monkeypatch.setattr(peers, "WITHIN_S", 0.4)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        if trouble == "slow":
            await asyncio.sleep(5)
        if trouble == "unknown":
            raise OSError(-2, "Name or service not known")
        return ["127.0.0.2"]

    other = Served(lambda: {"instance": "b", "days": []} if trouble == "another version" else {"days": []})
    await other.web.start("127.0.0.2", 0)
    try:
        async with (
            served(peers=Peers("pods", other.web.port, resolve)) as server,
            got(server.url + "/api/overview?pods=all") as response,
        ):
            view = await response.json()
    finally:
        await other.web.stop()
    pods = view["pods"]
    assert view["words"]["level"] == "good"
    assert pods["answered"] == 1
    expected = {
        "unknown": "the name pods cannot be resolved: Name or service not known",
        "slow": "the name pods was not resolved in time",
        "another version": "a peer's report is of another version",
        "no report": "",
    }
    assert pods["problem"] == expected[trouble]
    assert pods["silent"] == (["127.0.0.2"] if trouble == "no report" else [])


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [("pods", "pods", 8080), ("pods:9", "pods", 9), ("[::1]", "::1", 8080), ("[::1]:9", "::1", 9)],
)
def test_peers_may_name_a_port(name: str, host: str, port: int) -> None:
    """Without one they listen where this pod does."""
    assert host_and_port(name, 8080) == (host, port)


async def test_the_systems_resolver_is_asked() -> None:
    """As it stands in the pod."""
    assert "127.0.0.1" in await peers.addresses_of("localhost", 1)
