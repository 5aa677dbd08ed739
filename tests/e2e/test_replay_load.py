"""Fifty thousand letters, live traffic of the same visitors beside them, and two interruptions: on Apache Kafka."""

import asyncio
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.outcomes import EventType, Reason
from consumer.sandbox.simulator_faults import Latency
from tests.delivery.conftest import FakeRecord
from tests.e2e.pipe import Pipe
from tests.e2e.test_replay import Done, ended, replaying

LETTERS = 50_000
VISITORS = 4_000
LIVE_PER_S = 200
LATENCY_S = 0.02

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]


def past(number: int, at_ms: int) -> dict[str, Any]:
    """An event of which there is a letter: every other one is an identify."""
    user = f"u{number * 7919 % VISITORS}"
    base = {"userId": user, "messageId": f"past-{number}", "timestamp": at_ms + number}
    if number % 2:
        return base | {"type": "track", "event": "Clicked", "properties": {"n": number}}
    return base | {"type": "identify", "traits": {"plan": f"past-{number}", "past": number}}


async def park_all(pipe: Pipe, at_ms: int) -> None:
    """Each event in the source topic, and its letter in the dead-letter topic."""
    producer = AIOKafkaProducer(bootstrap_servers=pipe.broker.bootstrap, linger_ms=20, max_batch_size=1 << 20)
    await producer.start()
    try:
        for begin in range(0, LETTERS, 5_000):
            numbers = range(begin, begin + 5_000)
            events = [past(number, at_ms) for number in numbers]
            sent = [
                await producer.send(pipe.topic, key=each["userId"].encode(), value=orjson.dumps(each))
                for each in events
            ]
            await asyncio.gather(
                *[await park(producer, pipe, each, await at) for each, at in zip(events, sent, strict=True)]
            )
    finally:
        await producer.stop()


async def park(producer: AIOKafkaProducer, pipe: Pipe, event: dict[str, Any], at: Any) -> "asyncio.Future[Any]":
    """A letter as the service writes it."""
    key, value = event["userId"].encode(), orjson.dumps(event)
    record = FakeRecord(pipe.topic, at.partition, at.offset, at.timestamp, key, value)
    letter = DeadLetter(
        record=record,
        type=EventType(event["type"]),
        reason=Reason.REFUSED,
        stage=Stage.DELIVER,
        error="RefusedError",
        message="Pendo answered 400",
        message_id=event["messageId"],
        status="400",
        attempts=1,
    )
    future: asyncio.Future[Any] = await producer.send(
        pipe.dead_letter_topic, key=key, value=value, headers=letter.headers(), partition=int(event["userId"][1:]) % 2
    )
    return future


class Live:
    """Traffic that goes on, of the visitors that have letters."""

    def __init__(self, pipe: Pipe) -> None:
        self.newest: dict[str, str] = {}
        self.count = 0
        self._pipe = pipe

    async def run(self) -> None:
        """An identify every few milliseconds."""
        chance = random.Random(5)
        producer = AIOKafkaProducer(bootstrap_servers=self._pipe.broker.bootstrap)
        await producer.start()
        try:
            while True:
                user, name = f"u{chance.randrange(VISITORS)}", f"live-{self.count}"
                event = {"type": "identify", "userId": user, "messageId": name, "timestamp": int(time.time() * 1000)}
                await producer.send(
                    self._pipe.topic, key=user.encode(), value=orjson.dumps(event | {"traits": {"plan": name}})
                )
                self.newest[user] = name
                self.count += 1
                await asyncio.sleep(1 / LIVE_PER_S)
        finally:
            await producer.stop()


async def replay_three_times(pipe: Pipe) -> list[Done]:
    """Twice it is interrupted when a part is through."""
    runs: list[Done] = []
    for share in (0.2, 0.5, None):
        async with replaying(pipe, "replay", "--json", kafka__session_timeout_s="10") as process:
            reading = asyncio.create_task(ended(process, timeout_s=150))
            if share is not None:
                while sum(pipe.simulator.store.accepted.values()) < share * LETTERS and not reading.done():
                    await asyncio.sleep(0.05)
                process.send_signal(signal.SIGINT)
            runs.append(await reading)
    return runs


async def test_every_letter_ends_once_and_newer_state_stays(apache_pipe: Pipe) -> None:
    """Though live events write the same fields while letters are on the wire, and it is interrupted twice."""
    pipe = apache_pipe
    pipe.simulator.latency = Latency(LATENCY_S)
    await park_all(pipe, int(time.time() * 1000) - 3_600_000)
    live = Live(pipe)
    async with pipe.process(kafka__start_from="latest", kafka__session_timeout_s="10") as service:
        await service.until(lambda m: m.sum("rebalances_total") > 0)
        await asyncio.sleep(1)
        traffic = asyncio.create_task(live.run())
        runs = await replay_three_times(pipe)
        traffic.cancel()
        with suppress(asyncio.CancelledError):
            await traffic
        await service.until_settled(live.count)
    assert [run.status for run in runs] == [130, 130, 0], [run.told for run in runs]
    ends = Counter(row["letter"] for run in runs for row in run.rows if row["sent"])
    assert (len(ends), set(ends.values())) == (LETTERS, {1})
    outcomes = Counter((row["outcome"], row["reason"]) for run in runs for row in run.rows if row["sent"])
    assert outcomes.keys() <= {("delivered", ""), ("suppressed", "stale")}
    store = pipe.simulator.store
    twice = {name: times for name, times in store.accepted.items() if name.startswith("past-") and times > 1}
    assert not twice
    assert sum(name.startswith("past-") for name in store.accepted) == outcomes["delivered", ""]
    wrong = {
        user: (found, newest)
        for user, newest in live.newest.items()
        if (found := store.visitors[user].metadata["plan"]) != newest
    }
    assert not wrong
    newest_past = {past(number, 0)["userId"]: number for number in range(0, LETTERS, 2)}
    assert {user: store.visitors[user].metadata["past"] for user in newest_past} == newest_past
    again = sum(times - 1 for name, times in store.accepted.items() if name.startswith("live-"))
    print(f"{LETTERS} letters: {dict(outcomes)}; {live.count} live events, {again} sent once more")  # noqa: T201
