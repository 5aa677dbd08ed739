"""Segment traffic: real messages of the SDK, each with what should become of it."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from consumer.outcomes import EventType, Outcome, Reason
from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.traffic import Produced, as_segment_delivers, generate, produce


def test_every_kind_appears_in_a_hundred_events() -> None:
    records = list(generate(100, seed=1))
    assert {record.type for record in records} == {
        EventType.IDENTIFY,
        EventType.GROUP,
        EventType.TRACK,
        EventType.PAGE,
        EventType.SCREEN,
        EventType.NONE,
    }
    assert Counter((record.outcome, record.reason) for record in records) == {
        (Outcome.DELIVERED, Reason.NONE): 93,
        (Outcome.SKIPPED, Reason.ANONYMOUS): 3,
        (Outcome.FILTERED, Reason.INTEGRATIONS): 2,
        (Outcome.DEAD_LETTERED, Reason.UNDECODABLE): 1,
        (Outcome.DEAD_LETTERED, Reason.INVALID_ID): 1,
    }


def test_the_same_seed_gives_the_same_traffic() -> None:
    """But for what the SDK and the clock give: message ids and times."""

    def told(seed: int) -> list[tuple[Any, ...]]:
        return [(record.key, record.type, record.outcome, _content(record)) for record in generate(300, seed)]

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_no_two_records_have_the_same_identity() -> None:
    records = list(generate(2000, seed=1))
    assert len({record.identity for record in records}) == 2000


def test_an_event_is_as_the_sdk_made_it_and_segment_dressed_it() -> None:
    for record in generate(200, seed=1):
        if record.type is EventType.NONE:
            with pytest.raises(json.JSONDecodeError):
                json.loads(record.value)
            assert record.key is None
            continue
        event = json.loads(record.value)
        assert event["context"]["library"]["name"] == "analytics-python"
        assert event["messageId"] == record.message_id
        assert (event["projectId"], event["_metadata"]["unbundled"]) == ("sandboxProject", [])
        assert record.key == (event["userId"] or event["anonymousId"]).encode()


def test_segment_adds_the_time_of_receipt() -> None:
    dressed = as_segment_delivers({"type": "track"}, datetime(2025, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC))
    assert dressed["receivedAt"] == "2025-01-02T03:04:05.678Z"


async def test_produced_records_lie_on_the_topic() -> None:
    records = list(generate(50, seed=1))
    async with EmbeddedBroker() as broker:
        await broker.create_topics(["events"])
        assert await produce(broker.bootstrap, "events", records, per_second=1000) == 50
        async with AIOKafkaConsumer(
            "events", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            read = [await consumer.getone() for _ in records]
    assert [(each.key, each.value) for each in read] == [(record.key, record.value) for record in records]


def _content(record: Produced) -> Any:
    if record.type is EventType.NONE:
        return record.value
    event = json.loads(record.value)
    for name in ("messageId", "timestamp", "receivedAt"):
        del event[name]
    return event
