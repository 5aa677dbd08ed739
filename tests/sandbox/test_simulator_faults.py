"""How the simulated Pendo misbehaves when it is told to, over HTTP and as an object, and what its log says then."""

import asyncio
import statistics
import sys
import time
from typing import Any

import aiohttp
import pytest

from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, FaultError, Faults, Latency, Rule


def event(message_id: str = "m", user: str = "ann", **changed: Any) -> dict[str, Any]:
    return {"type": "track", "event": "e", "userId": user, "messageId": message_id} | changed


class Caller:
    """Talks to a simulator: sends events, and asks its control."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def send(self, sent: dict[str, Any], key: str = "sandbox-api-key") -> int | str:
        """Return the status of the answer, or `reset` when there was none."""
        try:
            async with self._session.post(f"{self._url}/data/segmentio/{key}", json=sent) as response:
                await response.read()
                return response.status
        except aiohttp.ClientConnectionError:
            return "reset"

    async def ask(self, method: str, name: str, asked: Any = None, status: int = 200) -> Any:
        """Return what the control answers."""
        async with self._session.request(method, f"{self._url}/_sim/{name}", json=asked) as response:
            assert response.status == status, await response.text()
            return await response.json()


@pytest.fixture
async def pendo() -> Any:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def caller(pendo: Simulator) -> Any:
    async with aiohttp.ClientSession() as session:
        yield Caller(pendo.url, session)


async def test_a_script_is_answered_in_turn_and_then_pendo_as_ever(pendo: Simulator, caller: Caller) -> None:
    """Each message may carry a list of answers; nobody else sees them, and only an accepted event is kept."""
    await caller.ask("POST", "faults", {"messageId": "m", "script": [500, {"reset": True}, 429, 200]})
    assert [await caller.send(event()) for _ in range(5)] == [500, "reset", 429, 200, 200]
    assert await caller.send(event("other")) == 200
    assert pendo.store.accepted == {"m": 2, "other": 1}


async def test_a_rule_may_be_about_an_id_a_route_or_all(caller: Caller) -> None:
    await caller.ask("POST", "faults", [{"id": "ann", "answer": 500}, {"id": "acme", "answer": 502}])
    assert await caller.send(event()) == 500
    assert await caller.send(event(user="bob", properties={"groupId": "acme"})) == 502
    assert await caller.send(event(user="bob")) == 200
    await caller.ask("DELETE", "faults")
    await caller.ask("POST", "faults", {"route": "token", "answer": 500})
    assert await caller.send(event()) == 200
    await caller.ask("POST", "faults", {"answer": 503})
    assert await caller.send(event()) == 503


async def test_the_most_specific_rule_comes_first(caller: Caller) -> None:
    rules = [{"answer": 503}, {"id": "ann", "script": [502]}, {"messageId": "m", "script": [501]}]
    await caller.ask("POST", "faults", rules)
    assert [await caller.send(event()) for _ in range(3)] == [501, 502, 503]


async def test_rules_are_listed_with_their_use_and_removed_by_number(caller: Caller) -> None:
    numbers = (await caller.ask("POST", "faults", [{"script": [500, 500]}, {"id": "x", "answer": 400}]))["rules"]
    await caller.send(event())
    first, second = (await caller.ask("GET", "faults"))["rules"]
    assert (first["number"], first["used"], first["left"]) == (numbers[0], 1, 1)
    assert second["used"] == 0
    await caller.ask("DELETE", f"faults?rule={numbers[0]}")
    assert await caller.send(event()) == 200
    await caller.ask("DELETE", "faults?rule=99", status=404)


def test_a_rate_is_seeded_and_about_right() -> None:
    """The same seed gives the same faults, another seed others."""

    def run(seed: int) -> list[bool]:
        faults = Faults()
        faults.add(Rule(rate=0.25, seed=seed, answer=Answer(status=500)))
        return [faults.answer("segmentio", None, (None, None)) is not None for _ in range(2000)]

    assert run(7) == run(7) != run(8)
    assert statistics.fmean(run(7)) == pytest.approx(0.25, abs=0.05)


async def test_an_answer_carries_headers_body_and_retry_after(pendo: Simulator) -> None:
    answer = Answer(status=429, headers={"x-a": "b"}, body="slow down", retry_after=3)
    pendo.faults.add(Rule(script=[answer]))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{pendo.url}/data/segmentio/sandbox-api-key", json=event()) as response,
    ):
        assert (response.status, await response.text()) == (429, "slow down")
        assert (response.headers["Retry-After"], response.headers["x-a"]) == ("3", "b")


async def test_a_redirect_can_be_answered(pendo: Simulator) -> None:
    pendo.faults.add(Rule(script=[Answer(status=302, headers={"Location": "/elsewhere"})]))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{pendo.url}/data/segmentio/sandbox-api-key", json=event(), allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


async def test_html_is_a_success_that_keeps_nothing(pendo: Simulator) -> None:
    """Something other than Pendo answered 200 with a page."""
    pendo.faults.add(Rule(answer=Answer(html=True)))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{pendo.url}/data/segmentio/sandbox-api-key", json=event()) as response,
    ):
        assert (response.status, response.content_type) == (200, "text/html")
        assert "<html" in (await response.text()) or "<!doctype" in (await response.text())
    assert not pendo.store.accepted


async def test_an_answer_can_get_lost_after_the_event_was_kept(pendo: Simulator, caller: Caller) -> None:
    await caller.ask("POST", "faults", {"script": [{"reset": True, "applied": True}]})
    assert await caller.send(event()) == "reset"
    assert pendo.store.accepted == {"m": 1}


async def test_an_answer_can_be_slow_or_never_come(pendo: Simulator, caller: Caller) -> None:
    """A hung request ends in the log when its client goes, and then is in flight no more."""
    await caller.ask("POST", "faults", {"script": [{"delay_s": 0.1}, {"hang": True}]})
    began_s = time.monotonic()
    assert await caller.send(event()) == 200
    assert time.monotonic() - began_s >= 0.1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(caller.send(event("hung")), 0.1)
    while pendo.log.in_flight:
        await asyncio.sleep(0.01)
    assert [entry.status for entry in pendo.log] == [200, "gone"]


async def test_a_changed_key_is_in_force_at_once(caller: Caller) -> None:
    await caller.ask("POST", "key", {"api_key": "new"})
    assert await caller.send(event()) == 403
    assert await caller.send(event(), key="new") == 200


async def test_latency_delays_every_answer(caller: Caller) -> None:
    await caller.ask("POST", "latency", {"median_s": 0.05})
    began_s = time.monotonic()
    await caller.send(event())
    assert time.monotonic() - began_s >= 0.05


def test_lognormal_latency_has_the_stated_median_and_p99() -> None:
    latency = Latency(0.1, 0.5, seed=3)
    cuts = statistics.quantiles([latency.next_s() for _ in range(20_000)], n=100)
    assert cuts[49] == pytest.approx(0.1, rel=0.1)
    assert cuts[98] == pytest.approx(0.5, rel=0.15)


async def test_the_log_tells_every_request_in_the_order_of_arrival(caller: Caller) -> None:
    await caller.ask("POST", "faults", {"messageId": "b", "script": [400]})
    for message_id in ("a", "b"):
        await caller.send(event(message_id, properties={"groupId": "acme"}))
    first, second = (await caller.ask("GET", "log"))["entries"]
    assert (first["seq"], first["route"], first["message_id"], first["type"]) == (1, "segmentio", "a", "track")
    assert (first["visitor"], first["account"], first["status"]) == ("ann", "acme", 200)
    assert first["started_s"] <= first["ended_s"] <= second["started_s"]
    assert (second["status"], second["why"]) == (400, "fault")
    assert '"messageId": "b"' in second["body"]
    assert first["body_hash"] != second["body_hash"]
    assert [entry["seq"] for entry in (await caller.ask("GET", "log?since=1"))["entries"]] == [2]


async def test_two_requests_of_one_visitor_at_once_are_noticed(caller: Caller) -> None:
    """Order tests rest on this: at most one request in flight a lane."""
    await caller.ask("POST", "latency", {"median_s": 0.1})
    await asyncio.gather(caller.send(event("a")), caller.send(event("b")), caller.send(event("c", "bob")))
    counts = await caller.ask("GET", "counts")
    assert (counts["max_in_flight"], counts["max_lane_in_flight"], counts["lane_overlaps"]) == (3, 2, 1)
    assert counts["in_flight"] == 0


async def test_two_states_of_one_account_at_once_are_noticed(caller: Caller) -> None:
    """Groups of one account with equal traits may go side by side, with other traits not."""

    def group(user: str, seats: int) -> dict[str, Any]:
        return {"type": "group", "userId": user, "groupId": "acme", "traits": {"seats": seats}}

    await caller.ask("POST", "latency", {"median_s": 0.1})
    await asyncio.gather(caller.send(group("a", 1)), caller.send(group("b", 1)))
    assert (await caller.ask("GET", "counts"))["account_conflicts"] == 0
    await asyncio.gather(caller.send(group("a", 1)), caller.send(group("b", 2)))
    assert (await caller.ask("GET", "counts"))["account_conflicts"] == 1


async def test_state_counts_and_accepted_can_be_asked_and_reset(caller: Caller) -> None:
    await caller.send(event(properties={"groupId": "acme"}))
    await caller.ask("POST", "faults", {"answer": 500})
    await caller.send(event())
    state = await caller.ask("GET", "state")
    assert list(state["visitors"]) == ["ann"]
    assert list(state["accounts"]) == ["acme"]
    assert state["events"][0]["name"] == "e"
    assert state["counts"]["by_status"] == {"200": 1, "500": 1}
    assert await caller.ask("GET", "accepted") == {"m": 1}
    await caller.ask("POST", "reset")
    counts = await caller.ask("GET", "counts")
    assert (counts["requests"], counts["visitors"], counts["accepted"]) == (0, 0, {})
    assert await caller.send(event()) == 200


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("faults", {"answer": 500, "script": [500]}),
        ("faults", {}),
        ("faults", 5),
        ("faults", {"answer": {"state": 500}}),
        ("faults", {"answer": "500"}),
        ("faults", {"visitor": "ann", "answer": 500}),
        ("latency", {"median_s": 2, "p99_s": 1}),
        ("latency", {"mean_s": 1}),
        ("key", {"password": "x"}),
    ],
)
async def test_a_mistake_in_a_control_request_is_told(caller: Caller, name: str, asked: Any) -> None:
    assert (await caller.ask("POST", name, asked, status=400))["error"]


async def test_an_unknown_control_is_not_found(caller: Caller) -> None:
    await caller.ask("GET", "other", status=404)
    await caller.ask("PUT", "faults", status=404)


def test_an_empty_rule_cannot_be_made() -> None:
    with pytest.raises(FaultError):
        Rule()


async def test_it_runs_as_a_process_of_its_own() -> None:
    """The first line says where; another key may be given."""
    command = [sys.executable, "-m", "consumer.sandbox.simulator", "--port", "0", "--api-key", "k", "--lean"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as session:
            assert await Caller(url, session).send(event(), key="k") == 200
    finally:
        process.terminate()
        await process.wait()
