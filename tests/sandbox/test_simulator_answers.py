"""What the simulated Pendo answers when nothing is wrong with it, and what it keeps."""

import asyncio
import io
import json
import time
from typing import Any

import aiohttp
import pytest

from consumer.sandbox.simulator import Keep, Simulator
from consumer.sandbox.simulator_checks import MAX_BODY_BYTES
from consumer.sandbox.simulator_faults import Answer, Rule
from consumer.sandbox.simulator_switches import Switches

JSON = {"Content-Type": "application/json"}
KEY = {"x-pendo-integration-key": "sandbox-integration-key"}


async def post(pendo: Simulator, event: Any, **changed: Any) -> tuple[int, bytes]:
    """Send one event; `changed` may replace the method, the path, the key, the bytes and the headers."""
    body = changed.get("body", json.dumps(event).encode())
    path = changed.get("path", f"/data/segmentio/{changed.get('key', pendo.api_key)}")
    method = changed.get("method", "POST")
    headers = changed.get("headers", JSON)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, pendo.url + path, data=io.BytesIO(body), headers=headers) as response,
    ):
        return response.status, await response.read()


async def get(pendo: Simulator, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(pendo.url + path, headers=headers) as response:
        body = await response.read()
        return response.status, json.loads(body) if body else None


def identify(**changed: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "ann", "messageId": "m-1", "traits": {"plan": "pro"}} | changed


def group(**changed: Any) -> dict[str, Any]:
    return {"type": "group", "userId": "ann", "groupId": "acme", "messageId": "m-2", "traits": {"Seats": 5}} | changed


def track(**changed: Any) -> dict[str, Any]:
    event = {"type": "track", "userId": "ann", "event": "Signed up", "messageId": "m-3"}
    return event | {"timestamp": "2025-01-02T03:04:05.678Z", "properties": {"groupId": "acme", "n": 1}} | changed


def track_event(**changed: Any) -> dict[str, Any]:
    """As the documentation of the Track Events API has it; now."""
    event = {"type": "track", "event": "Registered", "visitorId": "ann", "accountId": "acme"}
    at = {"timestamp": time.time_ns() // 1_000_000, "properties": {"plan": "Pro"}, "context": {"ip": "76.253.187.23"}}
    return event | at | changed


async def post_track(pendo: Simulator, event: Any, **changed: Any) -> tuple[int, bytes]:
    secret = changed.pop("secret", pendo.track_event_secret)
    headers = JSON | {pendo.switches.track_header: secret}
    return await post(pendo, event, **({"path": "/data/track", "headers": headers} | changed))


async def test_the_track_events_api_files_an_event_of_a_visitor_and_an_account() -> None:
    """The answer is 200 with nothing in it; numbers as ids are turned into text."""
    async with Simulator() as pendo:
        assert await post_track(pendo, track_event()) == (200, b"")
        assert await post_track(pendo, track_event(visitorId=7, accountId=8, context={}, properties=None)) == (200, b"")
        first, second = pendo.store.events
        assert pendo.store.visitors["ann"].accounts == ["acme"]
        assert {entry.route for entry in pendo.log} == {"track"}
    assert (first.name, first.visitor, first.account) == ("Registered", "ann", "acme")
    assert first.properties == {"plan": "Pro"}
    assert isinstance(first.timestamp, int)
    assert (second.visitor, second.account, second.properties) == ("7", "8", {})


@pytest.mark.parametrize(
    "event",
    [
        *(track_event(type=type_) for type_ in (None, "page", 5)),
        *(track_event(event=name) for name in (None, " ", 5)),
        *(track_event(visitorId=id_) for id_ in (None, "", "::", True, {"a": 1}, "VISITOR-UNIQUE-ID")),
        *(track_event(timestamp=at) for at in (None, "2026-01-01T00:00:00Z", "1524069206000", 1524069206000.5, True)),
        track_event(properties=[1]),
        *(track_event(context=context) for context in (None, ["a"], "x")),
        [track_event()],
        5,
        None,
    ],
)
async def test_the_track_events_api_refuses_what_is_missing_or_of_the_wrong_type(event: Any) -> None:
    """Two events a request are not taken either."""
    async with Simulator() as pendo:
        assert await post_track(pendo, event) == (400, b"")
        assert not pendo.store.events


@pytest.mark.parametrize("header", ["x-pendo-integration-key", "x-pendo-track-event-secret"])
async def test_the_track_events_api_takes_the_shared_secret_in_one_header(header: str) -> None:
    """Neither another secret nor another header, nor none."""
    async with Simulator(switches=Switches(track_header=header)) as pendo:
        assert await post_track(pendo, track_event()) == (200, b"")
        assert await post_track(pendo, track_event(), secret="other") == (403, b"")
        other = JSON | {"x-other": pendo.track_event_secret}
        assert await post_track(pendo, track_event(), headers=other) == (403, b"")
        assert await post_track(pendo, track_event(), headers=JSON) == (403, b"")


async def test_method_type_and_size_are_checked_on_the_track_events_api_too() -> None:
    async with Simulator() as pendo:
        secret = {pendo.switches.track_header: pendo.track_event_secret}
        assert (await post_track(pendo, track_event(), method="PUT"))[0] == 405
        assert (await post_track(pendo, track_event(), headers=secret | {"Content-Type": "text/plain"}))[0] == 415
        assert (await post_track(pendo, track_event(properties={"a": "x" * MAX_BODY_BYTES})))[0] == 413


async def test_track_events_older_than_seven_days_are_answered_with_200_and_not_processed() -> None:
    """Those to come are, or by a switch are not."""
    now_ms, day_ms = time.time_ns() // 1_000_000, 24 * 3600 * 1000
    for file_future in (True, False):
        async with Simulator(switches=Switches(file_future=file_future)) as pendo:
            for days in (-6.9, -7.1, 1):
                assert await post_track(pendo, track_event(timestamp=now_ms + int(days * day_ms))) == (200, b"")
            assert len(pendo.store.events) == (2 if file_future else 1)
            assert pendo.store.accepted_types == {"track": 3}


async def test_what_is_open_of_the_track_events_api_can_be_switched() -> None:
    """An account that Pendo would not take; a body without a context."""
    event = track_event(accountId=True)
    del event["context"]
    async with Simulator(switches=Switches(require_context=False)) as pendo:
        assert (await post_track(pendo, event))[0] == 200
        assert pendo.store.events[0].account is None
    async with Simulator(switches=Switches(require_context=False, refuse_invalid_account=True)) as pendo:
        assert (await post_track(pendo, event))[0] == 400


async def test_one_visitor_on_two_routes_is_no_overlap() -> None:
    """Facts never wait for state on another endpoint."""
    async with Simulator() as pendo:
        pendo.faults.add(Rule(answer=Answer(delay_s=0.2)))
        await asyncio.gather(post(pendo, identify()), post_track(pendo, track_event()))
        counts = pendo.log.counts()
    assert (counts["max_in_flight"], counts["max_lane_in_flight"], counts["lane_overlaps"]) == (2, 1, 0)


async def test_an_accepted_event_is_answered_with_200_and_nothing() -> None:
    async with Simulator() as pendo:
        for event in (identify(), group(), track()):
            assert await post(pendo, event) == (200, b"")


async def test_identify_makes_a_visitor_with_lower_cased_flat_metadata() -> None:
    """Pendo lowers names, ignores objects, also in lists, and later writes win."""
    traits = {"Plan": "pro", "address": {"city": "x"}, "tags": ["a", {"b": 1}], "gone": None, "300": 1}
    async with Simulator() as pendo:
        await post(pendo, identify(traits=traits))
        await post(pendo, identify(traits={"PLAN": "free"}))
        status, visitor = await get(pendo, "/api/v1/visitor/ann", KEY)
    assert status == 200
    assert visitor["id"] == "ann"
    assert visitor["metadata"]["segment.io"] == {"plan": "free", "tags": ["a"], "_300": 1}


async def test_a_null_trait_is_kept_when_the_switch_says_so() -> None:
    async with Simulator(switches=Switches(keep_nulls=True)) as pendo:
        await post(pendo, identify(traits={"Plan": None}))
        assert pendo.store.visitors["ann"].metadata == {"plan": None}


async def test_group_makes_an_account_and_links_the_visitor() -> None:
    async with Simulator() as pendo:
        await post(pendo, group())
        await post(pendo, group(groupId=42, traits=None))
        _, account = await get(pendo, "/api/v1/account/acme", KEY)
        _, visitor = await get(pendo, "/api/v1/visitor/ann", KEY)
    assert account["metadata"]["segment.io"] == {"seats": 5}
    assert visitor["metadata"]["auto"]["accountids"] == ["acme", "42"]
    assert visitor["metadata"]["auto"]["accountid"] == "42"


async def test_track_is_kept_with_the_account_of_its_properties() -> None:
    async with Simulator() as pendo:
        await post(pendo, track())
        await post(pendo, track(properties=None, userId=678))
        first, second = pendo.store.events
    assert (first.name, first.visitor, first.account, first.message_id) == ("Signed up", "ann", "acme", "m-3")
    assert first.properties == {"groupId": "acme", "n": 1}
    assert first.timestamp == "2025-01-02T03:04:05.678Z"
    assert (second.visitor, second.account) == ("678", None)


async def test_a_track_with_an_unusable_account_is_kept_without_it_or_refused() -> None:
    event = track(properties={"groupId": True})
    async with Simulator() as pendo:
        assert (await post(pendo, event))[0] == 200
        assert pendo.store.events[0].account is None
    async with Simulator(switches=Switches(refuse_invalid_account=True)) as pendo:
        assert (await post(pendo, event))[0] == 400


@pytest.mark.parametrize("id_", [None, "", "::", "  ", True, {"a": 1}, ["a"], "VISITOR-UNIQUE-ID"])
async def test_an_invalid_id_is_refused(id_: Any) -> None:
    async with Simulator() as pendo:
        for event in (identify(userId=id_), group(userId=id_), track(userId=id_), group(groupId=id_)):
            assert (await post(pendo, event))[0] == 400
        assert pendo.store.visitors == {}
        assert pendo.store.accounts == {}


@pytest.mark.parametrize(("given", "kept"), [(678, "678"), (1.5, "1.5"), (2.0, "2"), ("Ann", "Ann")])
async def test_a_number_becomes_text(given: Any, kept: str) -> None:
    async with Simulator() as pendo:
        await post(pendo, identify(userId=given))
        assert list(pendo.store.visitors) == [kept]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"1", b'"text"', b"null", b"[]", b'[{"type":"identify","userId":"a"}]']
)
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    async with Simulator() as pendo:
        assert (await post(pendo, None, body=body))[0] == 400


