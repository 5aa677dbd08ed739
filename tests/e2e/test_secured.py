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
    settings: dict[str, str] = {}
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
