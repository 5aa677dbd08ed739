"""Gathering: brokers gather records for a moment where they come fast, and answer at once where they do not."""

from inspect import getsource
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher

from consumer.kafka.gathering import GATHER_MS, MAX_GATHER_BYTES, Gathering


def rate(gathering: Gathering, per_second: int, began: float) -> bool:
    """Two seconds of polls; whether brokers gather at their end."""
    for hundredth in range(200):
        gathering.changes(per_second // 100, began + hundredth / 100)
    return gathering.active


def test_brokers_gather_only_where_many_records_come() -> None:
    """A quiet topic's record is here at once; and it does not change to and fro at one rate."""
    gathering = Gathering()
    assert not rate(gathering, 500, 10)
    assert not rate(gathering, 900, 12)
    assert rate(gathering, 3_000, 14)
    assert rate(gathering, 700, 16)
    assert not rate(gathering, 400, 18)


def test_a_topic_that_falls_silent_is_read_at_once_again() -> None:
    """The first poll that brings nothing says so."""
    gathering = Gathering()
    assert rate(gathering, 3_000, 10)
    assert gathering.changes(0, 15.0)
    assert not gathering.active


@pytest.mark.parametrize("partition_bytes", [16_384, 1 << 20])
def test_the_client_asks_for_no_more_than_may_come_of_a_partition(
    partition_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a broker would wait for more although there is a backlog."""
    fetcher = SimpleNamespace(_fetch_min_bytes=1, _fetch_max_wait_ms=500)
    client = cast("AIOKafkaConsumer", SimpleNamespace(_fetcher=fetcher))
    clock = iter([10.0, 11.0, 20.0])
    monkeypatch.setattr("consumer.kafka.gathering.monotonic", lambda: next(clock))
    gathering = Gathering()
    gathering.came(client, [], partition_bytes)
    gathering.came(client, [range(1_000), range(1_000)], partition_bytes)
    asked: tuple[Any, Any] = fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms
    assert asked == (min(partition_bytes, MAX_GATHER_BYTES), GATHER_MS)
    gathering.came(client, [], partition_bytes)
    assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (1, 500)


def test_the_client_reads_both_for_each_request() -> None:
    """They are its own business: another version may call them otherwise, and then this must be known."""
    asked = getsource(Fetcher._get_actions_per_node)
    assert "self._fetch_min_bytes" in asked
    assert "self._fetch_max_wait_ms" in asked
