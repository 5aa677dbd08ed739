"""Trouble: an outage, a wrong key, a wrong URL, a missing topic. Nothing is lost, and it heals by itself."""

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from consumer import watch
from consumer.sandbox.children import free_port
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Broker, Pipe, event, headers_of

OUTAGES = {
    "500": Answer(status=500),
    "503 with Retry-After": Answer(status=503, retry_after=0.2),
    "a reset": Answer(reset=True),
    "no answer": Answer(hang=True),
    "429": Answer(status=429, retry_after=0.2),
}


@pytest.mark.parametrize("name", OUTAGES)
async def test_an_outage_of_pendo_loses_nothing_and_heals_by_itself(pipe: Pipe, name: str) -> None:
    """Nothing is dead-lettered, the service stays ready, and what waited is delivered in order."""
    pipe.simulator.faults.add(Rule(answer=OUTAGES[name]))
    settings = {"delivery__request_timeout_s": "0.5", "delivery__max_retry_delay_s": "0.5"}
    async with pipe.service(**settings) as service:
        await pipe.produce([event(n, user=f"u{n % 5}") for n in range(25)])
        await service.until(lambda m: m.sum("requests_total") >= 12)
        assert await service.reasons() == []
        assert not pipe.accepted()
        pipe.simulator.faults.clear()
        await service.until_settled(25)
    for user in range(5):
        assert [int(m) for m in pipe.accepted() if int(m) % 5 == user] == list(range(user, 25, 5))
    assert not await pipe.dead_letters()


async def test_pendo_that_is_not_there_at_all_is_waited_for(pipe: Pipe) -> None:
    """The port is closed; later somebody listens there."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with pipe.service(pendo__data_url=url, delivery__max_retry_delay_s="0.5") as service:
        await pipe.produce([event(n) for n in range(5)])
        await service.until(lambda m: m.sum("requests_total", status="connection") >= 3)
        assert await service.reasons() == []
        async with Simulator(port=port, api_key=pipe.simulator.api_key) as pendo:
            await service.until_settled(5)
            assert [e.message_id for e in pendo.log] == ["0", "1", "2", "3", "4"]


async def test_a_wrong_key_keeps_the_records_in_kafka_and_heals_when_its_file_changes(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is dead-lettered, nothing committed past it, `/readyz` says which; no restart is needed."""
    monkeypatch.setattr(watch, "SECRET_RECHECK_S", 0.1)
    secret = tmp_path / "api_key"
    secret.write_text("wrong\n")
    async with pipe.service(pendo__api_key="", pendo__api_key_file=str(secret)) as service:
        await pipe.produce([event(n, user=f"u{n}") for n in range(20)], partition=0)
        await service.until_reasons(["credentials"])
        metrics = await service.metrics()
        assert metrics.sum("stalled", reason="credentials", route="segmentio") == 1
        assert metrics.sum("gate_state", route="segmentio") == 2
        assert metrics.sum("events_settled_total") == 0
        assert (await pipe.committed())[0][0] <= 0
        secret.write_text(pipe.simulator.api_key)
        await service.until_settled(20)
        assert await service.reasons() == []
    assert len(pipe.accepted()) == 20
    assert not await pipe.dead_letters()


WRONG_ENDPOINTS = {
    "404": Answer(status=404),
    "405": Answer(status=405),
    "a redirect": Answer(status=302, headers={"Location": "/elsewhere"}),
    "a page": Answer(html=True),
}


@pytest.mark.parametrize("name", WRONG_ENDPOINTS)
async def test_a_wrong_endpoint_stalls_and_nothing_counts_as_delivered(pipe: Pipe, name: str) -> None:
    """Redirects are not followed, a page is no acceptance, and the right answer heals it."""
    pipe.simulator.faults.add(Rule(answer=WRONG_ENDPOINTS[name]))
    async with pipe.service() as service:
        await pipe.produce([event(n) for n in range(5)])
        await service.until_reasons(["endpoint"])
        assert (await service.metrics()).sum("events_settled_total") == 0
        assert {e.route for e in pipe.simulator.log} == {"segmentio"}
        pipe.simulator.faults.clear()
        await service.until_settled(5)
        assert await service.reasons() == []
    assert not await pipe.dead_letters()


