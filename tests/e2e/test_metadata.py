"""The Metadata API and bulk deletion, with the real service before a broker and a Pendo that answers over HTTP.

What is asserted is what a Pendo user would see, not only what was sent.
"""

import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer import watch
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Rule
from consumer.sandbox.simulator_switches import Switches
from consumer.sandbox.simulator_view import view
from tests.e2e.pipe import Broker, Pipe, event

IDS, EACH = 40, 5


def identify(user: str, number: int = 0, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "messageId": f"i-{user}-{number}", "traits": traits}


def group(account: str, number: int = 0, **traits: Any) -> dict[str, Any]:
    """Of nobody: it needs no visitor here."""
    return {"type": "group", "groupId": account, "messageId": f"g-{account}-{number}", "traits": traits}


def by_calls(pipe: Pipe, **settings: str) -> dict[str, str]:
    """Settings: state by the Metadata API, tracks by the Track Events API, pages by Segment's, deletions in bulk."""
    simulator = pipe.simulator
    return {
        "routes__identify": "metadata",
        "routes__group": "metadata",
        "routes__track": "track",
        "routes__delete": "bulkdelete",
        "pendo__api_url": simulator.url,
        "pendo__integration_key": simulator.integration_key,
        "pendo__track_event_secret": simulator.track_event_secret,
        "delivery__max_retry_delay_s": "0.5",
    } | settings


def shown(pipe: Pipe, kind: Any, id_: str) -> Any:
    """What a Pendo user sees of one."""
    return view(pipe.simulator.store, kind, id_)


async def switched(broker: Broker, switches: Switches) -> Pipe:
    """A pipe before a simulator with these switches; the caller opens it."""
    pipe = Pipe(broker, Simulator(switches=switches))
    await pipe.create_topics()
    return pipe


async def test_state_arrives_in_few_calls_and_a_user_sees_the_newest_of_each_field(pipe: Pipe) -> None:
    """Visitors and accounts; each event is delivered or merged into one that is, and all are committed."""
    events = [identify(f"u{n}", turn, Plan=turn, **{f"t{turn}": n}) for turn in range(EACH) for n in range(IDS)]
    events += [group(f"a{n}", turn, seats=turn) for turn in range(EACH) for n in range(IDS)]
    async with pipe.service(**by_calls(pipe)) as service:
        await pipe.produce(events)
        metrics = await service.until_settled(len(events))
        await service.until(lambda m: m.sum("lag_records") == 0)
        assert await service.stop() == 0
    for n in range(IDS):
        expected = {"plan": EACH - 1} | {f"t{turn}": n for turn in range(EACH)}
        assert shown(pipe, "visitor", f"u{n}")["metadata"]["agent"] == expected
        assert shown(pipe, "account", f"a{n}")["metadata"]["agent"] == {"seats": EACH - 1}
    settled = {o: metrics.sum("events_settled_total", outcome=o) for o in ("delivered", "merged")}
    assert sum(settled.values()) == len(events)
    assert settled["merged"] > len(events) / 2
    calls = metrics.sum("requests_total", route="metadata", status="200")
    assert calls < len(events) / 10
    assert pipe.simulator.log.counts()["lane_overlaps"] == 0
    assert not await pipe.dead_letters()


async def test_all_routes_at_once_each_by_its_own_endpoint(pipe: Pipe) -> None:
    """One visitor's state, facts and pages, and somebody else's deletion."""
    async with pipe.service(**by_calls(pipe)) as service:
        await pipe.produce([identify("gone", plan="pro")])
        await service.until_settled(1)
        facts = [event(n, user="ann", timestamp=int(time.time() * 1000)) for n in range(EACH)]
        page = {"type": "page", "userId": "ann", "name": "Home", "messageId": "p", "properties": {"groupId": "acme"}}
        await pipe.produce([identify("ann", plan="pro"), *facts, page, {"type": "delete", "userId": "gone"}])
        metrics = await service.until_settled(1 + EACH + 3)
    ann = shown(pipe, "visitor", "ann")
    assert ann["metadata"]["agent"] == {"plan": "pro"}
    assert [e["properties"]["n"] for e in ann["events"] if e["name"] == "Clicked"] == list(range(EACH))
    assert [e["account"] for e in ann["events"] if e["name"] == "Viewed Home Page"] == ["acme"]
    assert shown(pipe, "visitor", "gone") is None
    for route in ("metadata", "track", "segmentio", "bulkdelete"):
        assert metrics.sum("requests_total", route=route, status="200") > 0


