"""What became of each id of the simulated Metadata API's calls, in the log and in the store."""

import asyncio
from typing import Any

import pytest

from consumer.sandbox.simulator_faults import Answer, Rule
from tests.sandbox.calls import CREATE, Caller, switched

CUSTOM = "visitor/custom/value?create=true"


async def test_the_log_tells_what_became_of_each_id_of_a_call(caller: Caller) -> None:
    """Also of a call whose answer got lost; of one that was refused nothing became of anybody."""
    rules: list[dict[str, Any]] = [
        {"id": "b", "script": [{"fail": "untold"}]},
        {"id": "c", "script": [{"status": 502, "applied": True}, 400]},
    ]
    await caller.ask("POST", "faults", rules)
    for ids in ("ab", "abc", "c"):
        await caller.write(*ids)
    await caller.write("new", where="visitor/agent/value")
    log = caller.pendo.log
    assert [entry.outcomes for entry in log] == [
        {"a": "updated", "b": "untold"},
        {"a": "updated", "b": "updated", "c": "updated"},
        {},
        {"new": "missing"},
    ]
    assert log.outcomes("visitor:b") == [(200, "untold"), (502, "updated")]
    assert log.outcomes("visitor:c") == [(502, "updated"), (400, None)]
    assert log.outcomes("account:b") == []


async def test_the_store_tells_in_which_order_an_ids_states_were_written(caller: Caller) -> None:
    """Each with its call; the order is that of writing, not that in which calls came."""
    caller.pendo.faults.add(Rule(id="slow", script=[Answer(delay_s=0.1)]))
    slow = asyncio.create_task(caller.write("slow", "a", seats=1))
    while caller.pendo.log.in_flight == 0:
        await asyncio.sleep(0)
    await caller.write("a", seats=2)
    await slow
    writes = caller.pendo.store.writes_of("visitor", "a")
    assert [(write.call, write.group, write.values) for write in writes] == [
        (2, "agent", {"seats": 2}),
        (1, "agent", {"seats": 1}),
    ]
    assert caller.pendo.store.visitors["a"].agent == {"seats": 1}
    assert caller.pendo.log.counts()["lane_overlaps"] == 1


async def test_the_control_shows_the_calls_about_one_id(caller: Caller) -> None:
    """As the log and the store tell it."""
    await caller.write("a b", "c", seats=1)
    await caller.write("c", where=f"account/{CREATE}")
    found = await caller.ask("GET", "calls/visitor/a%20b")
    assert [(entry["seq"], entry["outcomes"]) for entry in found["entries"]] == [
        (1, {"a b": "updated", "c": "updated"})
    ]
    assert found["writes"] == [
        {"call": 1, "kind": "visitor", "id": "a b", "group": "agent", "values": {"seats": 1}},
    ]


async def test_an_id_that_stands_in_a_call_twice_is_counted(caller: Caller) -> None:
    """The later one wins; it is no overlap of two calls."""
    call = [{"visitorId": "a", "values": {"seats": seats}} for seats in (1, 2)]
    _, answer = await caller.post(f"metadata/visitor/{CREATE}", call)
    assert answer == {"total": 2, "updated": 2, "failed": 0}
    assert caller.pendo.store.visitors["a"].agent == {"seats": 2}
    counts = caller.pendo.log.counts()
    assert (counts["repeated_ids"], counts["lane_overlaps"]) == (1, 0)


async def test_calls_about_different_ids_do_not_overlap(caller: Caller) -> None:
    """A visitor and an account of one id are two."""
    caller.pendo.faults.add(Rule(answer=Answer(delay_s=0.1)))
    await asyncio.gather(caller.write("a"), caller.write("b"), caller.write("a", where=f"account/{CREATE}"))
    counts = caller.pendo.log.counts()
    assert (counts["max_in_flight"], counts["max_lane_in_flight"], counts["lane_overlaps"]) == (3, 1, 0)