async def test_a_missing_dead_letter_topic_holds_the_commit_and_goes_on_when_it_is_there(
    broker: Broker, simulator: Simulator
) -> None:
    """The poison record is not committed past, others are delivered; the service creates no topic."""
    pipe = Pipe(broker, simulator)
    await broker.create_topics([pipe.topic], 2)
    async with pipe.service() as service:
        await pipe.produce([b"poison", *(event(n) for n in range(3))], partition=0)
        await service.until_settled(3)
        await service.until_reasons(["dead_letter"])
        assert (await pipe.committed())[0][0] <= 0
        await broker.create_topics([pipe.dead_letter_topic], 2)
        await service.until_settled(4)
        await service.until_reasons([])
        await service.until(lambda m: m.sum("lag_records") == 0)
    [letter] = await pipe.dead_letters()
    assert headers_of(letter)["pendo.dlq.reason"] == "undecodable"


async def test_a_stop_in_an_outage_releases_what_is_open(pipe: Pipe) -> None:
    """Exit status 0: what is open was handed back to Kafka, not lost; the next process delivers it."""
    pipe.simulator.faults.add(Rule(answer=Answer(status=503)))
    async with pipe.service() as service:
        await pipe.produce([event(n) for n in range(10)])
        await service.until(lambda m: m.sum("requests_total") >= 1)
        assert await service.stop() == 0
    pipe.simulator.faults.clear()
    async with pipe.service() as service:
        await service.until_settled(10)
    assert [int(m) for m in pipe.accepted()] == list(range(10))


async def test_a_request_that_outlives_the_deadline_is_released_and_its_record_read_again(pipe: Pipe) -> None:
    """Exit status 0 within the deadline, since nothing is lost: what was answered is committed, the rest is not."""
    pipe.simulator.faults.add(Rule(message_id="3", answer=Answer(hang=True)))
    settings = {"delivery__shutdown_timeout_s": "4", "delivery__request_timeout_s": "60"}
    async with pipe.process(**settings) as service:
        await pipe.produce([event(n, user=f"u{n}") for n in range(10)], partition=0)
        await service.until(lambda m: m.sum("events_settled_total") == 9 and m.sum("requests_in_flight") == 1)
        async with asyncio.timeout(10):
            assert await service.stop() == 0
        [stopped] = [line for line in service.log if line["event"] == "stopped"]
        assert (stopped["answered"], stopped["committed"], stopped["released"]) == (False, True, 1)
    assert (await pipe.committed())[0][0] == 3
    pipe.simulator.faults.clear()
    async with pipe.service() as service:
        await service.until_settled(1)
    # What lies beyond the watermark comes once more from a broker that keeps no metadata with a commit.
    assert sorted(map(int, pipe.accepted()))[:4] == [0, 1, 2, 3]
    assert set(map(int, pipe.accepted())) == set(range(10))


async def test_a_full_buffer_stops_reading_and_stays_bounded(pipe: Pipe) -> None:
    """With Pendo down, no more than the bound is read, however much there is."""
    pipe.simulator.faults.add(Rule(answer=Answer(status=503)))
    async with pipe.service(delivery__max_open_events="100", delivery__max_retry_delay_s="0.5") as service:
        await pipe.produce([event(n, user=f"u{n}") for n in range(500)])
        await service.until(lambda m: m.sum("events_open") > 95)
        await asyncio.sleep(1)
        assert 95 < (await service.metrics()).sum("events_open") <= 100
        pipe.simulator.faults.clear()
        await service.until_settled(500)


async def test_bytes_bound_the_buffer_too(pipe: Pipe) -> None:
    """A few large records fill it as well as many small ones; what the client reads ahead counts, too."""
    pipe.simulator.faults.add(Rule(answer=Answer(status=503)))
    large = [event(n, user=f"u{n}", properties={"text": "x" * 100_000}) for n in range(40)]
    settings = {"delivery__max_open_bytes": "500 KB", "delivery__max_retry_delay_s": "0.5"}
    async with pipe.service(**settings) as service:
        for one in large:
            await pipe.produce([one])
        await service.until(lambda m: m.sum("open_bytes") >= 300_000)
        await asyncio.sleep(0.5)
        assert (await service.metrics()).sum("events_open") < 40
        pipe.simulator.faults.clear()
        await service.until_settled(40)


