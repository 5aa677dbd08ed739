"""What can be read back of the simulated Pendo: who is there, which fields there are, aggregations."""

import time
from typing import Any

import pytest

from tests.sandbox.calls import CREATE, Caller, switched

HOUR_MS = 3600 * 1000


def at(time_ms: int, event: str = "Ran", **more: Any) -> dict[str, Any]:
    properties = {"groupId": "acme"}
    return {"type": "track", "event": event, "userId": "a", "timestamp": time_ms, "properties": properties} | more


async def test_fields_of_an_integration_have_a_group_by_its_name(caller: Caller) -> None:
    """Beside those of `agent`, for visitors and accounts apart."""
    await caller.segment({"type": "identify", "userId": "a", "traits": {"Plan": "pro", "no": None, "odd": {"a": 1}}})
    await caller.segment({"type": "group", "userId": "a", "groupId": "acme", "traits": {"Seats": 5}})
    await caller.write("acme", where=f"account/{CREATE}", tier=True)
    _, visitor = await caller.get("metadata/schema/visitor")
    _, account = await caller.get("metadata/schema/account")
    assert (visitor["segment.io"], visitor["agent"]) == ({"plan": {"Type": "string"}}, {})
    assert (account["segment.io"], account["agent"]) == ({"seats": {"Type": "float"}}, {"tier": {"Type": "boolean"}})


async def test_the_fields_of_auto_are_those_that_somebody_is_read_back_with(caller: Caller) -> None:
    """The schema and the reading agree."""
    await caller.segment(at(1))
    for kind, id_ in (("visitor", "a"), ("account", "acme")):
        _, groups = await caller.get(f"metadata/schema/{kind}")
        _, entity = await caller.get(f"{kind}/{id_}")
        assert set(groups["auto"]) == set(entity["metadata"]["auto"])


async def test_a_field_stays_when_the_last_who_had_it_is_deleted(caller: Caller) -> None:
    """Writing made it."""
    await caller.write("a", plan="pro")
    await caller.post("bulkdelete/visitor", {"visitors": ["a"]})
    _, groups = await caller.get("metadata/schema/visitor")
    assert groups["agent"] == {"plan": {"Type": "string"}}


async def test_custom_fields_are_listed_when_somebody_made_them(caller: Caller) -> None:
    """Text until something else is written."""
    caller.pendo.store.define("visitor", "tier", "seats")
    await caller.write("a", where="visitor/custom/value?create=true", seats=5)
    _, groups = await caller.get("metadata/schema/visitor")
    assert groups["custom"] == {"seats": {"Type": "float"}, "tier": {"Type": "string"}}


@switched(empty_groups=False)
async def test_a_group_without_a_field_may_be_absent(caller: Caller) -> None:
    """In the schema, and where somebody is read back."""
    await caller.write("a", plan="pro")
    _, groups = await caller.get("metadata/schema/visitor")
    _, visitor = await caller.get("visitor/a")
    assert set(groups) == set(visitor["metadata"]) == {"auto", "agent"}


async def test_what_was_kept_and_the_fields_are_forgotten_but_for_those_that_somebody_made(caller: Caller) -> None:
    """A reset, over the control."""
    caller.pendo.store.define("visitor", "tier")
    await caller.write("a", plan="pro")
    await caller.post("bulkdelete/visitor", {"visitors": ["b"]})
    await caller.ask("POST", "reset")
    _, groups = await caller.get("metadata/schema/visitor")
    assert (groups["agent"], groups["custom"]) == ({}, {"tier": {"Type": "string"}})
    store = caller.pendo.store
    assert not store.visitors
    assert not store.writes
    assert not store.deleted


async def test_track_events_of_a_time_series(caller: Caller) -> None:
    """From the first on, before the last, or so many periods; only what is shown."""
    now_ms = time.time_ns() // 1_000_000
    old_ms = now_ms - 8 * 24 * HOUR_MS
    for time_ms, event in ((now_ms - 2 * HOUR_MS, "A"), (now_ms - 90_000, "B"), (old_ms, "C")):
        await caller.segment(at(time_ms, event))

    async def names(**series: int) -> list[str]:
        source = {"trackEvents": None, "timeSeries": {"period": "hourRange"} | series}
        status, rows = await caller.aggregate({"source": source})
        assert status == 200
        return [row["trackEventName"] for row in rows]

    first = now_ms - 2 * HOUR_MS
    assert await names(first=first, count=3) == ["A", "B"]
    assert await names(first=first, count=1) == ["A"]
    assert await names(first=first, last=first) == []
    assert await names(first=first + 1, last=now_ms) == ["B"]
    assert await names(first=old_ms, count=1) == []
    source = {"trackEvents": None, "timeSeries": {"period": "dayRange", "first": first, "count": 1}}
    _, rows = await caller.aggregate({"source": source}, {"limit": 1})
    assert rows == [{"trackEventName": "A", "visitorId": "a", "accountId": "acme", "firstTime": first}]


@pytest.mark.parametrize(
    "series",
    [
        None,
        {"period": "dayRange", "first": 0},
        {"period": "dayRange", "count": 1},
        {"period": "yearRange", "first": 0, "count": 1},
        {"period": ["dayRange"], "first": 0, "count": 1},
        {"period": "dayRange", "first": "now()", "count": 1},
        {"period": "dayRange", "first": 0, "last": None},
    ],
)
async def test_a_time_series_without_its_parts_is_refused(caller: Caller, series: Any) -> None:
    """So is one that we do not know Pendo to take."""
    assert (await caller.aggregate({"source": {"trackEvents": None, "timeSeries": series}}))[0] == 400


@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        {"request": {"pipeline": [{"source": {"visitors": None}}]}},
        {"response": {"mimeType": "text/csv"}, "request": {"pipeline": [{"source": {"visitors": None}}]}},
        {"response": {"mimeType": "application/json"}},
        {"response": {"mimeType": "application/json"}, "request": {"pipeline": {}}},
    ],
)
async def test_an_aggregation_without_its_parts_is_refused(caller: Caller, asked: Any) -> None:
    """So is one that wants no JSON: we know of nothing else."""
    assert (await caller.post("aggregation", asked))[0] == 400


async def test_visitors_and_accounts_come_with_their_metadata(caller: Caller) -> None:
    """By the id that the source is about."""
    await caller.write("a", plan="pro")
    await caller.write("acme", where=f"account/{CREATE}", seats=5)
    _, [visitor] = await caller.aggregate({"source": {"visitors": None}})
    _, [account] = await caller.aggregate({"source": {"accounts": None}})
    assert (visitor["visitorId"], visitor["metadata"]["agent"]) == ("a", {"plan": "pro"})
    assert (account["accountId"], account["metadata"]["agent"]) == ("acme", {"seats": 5})


async def test_the_key_that_may_only_read_can_be_changed(caller: Caller) -> None:
    """As the others can, over the control."""
    await caller.ask("POST", "key", {"read_only_key": "other"})
    caller.key = "other"
    assert await caller.get("token/verify") == (200, {"valid": True, "writeAccess": False})
