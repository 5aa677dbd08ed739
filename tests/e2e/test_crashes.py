"""Promises that rest on a real Kafka: crashes, restarts with an offset map, topic limits, a broker that goes away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from consumer.delivery.limit import START
from consumer.kafka.offset_map import decode
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Latency, Rule
from tests.e2e.pipe import Pipe, event, headers_of
from tests.support.apache import ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(180)]

EVENTS = 20_000


@pytest.fixture
async def own_broker() -> AsyncIterator[ApacheKafka]:
    """A broker that a test may stop."""
    async with ApacheKafka() as broker:
        yield broker


def _lifelike(pipe: Pipe) -> None:
    """Answers take a while, so that many requests are in flight when a process is stopped."""
    pipe.simulator.latency = Latency(median_s=0.02)


def _traffic(events: int) -> list[dict[str, object]]:
    return [event(n, user=f"u{n % 2000}") for n in range(events)]


async def test_kill_9_in_the_middle_of_20k_events_loses_none_and_repeats_few(apache_pipe: Pipe) -> None:
    """What was in flight, and what was delivered since the last commit, may repeat; nothing else."""
    pipe = apache_pipe
    _lifelike(pipe)
    await pipe.produce(_traffic(EVENTS))
    async with pipe.process() as service:
        await service.until(lambda m: m.sum("events_settled_total") >= EVENTS / 4)
        assert service.process is not None
        service.process.kill()
        await service.process.wait()
    before = len(pipe.accepted())
    assert EVENTS / 4 <= before < EVENTS, "the kill must hit in the middle"
    async with pipe.process() as service:
        await service.until(lambda _: len(set(pipe.accepted())) == EVENTS, timeout_s=90)
        await service.until(lambda m: m.sum("events_open") == 0)
        assert await service.stop() == 0
    repeated = len(pipe.accepted()) - EVENTS
    in_flight = pipe.simulator.log.counts()["max_in_flight"]
    assert in_flight > 50, "many requests must be on the wire at the kill"
    assert repeated <= 10 * in_flight, "the offset map was not used"
    assert not await pipe.dead_letters()


async def test_sigterm_in_the_middle_of_20k_events_loses_none_and_repeats_none(apache_pipe: Pipe) -> None:
    """Exit status 0, and the next process goes on exactly where this one stopped."""
    pipe = apache_pipe
    _lifelike(pipe)
    await pipe.produce(_traffic(EVENTS))
    async with pipe.process() as service:
        await service.until(lambda m: m.sum("events_settled_total") >= EVENTS / 4)
        assert await service.stop() == 0
    before = len(pipe.accepted())
    assert EVENTS / 4 <= before < EVENTS, "the stop must come in the middle"
    async with pipe.process() as service:
        await service.until(lambda _: len(pipe.accepted()) >= EVENTS, timeout_s=90)
        await service.until(lambda m: m.sum("events_open") == 0)
        assert await service.stop() == 0
    assert sorted(map(int, pipe.accepted())) == list(range(EVENTS))


async def test_what_finished_beyond_the_watermark_is_not_sent_again(apache_pipe: Pipe) -> None:
    """A, B, D done, C and E not: after the restart exactly C and E come back."""
    pipe = apache_pipe
    for name in "CE":
        pipe.simulator.faults.add(Rule(message_id=name, answer=Answer(status=503)))
    async with pipe.service() as service:
        await pipe.produce([event(name, user=f"user-{name}") for name in "ABCDE"], partition=0)
        await service.until_settled(3)
        assert await service.stop() == 0
    offset, metadata = (await pipe.committed())[0]
    assert offset == 2
    found = decode(metadata, offset)
    assert found is not None
    assert found.runs == (1, 1)
    pipe.simulator.faults.clear()
    pipe.simulator.log.clear()
    async with pipe.service() as service:
        metrics = await service.until_settled(2)
        assert metrics.sum("events_received_total") == 2
    assert sorted(pipe.accepted()) == ["C", "E"]


async def test_a_dead_letter_that_cannot_fit_is_published_without_its_value(
    apache_pipe: Pipe, simulator: Simulator
) -> None:
    """Its position says where the value lies; nothing is held up."""
    pipe = Pipe(apache_pipe.broker, simulator)
    await pipe.broker.create_topics([pipe.topic], 2)
    admin = AIOKafkaAdminClient(bootstrap_servers=pipe.broker.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(pipe.dead_letter_topic, 2, 1, topic_configs={"max.message.bytes": "5000"})])
    await admin.close()
    async with pipe.service() as service:
        await pipe.produce([b"x" * 100_000, b"small poison"], partition=0)
        await service.until_settled(2)
        await service.until(lambda m: m.sum("lag_records") == 0)
    letters = {headers_of(letter)["__connect.errors.offset"]: letter for letter in await pipe.dead_letters()}
    assert letters["0"].value == b""
    assert letters["0"].key == b"key"
    assert headers_of(letters["0"])["pendo.dlq.value"] == "omitted"
    assert letters["1"].value == b"small poison"


async def test_a_broker_that_goes_away_is_waited_for(own_broker: ApacheKafka, simulator: Simulator) -> None:
    """The service says so, does not spin, and goes on when the broker is back; nothing is lost."""
    pipe = Pipe(own_broker, simulator)
    await pipe.create_topics()
    async with pipe.process() as service:
        await pipe.produce([event(n, user=f"u{n}") for n in range(100)])
        await service.until_settled(100)
        await own_broker.stop()
        await service.until_reasons(["kafka"], timeout_s=10)
        lines = len(service.log)
        await asyncio.sleep(3)
        assert len(service.log) - lines < 60, "it must not spin"
        assert (await service.get("/livez"))[0] == 200
        await own_broker.start()
        await pipe.produce([event(n, user=f"u{n}") for n in range(100, 200)])
        await service.until(lambda _: len(set(pipe.accepted())) == 200, timeout_s=60)
        await service.until_reasons([])
        assert await service.stop() == 0


async def test_a_broker_that_is_away_at_the_start_is_waited_for(own_broker: ApacheKafka, simulator: Simulator) -> None:
    """And a stop before it ever came is an orderly one."""
    pipe = Pipe(own_broker, simulator)
    await pipe.create_topics()
    await pipe.produce([event(0)])
    await own_broker.stop()
    async with pipe.process() as service:
        await service.until_reasons(["kafka"])
        assert await service.stop() == 0
    async with pipe.process() as service:
        await service.until_reasons(["kafka"])
        await own_broker.start()
        await service.until_settled(1, timeout_s=60)
        assert await service.stop() == 0


async def test_a_stop_without_a_broker_ends_within_its_deadline(own_broker: ApacheKafka, simulator: Simulator) -> None:
    """A commit that cannot be confirmed makes the exit status 1."""
    pipe = Pipe(own_broker, simulator)
    await pipe.create_topics()
    settings = {"kafka__commit_interval_s": "600", "delivery__shutdown_timeout_s": "6"}
    pipe.simulator.faults.add(Rule(answer=Answer(delay_s=2.0)))
    async with pipe.process(**settings) as service:
        await pipe.produce([event(n, user=f"u{n}") for n in range(20)])
        await service.until(lambda m: m.sum("requests_in_flight") >= START)
        await own_broker.kill()
        await service.until(lambda m: m.sum("events_settled_total") >= 20)
        async with asyncio.timeout(20):
            assert await service.stop() == 1


async def _make_anew(pipe: Pipe) -> None:
    """Delete the topic and create it again, empty."""
    admin = AIOKafkaAdminClient(bootstrap_servers=pipe.broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([pipe.topic])
        while pipe.topic in await admin.list_topics():
            await asyncio.sleep(0.05)
        await admin.create_topics([NewTopic(pipe.topic, 2, 1)])
        while pipe.topic not in await admin.list_topics():
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


@pytest.mark.parametrize("running", [True, False], ids=["while it is read", "between two processes"])
async def test_a_topic_that_is_made_anew_is_read_from_its_beginning(apache_pipe: Pipe, *, running: bool) -> None:
    """Though the group's commit lies beyond what the new topic holds: no new record is taken for an old one."""
    pipe = apache_pipe
    async with pipe.service(kafka__consumer_options='{"metadata_max_age_ms": 1000}') as service:
        await pipe.produce([event(n, user=f"u{n}") for n in range(40)])
        await service.until_settled(40)
        if running:
            await _make_anew(pipe)
            await pipe.produce([event(f"new{n}") for n in range(3)], partition=0)
            await service.until(lambda _: len(pipe.accepted()) == 43, timeout_s=60)
        else:
            assert await service.stop() == 0
    if not running:
        await _make_anew(pipe)
        await pipe.produce([event(f"new{n}") for n in range(3)], partition=0)
        async with pipe.service() as service:
            await service.until(lambda _: len(pipe.accepted()) == 43)
    assert pipe.accepted()[40:] == ["new0", "new1", "new2"]