@pytest.mark.parametrize(
    "event",
    [
        track(event=None),
        track(event=" "),
        track(event=5),
        track(properties=[1]),
        identify(traits="x"),
        group(traits=[1]),
        {"userId": "ann"},
        identify(type="page"),
        identify(type=5),
    ],
)
async def test_an_event_of_the_wrong_shape_or_type_is_refused(event: Any) -> None:
    async with Simulator() as pendo:
        assert (await post(pendo, event))[0] == 400


async def test_what_pendo_leaves_open_can_be_switched() -> None:
    """Arrays and unsupported types may be taken; the status and body of success may be others."""
    switches = Switches(success_status=202, success_body="ok", unsupported_status=200, accept_arrays=True)
    async with Simulator(switches=switches) as pendo:
        assert await post(pendo, [identify(), track()]) == (202, b"ok")
        assert (await post(pendo, identify(type="page")))[0] == 202
        assert pendo.store.accepted_types == {"identify": 1, "track": 1, "page": 1}


async def test_the_wrong_key_is_answered_with_403_and_nothing() -> None:
    async with Simulator() as pendo:
        assert await post(pendo, identify(), key="other") == (403, b"")
        assert await get(pendo, "/api/v1/token/verify", {"x-pendo-integration-key": "other"}) == (403, None)
        assert await get(pendo, "/api/v1/visitor/ann") == (403, None)


