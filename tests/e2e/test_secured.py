"""Every command that talks to Kafka, against a broker that wants TLS and a login; and without the right ones."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme

from consumer.sandbox.children import free_port
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.conftest import for_all_tests
from tests.e2e.pipe import Pipe, event
from tests.support.apache import ApacheKafka
from tests.support.secured import PASSWORD, PROTOCOLS, USER, add_scram_user, secured

pytestmark = [pytest.mark.apache, pytest.mark.timeout(180)]

MECHANISM = "SCRAM-SHA-512"
ASKING_S = 20.0
"""A person waits no longer to be told that a password is wrong."""


@dataclass
class Done:
    """What a command did."""

    name: str
    status: int
    out: str
    err: str
    seconds: float

    @property
    def rows(self) -> list[Any]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Secured:
    """A broker with its private CA, and how to come in."""

    kafka: ApacheKafka
    login: dict[str, str]


@pytest.fixture(scope="module")
def broker_with_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """For all tests of this file."""
    folder, authority = tmp_path_factory.mktemp("ca"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    settings = {"num.partitions": "1"}
    kafka = ApacheKafka(settings=settings)
    ports = {name: free_port() for name in PROTOCOLS}
    settings.update(secured(kafka, authority, ports))
    login = {
        "kafka__bootstrap_servers": f"127.0.0.1:{ports['SASLTLS']}",
        "kafka__security__protocol": PROTOCOLS["SASLTLS"],
        "kafka__security__sasl_mechanism": MECHANISM,
        "kafka__security__username": USER,
        "kafka__security__password": PASSWORD,
        "kafka__security__ca_file": str(folder / "ca.pem"),
    }
    with for_all_tests(kafka):
        asyncio.run(add_scram_user(kafka.bootstrap, MECHANISM))
        yield Secured(kafka, login)


class Commands:
    """Commands as processes, configured as a pipe is, with a way in."""

    def __init__(self, pipe: Pipe, **settings: str) -> None:
        simulator = pipe.simulator
        pendo = {"pendo__integration_key": simulator.integration_key, "pendo__api_url": simulator.url}
        self._environ = {**os.environ, **pipe.environ(**settings, **pendo)}

    async def run(self, *argv: str) -> Done:
        """One, to its end."""
        began_s = monotonic()
        command = (sys.executable, "-m", "consumer", *argv)
        process = await asyncio.create_subprocess_exec(
            *command, env=self._environ, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(60):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        name = " ".join(argv)
        return Done(name, process.returncode, out.decode(), err.decode(), monotonic() - began_s)

    async def ok(self, *argv: str) -> Done:
        """One that must end with 0."""
        done = await self.run(*argv)
        assert done.status == 0, (done.name, done.out, done.err)
        return done


async def parked(pipe: Pipe, login: dict[str, str]) -> None:
    """Have `run` deliver an identify and a track, and dead-letter two that Pendo refuses."""
    pipe.simulator.faults.add(Rule(id="bad", answer=Answer(status=400)))
    identify = {"type": "identify", "userId": "ann", "messageId": "i-1", "traits": {"plan": "pro"}}
    events = [identify, event("m-1", user="ann"), event("m-2", user="bad"), event("m-3", user="bad")]
    async with pipe.process(**login) as service:
        await pipe.produce(events)
        await service.until_settled(4)
        await service.until(lambda m: m.sum("lag_records") == 0)
        assert await service.reasons() == []
        assert await service.stop() == 0
    pipe.simulator.faults.clear()


async def test_every_command_works_over_tls_with_a_login(broker_with_login: Secured, simulator: Simulator) -> None:
    """From the check to the replay; what was delivered was read over the same way in."""
    pipe = Pipe(broker_with_login.kafka, simulator)
    await pipe.create_topics()
    login = broker_with_login.login
    await parked(pipe, login)
    commands = Commands(pipe, **login)
    checked = await commands.ok("check", "--connect", "--json")
    assert {row["state"] for row in checked.rows} == {"ok"}, checked.out
    lagging = await commands.ok("lag", "--json", "--no-rate")
    assert [row["lag"] for row in lagging.rows] == [0, 0]
    traced = await commands.ok("trace", "m-1", "--pendo", "--json")
    assert [(row["state"], row["outcome"]) for row in traced.rows] == [("settled", "delivered")]
    [verified] = (await commands.ok("verify", "--until", "0s", "--json")).rows
    assert (verified["sampled"], verified["share"]) == (1, 1.0)
    mapped = await commands.ok("map", "--sample", "10")
    assert {row["messageId"] for row in mapped.rows} == {"i-1", "m-1", "m-2", "m-3"}
    observed = await commands.ok("schema", "--observed", "--sample", "10", "--json")
    assert {(row["type"], row["field"]) for row in observed.rows} == {("identify", "plan"), ("track", "n")}
    listed = await commands.ok("dlq", "list", "--json")
    assert [row["messageId"] for row in listed.rows] == ["m-2", "m-3"]
    [shown] = (await commands.ok("dlq", "show", listed.rows[0]["letter"], "--json")).rows
    assert shown["event"]["messageId"] == "m-2"
    exported = await commands.ok("dlq", "export")
    assert [row["messageId"] for row in exported.rows] == ["m-2", "m-3"]
    planned = await commands.ok("dlq", "replay", "--dry-run", "--json")
    assert [(row["sent"], row["outcome"]) for row in planned.rows] == [(True, "deliver")] * 2
    replayed = await commands.ok("dlq", "replay", "--json")
    assert [(row["messageId"], row["outcome"]) for row in replayed.rows] == [("m-2", "delivered"), ("m-3", "delivered")]


ASKING: list[tuple[int, tuple[str, ...]]] = [
    (78, ("check", "--connect")),
    (1, ("lag",)),
    (1, ("trace", "m-1")),
    (1, ("verify",)),
    (1, ("map", "--sample", "10")),
    (1, ("schema", "--observed", "--sample", "10")),
    (1, ("dlq", "list")),
    (1, ("dlq", "show", "t-0@0")),
    (1, ("dlq", "export")),
    (1, ("dlq", "replay", "--dry-run")),
    (1, ("dlq", "replay")),
]


@pytest.mark.parametrize(
    "wrong", [{"kafka__security__password": "wrong"}, {"kafka__security__ca_file": ""}], ids=["password", "ca"]
)
async def test_without_the_right_credentials_every_command_says_so_and_ends(
    broker_with_login: Secured, simulator: Simulator, wrong: dict[str, str]
) -> None:
    """In one line that a person understands; soon; and with a status that a script sees."""
    pipe = Pipe(broker_with_login.kafka, simulator)
    commands = Commands(pipe, **broker_with_login.login | wrong)
    for _, argv in ASKING:
        done = await commands.run(*argv)
        print("#####", done)
