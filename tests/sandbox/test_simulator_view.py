"""What a Pendo user would see of what was answered with success."""

import time
from typing import Any

import aiohttp
import pytest

from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_store import MAX_AGE_MS
from consumer.sandbox.simulator_switches import Switches
from consumer.sandbox.simulator_view import TOO_LARGE, time_of, view


def now_ms() -> int:
    return int(time.time() * 1000)


async def track(pendo: Simulator, at_ms: int | None = None, **fields: Any) -> None:
    """An event by the Track Events API."""
    event = {"type": "track", "event": "Clicked", "visitorId": "v", "timestamp": at_ms or now_ms(), "context": {}}
    headers = {pendo.switches.track_header: pendo.track_event_secret}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{pendo.url}/data/track", json=event | fields, headers=headers) as answer,
    ):
        assert answer.status == 200


async def segment(pendo: Simulator, event: dict[str, Any]) -> None:
    """An event by the Segment endpoint."""
    url = f"{pendo.url}/data/segmentio/{pendo.api_key}"
    async with aiohttp.ClientSession() as session, session.post(url, json=event) as answer:
        assert answer.status == 200


def seen(pendo: Simulator, kind: Any = "visitor", id_: str = "v") -> list[dict[str, Any]]:
    """The events that are shown of one."""
    shown = view(pendo.store, kind, id_)
    assert shown is not None
    events: list[dict[str, Any]] = shown["events"]
    return events


async def test_an_event_is_shown_with_its_account_time_and_properties() -> None:
    """At its visitor, and at its account."""
    async with Simulator() as pendo:
        at_ms = now_ms() - 1_000
        await track(pendo, at_ms, accountId="acme", properties={"plan": "pro"})
        expected = {"name": "Clicked", "visitor": "v", "account": "acme", "at_ms": at_ms, "properties": {"plan": "pro"}}
        assert seen(pendo) == seen(pendo, "account", "acme") == [expected]


@pytest.mark.parametrize(("age_ms", "count"), [(MAX_AGE_MS - 60_000, 1), (MAX_AGE_MS + 60_000, 0)])
async def test_what_is_older_than_seven_days_is_not_shown(age_ms: int, count: int) -> None:
    """Though it was answered with 200, on both ways in."""
    async with Simulator() as pendo:
        await track(pendo, now_ms() - age_ms)
        assert len(seen(pendo)) == count
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((now_ms() - age_ms) / 1000))
        await segment(pendo, {"type": "track", "event": "Ran", "userId": "w", "timestamp": at})
        assert len(seen(pendo, id_="w")) == count


async def test_properties_over_512_bytes_are_shown_as_too_large() -> None:
    """By the bytes of their JSON."""
    async with Simulator() as pendo:
        await track(pendo, properties={"a": "x" * 504})
        await track(pendo, properties={"a": "x" * 505})
        assert [event["properties"] for event in seen(pendo)] == [{"a": "x" * 504}, TOO_LARGE]


async def test_names_that_break_the_rules_are_not_shown() -> None:
    """Letters, digits and _, at most 32, no digit first, not both begin and end with __."""
    async with Simulator() as pendo:
        good = {"a" * 32: 1, "_x": 1, "A9_": 1, "__x": 1, "x__": 1}
        await track(pendo, properties=good | {"a" * 33: 1, "9a": 1, "a b": 1, "é": 1, "__x__": 1, "": 1})
        assert seen(pendo)[0]["properties"] == good


async def test_without_the_subscriptions_setting_no_track_of_the_segment_endpoint_is_shown() -> None:
    """It is answered with success all the same."""
    async with Simulator(switches=Switches(track_enabled=False)) as pendo:
        await segment(pendo, {"type": "track", "event": "Ran", "userId": "v"})
        await track(pendo)
        assert [event["name"] for event in seen(pendo)] == ["Clicked"]


async def test_metadata_is_shown_by_the_way_it_came() -> None:
    """The Segment endpoint's in a group of its own; of an unknown id nothing."""
    async with Simulator() as pendo:
        await segment(pendo, {"type": "identify", "userId": "v", "traits": {"Plan": "pro", "a": {"b": 1}}})
        pendo.store.write("visitor", "v", "agent", {"Seats": 3})
        shown = view(pendo.store, "visitor", "v")
        assert shown is not None
        assert shown["metadata"] == {"segment.io": {"plan": "pro"}, "agent": {"seats": 3}, "custom": {}}
        assert view(pendo.store, "visitor", "nobody") is None
        url = f"{pendo.url}/_sim/view"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/visitor/v") as answer:
                assert await answer.json() == shown
            async with session.get(f"{url}/visitor/nobody") as answer:
                assert answer.status == 404


async def test_custom_fields_can_be_made_from_outside() -> None:
    """As somebody would at Pendo."""
    async with Simulator() as pendo, aiohttp.ClientSession() as session:
        async with session.post(f"{pendo.url}/_sim/custom", json={"visitor": ["Tier"]}) as answer:
            assert answer.status == 200
        assert pendo.store.custom_fields == {"visitor": {"tier"}, "account": set()}


async def test_what_was_seen_does_not_change_with_what_comes_later() -> None:
    """A test compares before and after."""
    async with Simulator() as pendo:
        pendo.store.write("visitor", "v", "agent", {"plan": "pro"})
        before = view(pendo.store, "visitor", "v")
        pendo.store.write("visitor", "v", "agent", {"plan": "free"})
        assert before is not None
        assert before["metadata"]["agent"] == {"plan": "pro"}


@pytest.mark.parametrize(("switches", "count"), [(Switches(), 1), (Switches(file_future=False), 0)])
async def test_events_of_the_future_are_shown_or_not_on_both_ways_in(switches: Switches, count: int) -> None:
    """A switch, for it is not documented."""
    async with Simulator(switches=switches) as pendo:
        await track(pendo, now_ms() + 60_000)
        await segment(pendo, {"type": "track", "event": "Ran", "userId": "w", "timestamp": now_ms() + 60_000})
        assert len(seen(pendo)) == len(seen(pendo, id_="w")) == count


@pytest.mark.parametrize("timestamp", [None, "yesterday", True, "2026-13-01T00:00:00Z"])
async def test_without_a_time_that_can_be_read_an_event_is_shown_when_it_came(timestamp: Any) -> None:
    """Segment's events may be without one."""
    async with Simulator() as pendo:
        began_ms = now_ms()
        await segment(pendo, {"type": "track", "event": "Ran", "userId": "v", "timestamp": timestamp})
        assert began_ms <= seen(pendo)[0]["at_ms"] <= now_ms()


@pytest.mark.parametrize(
    "timestamp", ["1970-01-01T00:00:00.005Z", "1970-01-01T01:00:00.005+01:00", "1970-01-01T00:00:00.005"]
)
async def test_times_are_shown_in_milliseconds(timestamp: str) -> None:
    """With a zone, or without one in UTC."""
    async with Simulator() as pendo:
        await segment(pendo, {"type": "track", "event": "Ran", "userId": "v", "timestamp": timestamp})
        [event] = pendo.store.events
        assert time_of(event) == 5


async def test_properties_that_are_nested_too_deeply_to_be_measured_are_too_large() -> None:
    """Their brackets alone are."""
    async with Simulator() as pendo:
        deep: list[Any] = []
        for _ in range(300):
            deep = [deep]
        await track(pendo, properties={"a": deep})
        assert seen(pendo)[0]["properties"] == TOO_LARGE
