"""One engine, its images and the stack for all tests of this folder."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.engine import REPOSITORY, STACK, Engine
from tests.support.apache import JARS, fetch_jars
from tests.support.tools import missing

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A container engine of our own."""
    if os.geteuid():
        missing("a container engine of our own needs root")
    with Engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def images(engine: Engine) -> Engine:
    """Our images; and, under the name of the published one, a Kafka."""
    engine.make_base()
    engine.build(REPOSITORY, "pendo-consumer:local", "--target=service", "--build-arg=REVISION=0123abc")
    engine.build(REPOSITORY, "pendo-consumer-sandbox:local", "--target=sandbox")
    asyncio.run(fetch_jars())
    context = STACK / "kafka"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(HERE / "kafka", context)
    shutil.copytree(JARS, context / "libs")
    shutil.copy(HERE.parent / "support" / "log4j2.xml", context)
    engine.build(context, "apache/kafka:4.1.1")
    return engine
