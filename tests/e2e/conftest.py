"""Every test of this folder runs on the embedded broker, and again on Apache Kafka (marker `apache`)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
import uvloop

from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.simulator import Simulator
from tests.e2e.pipe import Broker, Pipe
from tests.support.apache import ApacheKafka
from tests.support.logs import restored

T = TypeVar("T", bound="EmbeddedBroker | ApacheKafka")


@contextmanager
def for_all_tests(broker: T) -> Iterator[T]:
    """On a loop of its own: an async fixture would end with each test, since the loops of tests have a factory."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(broker.__aenter__())
        try:
            yield broker
        finally:
            runner.run(broker.__aexit__(None, None, None))


@pytest.fixture(scope="session", params=["tansu", pytest.param("apache", marks=pytest.mark.apache)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker for all tests of a process; each test has topics of its own."""
    with for_all_tests(EmbeddedBroker() if request.param == "tansu" else ApacheKafka()) as broker:
        yield broker


@pytest.fixture(scope="session")
def apache_broker() -> Iterator[Broker]:
    """Apache Kafka, for promises that rest on what the embedded broker lacks."""
    with for_all_tests(ApacheKafka()) as apache:
        yield apache


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Commands in this process leave nothing behind."""
    with restored():
        yield


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Pendo."""
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def pipe(broker: Broker, simulator: Simulator) -> Pipe:
    """A pipe with its topics."""
    pipe = Pipe(broker, simulator)
    await pipe.create_topics()
    return pipe


@pytest.fixture
async def apache_pipe(apache_broker: Broker, simulator: Simulator) -> Pipe:
    """A pipe on Apache Kafka."""
    pipe = Pipe(apache_broker, simulator)
    await pipe.create_topics()
    return pipe
