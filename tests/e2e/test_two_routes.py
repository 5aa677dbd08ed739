"""Several routes in one process: each with its own endpoint, order and credential; none waits for another."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer import watch
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, event

USERS, EACH = 10, 10


def identify(number: int, user: str) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "messageId": f"i-{user}-{number}", "traits": {"n": number}}


def fact(number: int, user: str) -> dict[str, Any]:
    """A track, or in its place a page or a screen; both become track events."""
    made = event(number, user=user, messageId=f"f-{user}-{number}")
    kind = ("track", "page", "screen")[number % 3]
    return made if kind == "track" else made | {"type": kind, "name": f"Name {number}"}


def by_track(pipe: Pipe) -> dict[str, str]:
    """Settings: facts by the Track Events API, state by Segment's endpoint."""
    routes = {f"routes__{type_}": "track" for type_ in ("track", "page", "screen")}
    return routes | {"pendo__track_event_secret": pipe.simulator.track_event_secret}


def accepted(pipe: Pipe, route: str, user: str) -> list[int]:
    """The numbers of one user's events that Pendo took by a route, in that order."""
    wanted, holder = (route, user, 200), "traits" if route == "segmentio" else "properties"
    taken = [entry for entry in pipe.simulator.log if (entry.route, entry.visitor, entry.status) == wanted]
    return [orjson.loads(entry.body or "")[holder]["n"] for entry in taken]


async def test_facts_by_one_route_and_state_by_another_keep_their_order_and_are_all_accounted_for(pipe: Pipe) -> None:
    """One visitor's, within each route; with slow answers, and some that fail first."""
    pipe.simulator.faults.add(Rule(rate=0.2, answer=Answer(status=500), seed=7))
    pipe.simulator.faults.add(Rule(answer=Answer(delay_s=0.005)))
    users = [f"u{number}" for number in range(USERS)]
    events = [make(n, user) for n in range(EACH) for user in users for make in (identify, fact)]
    async with pipe.service(delivery__max_retry_delay_s="0.5", **by_track(pipe)) as service:
        await pipe.produce(events)
        metrics = await service.until_settled(len(events))
        await service.until(lambda m: m.sum("lag_records") == 0)
        assert await service.stop() == 0
    for user in users:
        assert accepted(pipe, "segmentio", user) == list(range(EACH))
        assert accepted(pipe, "track", user) == list(range(EACH))
    assert pipe.simulator.log.counts()["lane_overlaps"] == 0
    assert metrics.sum("events_settled_total", outcome="delivered") == len(events)
    for route in ("segmentio", "track"):
        assert metrics.sum("requests_total", route=route, status="200") == len(events) / 2
    assert metrics.sum("warnings_total", kind="no_account") == len(events) / 2
    assert {e.name for e in pipe.simulator.store.events} >= {"Clicked", "Viewed Name 1 Page", "Viewed Name 2 Screen"}
    assert not await pipe.dead_letters()


@pytest.mark.parametrize("down", ["segmentio", "track"])
async def test_a_route_whose_endpoint_is_down_holds_no_other_up(pipe: Pipe, down: str) -> None:
    """The same visitors' events go on by the other; nothing is dead-lettered, and it heals by itself."""
    pipe.simulator.faults.add(Rule(route=down, answer=Answer(status=503)))
    waiting, going = ("identify", "track") if down == "segmentio" else ("track", "identify")
    events = [make(3 * n, f"u{n}") for n in range(USERS) for make in (identify, fact)]
    async with pipe.service(delivery__max_retry_delay_s="0.5", **by_track(pipe)) as service:
        await pipe.produce(events)
        metrics = await service.until_settled(USERS)
        assert metrics.sum("events_settled_total", type=going, outcome="delivered") == USERS
        assert (metrics.sum("events_settled_total", type=waiting), metrics.sum("events_open")) == (0, USERS)
        assert await service.reasons() == []
        pipe.simulator.faults.clear()
        metrics = await service.until_settled(2 * USERS)
    assert metrics.sum("events_settled_total", type=waiting, outcome="delivered") == USERS
    assert not await pipe.dead_letters()


async def test_a_wrong_track_event_secret_stalls_its_route_alone_and_heals_when_its_file_changes(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events stay in Kafka, `/readyz` says which it is; the new secret is used at once."""
    monkeypatch.setattr(watch, "SECRET_RECHECK_S", 0.1)
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    settings = by_track(pipe) | {"pendo__track_event_secret": "", "pendo__track_event_secret_file": str(secret)}
    events = [make(3 * n, f"u{n}") for n in range(USERS) for make in (identify, fact)]
    async with pipe.service(**settings) as service:
        await pipe.produce(events, partition=0)
        await service.until_reasons(["credentials"])
        metrics = await service.until_settled(USERS)
        assert metrics.sum("stalled", reason="credentials", route="track") == 1
        assert metrics.sum("stalled", route="segmentio") == 0
        assert metrics.sum("events_settled_total", type="track") == 0
        secret.write_text(pipe.simulator.track_event_secret)
        await service.until_settled(2 * USERS)
        assert await service.reasons() == []
    assert not await pipe.dead_letters()
