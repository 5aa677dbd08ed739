"""`trace` on a running service: each event is where it really is."""

import asyncio
import json
from typing import Any

import pytest

from consumer.cli import execute
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, event


async def trace(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str
) -> tuple[int, list[Any]]:
    """The status and the lines of the command, configured as the pipe is."""
    for name, value in pipe.environ().items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    status = await asyncio.to_thread(execute, ["trace", *argv, "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]


async def test_each_event_is_found_with_its_state_and_its_end(
    apache_pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Delivered, a repeat, filtered, dead-lettered, open, unread; the commit's map tells what lies between."""
    pipe = apache_pipe
    pipe.simulator.faults.add(Rule(id="stuck", answer=Answer(status=500)))
    events = [
        event("m-0", user="ann"),
        event("m-0", user="ann"),
        event("m-2", user="ann", integrations={"All": False}),
        event("m-3", user="ann", properties=[]),
        event("m-4", user="stuck"),
        event("m-5", user="ann"),
    ]
    async with pipe.service(delivery__max_retry_delay_s="0.3") as service:
        await pipe.produce(events, partition=0)
        await service.until_settled(5)
        await service.until(lambda m: m.sum("commits_total") > 0)
        await asyncio.sleep(1.5)
        status, rows = await trace(pipe, monkeypatch, capsys, "ann")
        assert status == 0
        assert [(row["messageId"], row["state"], row["outcome"], row["reason"]) for row in rows] == [
            ("m-0", "settled", "delivered", ""),
            ("m-0", "settled", "suppressed", "repeat"),
            ("m-2", "settled", "filtered", "integrations"),
            ("m-3", "dead_lettered", "dead_lettered", "invalid_properties"),
            ("m-5", "settled", "delivered", ""),
        ]
        assert rows[0].keys() >= {"messageId", "type", "position", "state", "outcome", "reason"}
        assert (rows[0]["position"], rows[0]["type"]) == (f"{pipe.topic}-0@0", "track")
        assert rows[3]["letter"].startswith(pipe.dead_letter_topic)
        _, rows = await trace(pipe, monkeypatch, capsys, "stuck")
        assert [(row["state"], row["outcome"]) for row in rows] == [("open", "")]
    await pipe.produce([event("m-6", user="stuck")], partition=0)
    _, rows = await trace(pipe, monkeypatch, capsys, "m-6")
    assert [row["state"] for row in rows] == ["unread"]
    assert await trace(pipe, monkeypatch, capsys, "nobody") == (1, [])
    _, rows = await trace(pipe, monkeypatch, capsys, "ann", "--since", "2099-01-01")
    assert rows == []


async def test_an_event_of_an_array_is_found_by_its_place_and_a_pod_tells_open_from_unread(
    apache_pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paused: nothing is committed yet, but the pod has read it."""
    pipe = apache_pipe
    async with pipe.service(delivery__paused="true") as service:
        await pipe.produce([json.dumps([event("m-0", user="bea"), event("m-1", user="ann")]).encode()], partition=0)
        await service.until(lambda m: m.sum("events_open") == 2)
        _, rows = await trace(pipe, monkeypatch, capsys, "m-1")
        assert [(row["index"], row["state"]) for row in rows] == [(1, "unread")]
        _, rows = await trace(pipe, monkeypatch, capsys, "m-1", "--url", service.url)
        assert [(row["index"], row["state"]) for row in rows] == [(1, "open")]