@pytest.mark.parametrize(("fail", "reason"), [("errors", "refused"), ("missing", "missing"), ("untold", "refused")])
async def test_an_id_that_pendo_fails_at_is_dead_lettered_and_its_neighbours_are_not(
    pipe: Pipe, fail: Any, reason: str
) -> None:
    """Named in either list, or only counted."""
    pipe.simulator.faults.add(Rule(id="u7", answer=Answer(fail=fail)))
    async with pipe.service(**by_calls(pipe)) as service:
        await pipe.produce([identify(f"u{n}", plan="pro") for n in range(IDS)])
        await service.until_settled(IDS)
        assert await service.stop() == 0
    assert {n for n in range(IDS) if shown(pipe, "visitor", f"u{n}")} == set(range(IDS)) - {7}
    [letter] = await pipe.dead_letters()
    assert orjson.loads(letter.value or b"")["userId"] == "u7"
    headers = {name: value.decode() for name, value in letter.headers}
    assert (headers["pendo.dlq.reason"], headers["pendo.dlq.status"]) == (reason, "200")


async def test_ids_that_pendo_does_not_know_are_dead_letters_when_none_are_to_be_created(pipe: Pipe) -> None:
    """Those that it knows are updated by the same call."""
    pipe.simulator.store.write("visitor", "known", "agent", {"plan": "free"})
    async with pipe.service(**by_calls(pipe, pendo__metadata_create="false")) as service:
        await pipe.produce([identify("known", plan="pro"), identify("unknown", plan="pro")])
        metrics = await service.until_settled(2)
    assert shown(pipe, "visitor", "known")["metadata"]["agent"] == {"plan": "pro"}
    assert metrics.sum("events_settled_total", outcome="dead_lettered", reason="missing") == 1


async def test_fields_of_custom_must_exist(pipe: Pipe) -> None:
    """One that does not is found among its neighbours and among the events that went with it."""
    pipe.simulator.store.custom_fields["visitor"].add("tier")
    events = [
        identify("ann", 0, tier=1),
        identify("ann", 1, other=2),
        identify("ann", 2, tier=3),
        identify("bea", tier=1),
    ]
    async with pipe.service(**by_calls(pipe, pendo__metadata_group="custom")) as service:
        await pipe.produce(events, partition=0)
        metrics = await service.until_settled(len(events))
    assert shown(pipe, "visitor", "ann")["metadata"]["custom"] == {"tier": 3}
    assert shown(pipe, "visitor", "bea")["metadata"]["custom"] == {"tier": 1}
    assert metrics.sum("events_settled_total", outcome="dead_lettered", reason="refused") == 1
    [letter] = await pipe.dead_letters()
    assert orjson.loads(letter.value or b"")["messageId"] == "i-ann-1"


@pytest.mark.parametrize("status", [400, 422])
async def test_an_id_that_makes_pendo_refuse_the_whole_call_is_found(pipe: Pipe, status: int) -> None:
    """In a few calls; the others are delivered."""
    pipe.simulator.faults.add(Rule(id="u7", route="metadata", answer=Answer(status=status)))
    async with pipe.service(**by_calls(pipe)) as service:
        await pipe.produce([identify(f"u{n}", plan="pro") for n in range(IDS)])
        metrics = await service.until_settled(IDS)
    assert {n for n in range(IDS) if shown(pipe, "visitor", f"u{n}")} == set(range(IDS)) - {7}
    assert metrics.sum("events_settled_total", outcome="dead_lettered", reason="refused") == 1
    assert metrics.sum("requests_total", route="metadata") < IDS


async def test_an_answer_that_got_lost_changes_nothing_in_the_end(pipe: Pipe) -> None:
    """The call was applied; it goes again, with what came meanwhile, and the newest stands."""
    pipe.simulator.faults.add(Rule(route="metadata", script=[Answer(reset=True, applied=True)]))
    async with pipe.service(**by_calls(pipe)) as service:
        await pipe.produce([identify("ann", 0, plan="free"), identify("ann", 1, plan="pro")], partition=0)
        await service.until_settled(2)
    assert shown(pipe, "visitor", "ann")["metadata"]["agent"] == {"plan": "pro"}
    assert not await pipe.dead_letters()


async def test_an_outage_of_the_metadata_api_holds_no_fact_up_and_gives_nothing_up(pipe: Pipe) -> None:
    """Facts never wait for state on another endpoint; it heals by itself."""
    pipe.simulator.faults.add(Rule(route="metadata", answer=Answer(status=503)))
    events = [made for n in range(IDS) for made in (identify(f"u{n}", plan="pro"), event(n, user=f"u{n}"))]
    async with pipe.service(**by_calls(pipe)) as service:
        await pipe.produce(events)
        metrics = await service.until_settled(IDS)
        assert metrics.sum("events_settled_total", type="track", outcome="delivered") == IDS
        assert metrics.sum("events_open") == IDS
        assert await service.reasons() == []
        pipe.simulator.faults.clear()
        metrics = await service.until_settled(2 * IDS)
    assert metrics.sum("events_settled_total", type="identify") == IDS
    assert not await pipe.dead_letters()