async def test_a_script_may_fail_at_an_id_and_then_at_the_whole_call(caller: Caller) -> None:
    """Each answer in its turn; what a call that failed as a whole would have said of an id is said by the next."""
    caller.pendo.faults.add(Rule(id="a", script=[Answer(fail="missing"), Answer(status=500), Answer(fail="errors")]))
    caller.pendo.faults.add(Rule(id="b", script=[Answer(status=503)]))
    assert (await caller.write("a", "b"))[0] == 503
    answers = [await caller.write("a") for _ in range(4)]
    assert [status for status, _ in answers] == [200, 500, 200, 200]
    failed = [{key for key in ("missing", "errors") if key in (answer or {})} for _, answer in answers]
    assert failed == [{"missing"}, set(), {"errors"}, set()]


async def test_a_rule_that_fails_at_an_id_keeps_to_its_route(caller: Caller) -> None:
    """Another route's calls are about the same id."""
    caller.pendo.faults.add(Rule(id="a", route="bulkdelete", answer=Answer(fail="errors")))
    assert (await caller.write("a"))[1]["updated"] == 1


async def test_a_forbidden_id_makes_any_call_with_it_403(caller: Caller) -> None:
    """The key is right: the others pass without it."""
    caller.pendo.faults.add(Rule(id="a", answer=Answer(status=403)))
    assert [(await caller.write(*ids))[0] for ids in ("ab", "b")] == [403, 200]


async def test_custom_fields_are_made_by_name_whatever_its_case(caller: Caller) -> None:
    """Pendo lowers names, and puts _ before a digit."""
    caller.pendo.store.define("visitor", "Tier", "300")
    assert caller.pendo.store.custom_fields == {"visitor": {"tier", "_300"}, "account": set()}
    assert (await caller.write("a", where=CUSTOM, TIER=1, **{"300": 2}))[1]["updated"] == 1
    assert caller.pendo.store.visitors["a"].custom == {"tier": 1, "_300": 2}


@switched(refuse_undefined_fields=True)
async def test_a_field_that_nobody_made_may_cost_the_whole_call(caller: Caller) -> None:
    """Nothing of it is written."""
    caller.pendo.store.define("visitor", "tier")
    elements = [{"visitorId": id_, "values": {name: 1}} for id_, name in (("a", "tier"), ("b", "other"))]
    assert (await caller.post(f"metadata/{CUSTOM}", elements))[0] == 400
    assert not caller.pendo.store.visitors
    assert (await caller.post(f"metadata/{CUSTOM}", elements[:1]))[1]["updated"] == 1
    assert (await caller.write("b", other=1))[1]["updated"] == 1


@switched(max_body_bytes=100)
async def test_how_large_a_body_may_be_can_be_switched(caller: Caller) -> None:
    """Pendo names no limit."""
    assert [(await caller.write("a", text="x" * size))[0] for size in (10, 100)] == [200, 413]


@switched(keep_nulls=True)
async def test_nulls_may_be_kept(caller: Caller) -> None:
    """What becomes of them is not documented."""
    await caller.write("a", plan=None)
    assert caller.pendo.store.visitors["a"].agent == {"plan": None}


async def test_objects_are_ignored_at_any_depth_of_lists(caller: Caller) -> None:
    """Lists that are made to be deep are cut."""
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    await caller.write("a", tags=["x", {"a": 1}, ["y", {"b": 1}, [{"c": 1}]]], deep=deep)
    agent = caller.pendo.store.visitors["a"].agent
    assert agent["tags"] == ["x", ["y", []]]
    assert len(str(agent["deep"])) < 200


@pytest.mark.parametrize("path", ["metadata/visitor/auto/value", "metadata/page/agent/value", "metadata/visitor/agent"])
async def test_other_groups_and_kinds_are_no_path(caller: Caller, path: str) -> None:
    """Only `agent` and `custom` are written, of visitors and accounts."""
    assert (await caller.post(path, []))[0] == 404


async def test_an_empty_call_does_nothing(caller: Caller) -> None:
    """It is a list, with nobody in it."""
    assert await caller.post(f"metadata/visitor/{CREATE}", []) == (200, {"total": 0, "updated": 0, "failed": 0})