async def test_the_integration_key_is_verified() -> None:
    async with Simulator() as pendo:
        assert await get(pendo, "/api/v1/token/verify", KEY) == (200, {"valid": True, "writeAccess": True})


async def test_method_path_type_and_size_are_checked() -> None:
    async with Simulator() as pendo:
        assert (await post(pendo, identify(), method="PUT"))[0] == 405
        assert (await post(pendo, identify(), path="/data/other"))[0] == 404
        assert (await post(pendo, identify(), headers={"Content-Type": "text/plain"}))[0] == 415
        assert (await post(pendo, identify(traits={"a": "x" * MAX_BODY_BYTES})))[0] == 413
        assert (await get(pendo, "/api/v1/visitor/nobody", KEY))[0] == 404
        assert (await get(pendo, "/api/v1/account/nobody", KEY))[0] == 404
        assert pendo.store.visitors == {}


async def test_ids_in_a_path_are_percent_encoded() -> None:
    async with Simulator() as pendo:
        await post(pendo, identify(userId="a/b c"))
        assert (await get(pendo, "/api/v1/visitor/a%2Fb%20c", KEY))[1]["id"] == "a/b c"


async def test_how_often_a_message_was_accepted_is_known() -> None:
    """A refused message is not accepted; a repeated one is accepted twice."""
    async with Simulator() as pendo:
        for event in (track(), track(), track(messageId="m-4", userId="")):
            await post(pendo, event)
        assert pendo.store.accepted == {"m-3": 2}


async def test_deeply_nested_traits_are_taken() -> None:
    nested = b'{"type":"group","userId":"a","groupId":"b","traits":{"a":' + b"[" * 500 + b"]" * 500 + b"}}"
    async with Simulator() as pendo:
        assert (await post(pendo, None, body=nested))[0] == 200


async def test_what_is_kept_is_bounded_when_asked() -> None:
    keep = Keep(entries=2, bodies=False, events=1, message_ids=False)
    async with Simulator(keep=keep) as pendo:
        for number in range(3):
            await post(pendo, track(messageId=str(number)))
        assert [entry.seq for entry in pendo.log] == [2, 3]
        assert [entry.body for entry in pendo.log] == [None, None]
        assert [event.message_id for event in pendo.store.events] == ["2"]
        assert not pendo.store.accepted
        assert pendo.store.accepted_types == {"track": 3}


async def test_after_a_stop_it_listens_on_the_same_port_with_all_it_kept() -> None:
    async with Simulator() as pendo:
        await post(pendo, identify())
        await pendo.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(pendo, identify())
        await pendo.start()
        assert (await get(pendo, "/api/v1/visitor/ann", KEY))[0] == 200