async def test_a_wrong_integration_key_stalls_its_routes_alone_and_heals_when_its_file_changes(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both routes that use it; its events stay in Kafka."""
    monkeypatch.setattr(watch, "SECRET_RECHECK_S", 0.1)
    secret = tmp_path / "key"
    secret.write_text("wrong\n")
    settings = by_calls(pipe, pendo__integration_key="", pendo__integration_key_file=str(secret))
    events = [identify("ann", plan="pro"), {"type": "delete", "userId": "bea"}, event(1, user="ann")]
    async with pipe.service(**settings) as service:
        await pipe.produce(events, partition=0)
        await service.until_reasons(["credentials"])
        metrics = await service.until(lambda m: m.sum("stalled", reason="credentials") == 2)
        assert metrics.sum("events_settled_total", type="track") == 1
        secret.write_text(pipe.simulator.integration_key)
        await service.until_settled(len(events))
        assert await service.reasons() == []
    assert not await pipe.dead_letters()


async def test_a_stop_hands_back_what_waits_for_its_call_and_the_next_process_delivers_it(pipe: Pipe) -> None:
    """Nothing is lost; nothing that was delivered is sent again."""
    async with pipe.service(**by_calls(pipe)) as service:
        await pipe.produce([identify(f"u{n}", 0, plan="free") for n in range(IDS)])
        await service.until_settled(IDS)
        pipe.simulator.faults.add(Rule(route="metadata", answer=Answer(hang=True)))
        await pipe.produce([identify(f"u{n}", 1, plan="pro") for n in range(IDS)])
        await service.until(lambda m: m.sum("requests_in_flight", route="metadata") > 0)
        assert await service.stop() == 0
    pipe.simulator.faults.clear()
    seen = pipe.simulator.log.seq
    async with pipe.service(**by_calls(pipe)) as service:
        await service.until_settled(IDS)
        await service.until(lambda m: m.sum("lag_records") == 0)
    assert all(shown(pipe, "visitor", f"u{n}")["metadata"]["agent"] == {"plan": "pro"} for n in range(IDS))
    bodies = [entry.body or "" for entry in pipe.simulator.log.since(seen)]
    assert not any("free" in body for body in bodies)


async def test_a_deleted_visitor_is_made_anew_by_later_events(pipe: Pipe) -> None:
    """Also by what changes nothing of what was delivered before it: Pendo has nothing of it any more."""
    async with pipe.service(**by_calls(pipe, delivery__suppress_unchanged="true")) as service:
        for number, made in enumerate(
            [
                identify("ann", 0, plan="pro", seats=3),
                {"type": "delete", "userId": "ann"},
                identify("ann", 1, plan="pro"),
            ]
        ):
            await pipe.produce([made], partition=0)
            await service.until_settled(number + 1)
    assert shown(pipe, "visitor", "ann")["metadata"]["agent"] == {"plan": "pro"}


@pytest.mark.parametrize(
    "switches",
    [
        Switches(empty_lists=True, keep_nulls=True),
        Switches(list_failures=False, require_context=False, file_future=False),
        Switches(track_header="x-pendo-track-event-secret", accept_arrays=True, unsupported_status=200),
        Switches(delete_at_once=False, delete_per_s=None, success_status=202, success_body="ok"),
    ],
    ids=["lists", "no lists", "header", "slow deletion"],
)
async def test_what_pendo_leaves_open_makes_no_difference(broker: Broker, switches: Switches) -> None:
    """Each switch in the other position: the same events end the same, and the same is seen."""
    pipe = await switched(broker, switches)
    async with pipe.simulator as simulator:
        simulator.store.write("visitor", "known", "agent", {"plan": "free"})
        settings = by_calls(pipe, pendo__metadata_create="false", pendo__track_event_header=switches.track_header)
        events = [
            identify("known", plan="pro", none=None),
            identify("unknown", plan="pro"),
            event(1, user="known"),
            {"type": "page", "userId": "known", "name": "Home", "messageId": "p"},
            {"type": "delete", "userId": "other"},
        ]
        async with pipe.service(**settings) as service:
            await pipe.produce(events, partition=0)
            metrics = await service.until_settled(len(events))
        known = shown(pipe, "visitor", "known")
    assert known["metadata"]["agent"] == {"plan": "pro"}
    assert sorted(e["name"] for e in known["events"]) == ["Clicked", "Viewed Home Page"]
    assert metrics.sum("events_settled_total", outcome="delivered") == len(events) - 1
    assert metrics.sum("events_settled_total", outcome="dead_lettered") == 1
