"""A start that is cut short leaves nothing behind: a client's own `start()` is not cancelled while it may end."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from consumer.kafka import starting
from consumer.kafka.starting import start


async def test_a_start_ends_before_its_caller_is_stopped() -> None:
    """Then the connections that it made are known to the client, and its `stop()` closes them."""
    seen: list[str] = []

    async def slow() -> None:
        seen.append("began")
        await asyncio.sleep(0.05)
        seen.append("ended")

    caller = asyncio.create_task(start(slow()))
    await asyncio.sleep(0.01)
    caller.cancel()
    await asyncio.wait([caller], timeout=5)
    assert caller.cancelled()
    assert seen == ["began", "ended"]


async def test_a_start_that_does_not_end_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that say nothing do not hold up a stop."""
    monkeypatch.setattr(starting, "GRACE_S", 0.05)
    seen: list[str] = []

    async def silent() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    caller = asyncio.create_task(start(silent()))
    await asyncio.sleep(0.01)
    caller.cancel()
    await asyncio.wait([caller], timeout=5)
    assert caller.cancelled()
    assert seen == ["cancelled"]


async def test_a_start_that_fails_tells_its_caller() -> None:
    """The client's own error, as if nothing stood between."""

    async def refused() -> None:
        await asyncio.sleep(0)
        raise KafkaConnectionError("no brokers")

    with pytest.raises(KafkaConnectionError, match="no brokers"):
        await start(refused())
