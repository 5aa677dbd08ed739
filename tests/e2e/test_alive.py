"""Alive: what stands still on purpose is not restarted, however long it stands."""

import asyncio
from pathlib import Path

import pytest

from consumer.delivery import senders
from consumer.sandbox.simulator_faults import Answer, Rule
from consumer.worker import lag, probes, standstill
from tests.e2e.pipe import Pipe, Running, event

LONG_S = 1.0
"""In place of two minutes."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands for a second is taken for dead."""
    monkeypatch.setattr(probes, "DEAD_AFTER_S", LONG_S)
    monkeypatch.setattr(standstill, "STUCK_AFTER_S", LONG_S)
    monkeypatch.setattr(lag, "KAFKA_CHECK_S", 0.1)


async def test_enough_that_lies_ready_is_alive_however_long(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one partition more lies ready than is soon sent, and so nothing of the other is read: paused, it stays so."""
    monkeypatch.setattr(senders, "MIN_READY", 90)
    monkeypatch.setattr(senders, "MAX_READY", 90)
    config = tmp_path / "consumer.yaml"
    config.write_text("delivery:\n  paused: true\n")
    async with pipe.service(config) as running:
        await _stay_alive(pipe, running)


async def _stay_alive(pipe: Pipe, running: Running) -> None:
    """One partition fills the buffer; of the other nothing is read, though records lie there."""
    await pipe.produce([event(n, user=f"u{n}") for n in range(300)], partition=0)
    await running.until(lambda m: m.sum("events_open") > 95)
    await pipe.produce([event(n, user=f"u{n}") for n in range(300, 320)], partition=1)
    await running.until(lambda m: m.sum("backlog_records", partition="1") > 0)
    for _ in range(20):
        assert await running.get("/livez") == (200, b'{"alive":true}')
        assert await running.reasons() == []
        await asyncio.sleep(LONG_S / 10)


async def test_a_full_buffer_is_alive_however_long(pipe: Pipe) -> None:
    """Pendo is away; a restart would not bring it back."""
    pipe.simulator.faults.add(Rule(answer=Answer(status=503)))
    async with pipe.service(delivery__max_open_events="100", delivery__max_retry_delay_s="0.5") as running:
        await _stay_alive(pipe, running)
        pipe.simulator.faults.clear()
        await running.until_settled(320)


async def test_a_pause_is_alive_however_long(pipe: Pipe, tmp_path: Path) -> None:
    """An operator wants it so."""
    config = tmp_path / "consumer.yaml"
    config.write_text("delivery:\n  paused: true\n  max_open_events: 100\n")
    async with pipe.service(config) as running:
        await _stay_alive(pipe, running)
