"""An operator's hand on a running service: what blocks is told, and skipped; delivery is paused and goes on."""

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer import watch
from consumer.cli import execute
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, Running, event

TOKEN = "an-admin-token"


async def partition_of(service: Running, number: int = 0) -> dict[str, Any]:
    """What the pod says of one partition."""
    _, body = await service.get("/api/partitions")
    found: dict[str, Any] = orjson.loads(body)["partitions"][number]
    return found


async def command(pipe: Pipe, service: Running, monkeypatch: pytest.MonkeyPatch, *argv: str, token: str = TOKEN) -> int:
    """The status of a command that asks this pod, configured as it is."""
    for name, value in pipe.environ(http__admin_token=token).items():
        monkeypatch.setenv(name, value)
    return await asyncio.to_thread(execute, [*argv, "--url", service.url])


async def test_what_blocks_a_partition_is_told_and_skipped(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One poison event: `lag` names it, `skip` dead-letters it, the commit goes on."""
    pipe.simulator.faults.add(Rule(id="bad", answer=Answer(status=500)))
    events = [event("poison", user="bad"), *(event(number, user=f"u{number}") for number in range(20))]
    async with pipe.service(http__admin_token=TOKEN, delivery__max_retry_delay_s="0.3") as service:
        await pipe.produce(events, partition=0)
        await service.until_settled(20)
        await service.until(lambda m: m.sum("blocked_seconds") > 0)
        found = await partition_of(service)
        by = found["blocked_by"]
        assert (by["position"], by["waits_for"], by["status"]) == (f"{pipe.topic}-0@0", "retry", "500")
        assert (found["open"], found["finished_beyond"]) == (1, 20)
        assert await command(pipe, service, monkeypatch, "lag", "--no-rate", "--json") == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
        assert [row["blocked_by"] and row["blocked_by"]["position"] for row in rows] == [f"{pipe.topic}-0@0", None]
        assert rows[0].keys() >= {"topic", "partition", "lag", "backlog", "blocked_by"}
        assert await command(pipe, service, monkeypatch, "lag", "--no-rate") == 0
        assert f"{pipe.topic}-0@0 waits for " in capsys.readouterr().out
        assert await command(pipe, service, monkeypatch, "skip", f"{pipe.topic}-0@0") in (0, 1)
        while (await partition_of(service))["open"] and not await command(
            pipe, service, monkeypatch, "skip", f"{pipe.topic}-0@0"
        ):
            await asyncio.sleep(0.05)
        metrics = await service.until_settled(21)
        await service.until(lambda m: m.sum("lag_records") == 0)
        assert metrics.sum("events_settled_total", outcome="dead_lettered", reason="operator") == 1
        assert (await service.metrics()).sum("operator_acts_total", act="skip", result="done") == 1
    [letter] = await pipe.dead_letters()
    headers = {name: value.decode() for name, value in letter.headers}
    assert headers["pendo.dlq.reason"] == "operator"
    assert int(headers["pendo.dlq.attempts"]) >= 1


async def test_a_pod_that_is_paused_is_ready_and_sends_nothing_until_it_is_resumed(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the commands; with a wrong token nothing happens."""
    async with pipe.service(http__admin_token=TOKEN) as service:
        assert await command(pipe, service, monkeypatch, "pause") == 0
        await pipe.produce([event(1)])
        await service.until(lambda m: m.sum("events_open") == 1)
        assert (await service.metrics()).sum("sending_held", reason="operator") == 1
        assert await service.reasons() == []
        blocked = [(await partition_of(service, number))["blocked_by"] for number in (0, 1)]
        assert [by["waits_for"] for by in blocked if by] == ["paused"]
        assert await command(pipe, service, monkeypatch, "resume", token="wrong") == 1
        assert "the admin token is missing or wrong" in capsys.readouterr().err
        assert (await service.metrics()).sum("operator_acts_total", act="resume", result="unauthorized") == 1
        assert pipe.simulator.log.seq == 0
        assert await command(pipe, service, monkeypatch, "resume") == 0
        await service.until_settled(1)


async def test_a_changed_admin_token_counts_at_once(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotation without a restart."""
    monkeypatch.setattr(watch, "SECRET_RECHECK_S", 0.1)
    secret = tmp_path / "token"
    secret.write_text("an-old-one\n")
    async with pipe.service(http__admin_token_file=str(secret)) as service:
        assert await command(pipe, service, monkeypatch, "pause") == 1
        secret.write_text(TOKEN)
        async with asyncio.timeout(10):
            while await command(pipe, service, monkeypatch, "pause"):
                await asyncio.sleep(0.1)


async def test_without_a_token_in_the_configuration_nobody_may(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """403, and why."""
    async with pipe.service() as service:
        assert await command(pipe, service, monkeypatch, "pause") == 1
    assert "this pod has no http.admin_token" in capsys.readouterr().err
