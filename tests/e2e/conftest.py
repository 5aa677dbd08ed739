"""Every test of this folder runs on the embedded broker, and again on Apache Kafka (marker `apache`)."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.simulator import Simulator
from tests.e2e.pipe import Broker, Pipe
from tests.support.apache import ApacheKafka


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=["tansu", pytest.param("apache", marks=pytest.mark.apache)]
)
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A broker for all tests of a process; each test has topics of its own."""
    if request.param == "tansu":
        async with EmbeddedBroker() as tansu:
            yield tansu
    else:
        async with ApacheKafka() as apache:
            yield apache


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def apache_broker() -> AsyncIterator[Broker]:
    """Apache Kafka, for promises that rest on what the embedded broker lacks."""
    async with ApacheKafka() as apache:
        yield apache


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