async def test_paused_delivery_is_ready_and_resumes_when_the_file_says_so(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`delivery.paused` is read again when the file changes; a broken file changes nothing."""
    monkeypatch.setattr(watch, "SECRET_RECHECK_S", 0.1)
    config = tmp_path / "consumer.yaml"
    config.write_text("delivery:\n  paused: true\n")
    async with pipe.service(config) as service:
        await pipe.produce([event(0)])
        await service.until(lambda m: m.sum("events_open") == 1)
        assert await service.reasons() == []
        config.write_text("delivery:\n  paused: no such value\n")
        await asyncio.sleep(0.5)
        assert not list(pipe.simulator.log)
        config.write_text("delivery:\n  paused: false\n")
        await service.until_settled(1)


async def test_a_second_pod_takes_over_its_share_and_all_is_accounted_for(pipe: Pipe) -> None:
    """A member joins and leaves while events flow: nothing lost, `released` explains what was read twice."""
    pipe.simulator.faults.add(Rule(answer=Answer(delay_s=0.01)))
    events = [event(n, user=f"u{n % 40}") for n in range(1500)]
    async with pipe.service(delivery__max_concurrency="8") as first:
        await pipe.produce(events[:750])
        await first.until_settled(50)
        async with pipe.service(delivery__max_concurrency="8") as second:
            await pipe.produce(events[750:])
            await second.until(lambda m: m.sum("events_settled_total") >= 20, timeout_s=45)
            assert await second.stop() == 0
        await first.until(lambda _: len(set(pipe.accepted())) == len(events), timeout_s=45)
        metrics = await first.until(lambda m: m.sum("events_open") == 0)
        assert metrics.sum("events_unaccounted") == 0
        assert metrics.sum("rebalances_total") >= 2
    assert pipe.simulator.log.counts()["lane_overlaps"] == 0


async def test_logs_hold_no_secret_and_no_personal_data(pipe: Pipe) -> None:
    """Through delivery, refusal, poison, retry and a stall, in a real process's log."""
    pipe.simulator.faults.add(Rule(message_id="refused", answer=Answer(status=400, body="jane@example.com")))
    pipe.simulator.faults.add(Rule(message_id="later", script=[Answer(status=500), Answer(reset=True)]))
    pipe.simulator.faults.add(Rule(message_id="stall", script=[Answer(status=403)]))
    private = {"userId": "jane@example.com", "properties": {"card": "4111-1111"}}
    names = ["ok", "refused", "later", "stall"]
    async with pipe.process() as service:
        await pipe.produce([*(event(name) | private for name in names), b"jane@example.com 4111-1111"])
        await service.until_settled(5)
        assert await service.stop() == 0
    text = json.dumps(service.log)
    assert "stopped" in text
    for secret in (pipe.simulator.api_key, "jane@example.com", "4111-1111", "/data/segmentio/"):
        assert secret not in text


async def test_a_second_signal_changes_nothing(pipe: Pipe) -> None:
    """An impatient orchestrator, or Ctrl-C beside a SIGTERM: the stop stays an orderly one, with its exit status."""
    pipe.simulator.faults.add(Rule(answer=Answer(delay_s=1.0)))
    async with pipe.process() as service:
        assert service.process is not None
        await pipe.produce([event(0)])
        await service.until(lambda m: m.sum("requests_in_flight") == 1)
        stopped = asyncio.create_task(service.process.wait())
        while not stopped.done():
            with suppress(ProcessLookupError):  # it has just ended
                service.process.send_signal(signal.SIGTERM)
            await asyncio.wait([stopped], timeout=0.0005)
        assert await stopped == 0, service.log
    assert service.log[-1]["event"] == "stopped"  # and what cannot be read as JSON would have failed the test
    assert pipe.accepted() == ["0"]
