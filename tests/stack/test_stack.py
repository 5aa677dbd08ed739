"""The stack of docker-compose.yml, started: events arrive, and one of two containers may die."""

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import orjson
import pytest
import yaml
from aiokafka import AIOKafkaProducer

from consumer.sandbox.children import free_port
from tests.stack.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

EVENTS: Final = 2000
PARTS: Final = ("kafka", "topics", "pendo", "pendo-consumer")


class Stack:
    """It, running, as a test asks it."""

    def __init__(self, engine: Engine, variables: dict[str, str]) -> None:
        self.engine = engine
        self._variables = variables

    def compose(self, *arguments: str) -> str:
        """A command of compose's."""
        return self.engine.compose("--profile", "sandbox", *arguments, variables=self._variables)

    @property
    def brokers(self) -> str:
        """Kafka, from this machine."""
        return f"localhost:{self._variables['KAFKA_PORT']}"

    def pendo(self, path: str, asked: Any = None) -> Any:
        """Ask the simulated Pendo's control."""
        body = None if asked is None else json.dumps(asked).encode()
        url = f"http://127.0.0.1:{self._variables['PENDO_PORT']}/_sim/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as answer:
            return json.load(answer)

    def service(self) -> list[str]:
        """The containers of the service."""
        return self.compose("ps", "--quiet", "pendo-consumer").split()

    def visitors(self) -> set[str]:
        """Whom Pendo knows."""
        return set(self.pendo("state")["visitors"])


@pytest.fixture(scope="module")
def stack(images: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, the simulated Pendo and two containers of the service; no traffic but the test's own."""
    first = next(port for port in (free_port() for _ in count()) if _both_free(port))
    variables = {
        "CONSUMER_PORTS": f"{first}-{first + 1}",
        "KAFKA_PORT": str(free_port()),
        "PENDO_PORT": str(free_port()),
    }
    # A dead member is missed sooner, so that the test is.
    quick = {"services": {"pendo-consumer": {"environment": {"PENDO_CONSUMER_KAFKA__SESSION_TIMEOUT_S": "10"}}}}
    override = tmp_path_factory.mktemp("stack") / "compose.yaml"
    override.write_text(yaml.safe_dump(quick))
    stack = Stack(images, variables | {"COMPOSE_FILE": f"docker-compose.yml:{override}"})
    try:
        stack.compose("up", "--no-build", "--detach", *PARTS)
        until(lambda: _healthy(stack) == 2, 90)
        yield stack
    finally:
        print(stack.compose("logs", "--no-color", "--tail=60"))  # noqa: T201  # pytest shows it when a test fails
        stack.compose("down", "--timeout=2", "--volumes")


def _both_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port + 1)) != 0


def _healthy(stack: Stack) -> int:
    states = [stack.engine.inspect(one)["State"] for one in stack.service()]
    return sum(state["Health"]["Status"] == "healthy" for state in states)


def until(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait until it is so."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.5)


async def produce(stack: Stack, users: list[str]) -> None:
    """An identify for each."""
    async with AIOKafkaProducer(bootstrap_servers=stack.brokers, acks="all") as producer:
        for user in users:
            value = {"type": "identify", "userId": user, "messageId": user, "traits": {"plan": "pro"}}
            await producer.send("segment-events", key=user.encode(), value=orjson.dumps(value))
        await producer.flush()


async def test_events_that_are_produced_arrive(stack: Stack) -> None:
    users = [f"first-{number}" for number in range(200)]
    await produce(stack, users)
    until(lambda: stack.visitors() >= set(users), 60)


def test_the_service_runs_without_rights(stack: Stack) -> None:
    """Not as root, on a root that it cannot write; seen from the outside and from within."""
    containers = stack.service()
    assert len(containers) == 2
    for one in containers:
        about = stack.engine.inspect(one)
        assert about["HostConfig"]["ReadonlyRootfs"] is True
        assert about["HostConfig"]["CapDrop"] == ["ALL"]
        tries = "import os; print(os.getuid()); open('/tmp/x', 'w')"
        inside = f"try:\n exec({tries!r})\nexcept OSError as error: print(error.errno)"
        assert stack.engine.docker("exec", one, "python", "-c", inside).split() == ["10001", "30"]


async def test_killing_one_of_two_loses_nothing(stack: Stack) -> None:
    """It dies in the middle of its work; the other takes its partitions over."""
    stack.pendo("latency", {"median_s": 0.5})
    users = [f"second-{number}" for number in range(EVENTS)]
    await produce(stack, users)
    until(lambda: len(stack.visitors() & set(users)) > EVENTS // 20, 60)
    stack.engine.docker("kill", "--signal=KILL", stack.service()[0])
    assert not stack.visitors() >= set(users), "it was killed too late to be of use"
    stack.pendo("latency", {"median_s": 0.0})
    until(lambda: stack.visitors() >= set(users), 120)


def test_a_stop_reaches_the_process(stack: Stack) -> None:
    """SIGTERM, not the kill after it: it drains, and ends with 0."""
    [last] = [one for one in stack.service() if stack.engine.inspect(one)["State"]["Running"]]
    stack.engine.docker("stop", "--time=30", last)
    assert stack.engine.inspect(last)["State"]["ExitCode"] == 0
    assert '"stopped"' in stack.compose("logs", "--no-color", "pendo-consumer")
