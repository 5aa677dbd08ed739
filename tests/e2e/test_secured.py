"""Every command that talks to Kafka, against a broker that wants TLS and a login; and without the right ones."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trustme

from consumer.sandbox.children import free_port
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.commands import Commands
from tests.e2e.conftest import for_all_tests
from tests.e2e.pipe import Pipe, event
from tests.support.apache import ApacheKafka
from tests.support.secured import PASSWORD, PROTOCOLS, USER, add_scram_user, secured

pytestmark = [pytest.mark.apache, pytest.mark.timeout(180)]

MECHANISM = "SCRAM-SHA-512"
ASKING_S = 20.0
"""A person waits no longer to be told that a password is wrong."""


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


WRONG = [
    ({"kafka__security__password": "wrong"}, "SaslAuthenticationFailed"),
    ({"kafka__security__ca_file": ""}, "CERTIFICATE_VERIFY_FAILED"),
]
WRONG_IDS = ["password", "ca"]


@pytest.mark.parametrize(("wrong", "why"), WRONG, ids=WRONG_IDS)
async def test_without_the_right_credentials_every_command_says_so_and_ends(
    broker_with_login: Secured, simulator: Simulator, wrong: dict[str, str], why: str
) -> None:
    """In one line that a person understands; soon; and with a status that a script sees."""
    pipe = Pipe(broker_with_login.kafka, simulator)
    settings = broker_with_login.login | wrong
    commands = Commands(pipe, **settings)
    for status, argv in ASKING:
        done = await commands.run(*argv)
        assert done.status == status, done
        assert done.seconds < ASKING_S, done
        told = done.out + done.err
        assert "KafkaConnectionError; check kafka.bootstrap_servers and kafka.security" in told, done
        assert why in told, done
        assert "Traceback" not in told, done
        assert PASSWORD not in told


@pytest.mark.parametrize(("wrong", "why"), WRONG, ids=WRONG_IDS)
async def test_without_the_right_credentials_run_waits_and_says_so(
    broker_with_login: Secured, simulator: Simulator, wrong: dict[str, str], why: str
) -> None:
    """Not ready, as long as it takes: a broker may be set right, too. A stop ends it with 0: nothing was open."""
    pipe = Pipe(broker_with_login.kafka, simulator)
    async with pipe.process(**broker_with_login.login | wrong) as service:
        await service.until_reasons(["kafka"])
        async with asyncio.timeout(20):
            while not any(line["event"] == "waiting for Kafka" for line in service.log):
                await asyncio.sleep(0.05)
        assert await service.stop() == 0
    [waiting] = [line for line in service.log if line["event"] == "waiting for Kafka"]
    assert waiting["problem"].endswith("check kafka.bootstrap_servers and kafka.security")
    assert any(why in line["event"] for line in service.log)
