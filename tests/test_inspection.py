"""`check --connect` against real brokers and the simulator: what an operator is told before the first record."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from consumer.config.settings import Settings
from consumer.inspection import Finding, _pendo, inspect
from consumer.kafka import cluster
from consumer.sandbox.broker import EmbeddedBroker, admin_client
from consumer.sandbox.children import free_port
from consumer.sandbox.simulator import Simulator
from tests.support.apache import ApacheKafka

SOURCE, LETTERS = "events", "letters"
KEY = "an-integration-key"


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    """An empty broker."""
    async with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
async def pendo() -> AsyncIterator[Simulator]:
    """Pendo."""
    async with Simulator(integration_key=KEY) as pendo:
        yield pendo


async def findings(
    bootstrap: str, pendo_url: str, *, routes: dict[str, str] | None = None, **pendo: Any
) -> dict[str, list[Finding]]:
    """What is found, by subject."""
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": [bootstrap], "topics": [SOURCE]},
            "dead_letter": {"topic": LETTERS},
            "pendo": {"data_url": pendo_url, "api_url": pendo_url, "api_key": "k", **pendo},
            "delivery": {"request_timeout_s": 2},
            "routes": routes or {},
        }
    )
    found: dict[str, list[Finding]] = {}
    for finding in await inspect(settings):
        found.setdefault(finding.subject, []).append(finding)
    return found


def told(found: dict[str, list[Finding]], subject: str) -> tuple[bool, str]:
    """Whether a subject is all right, and what is said of it."""
    about = found[subject]
    return all(finding.ok for finding in about), "; ".join(finding.message for finding in about)


async def test_all_is_well(broker: EmbeddedBroker, pendo: Simulator) -> None:
    """Every subject is looked at, nothing is to be fixed, and no event was sent."""
    await broker.create_topics([SOURCE, LETTERS])
    found = await findings(broker.bootstrap, pendo.url, integration_key=KEY)
    assert all(finding.ok for about in found.values() for finding in about), found
    assert set(found) >= {"kafka", f"topic {SOURCE}", f"topic {LETTERS}", "group pendo-consumer"}
    assert "no commit of the first partition and starts there from earliest" in told(found, "group pendo-consumer")[1]
    assert "empty" in told(found, f"topic {SOURCE}")[1]
    assert told(found, "pendo integration key") == (True, "is valid and may write")
    assert pendo.store.visitors == {}


async def test_missing_topics_are_named_and_not_created(broker: EmbeddedBroker, pendo: Simulator) -> None:
    """Both kinds."""
    found = await findings(broker.bootstrap, pendo.url)
    for topic in (SOURCE, LETTERS):
        ok, message = told(found, f"topic {topic}")
        assert not ok
        assert "does not exist" in message
    async with admin_client(broker.bootstrap) as admin:
        assert not {SOURCE, LETTERS} & set(await admin.list_topics())


@pytest.mark.parametrize(("keys", "said"), [([b"u"] * 4, "all of 4 records have a key"), ([b"u", None] * 2, "50 % of")])
async def test_the_unkeyed_share_of_the_newest_records_is_told(
    broker: EmbeddedBroker, pendo: Simulator, keys: list[bytes | None], said: str
) -> None:
    """It is advice: Segment sends null keys unless it is told otherwise."""
    await broker.create_topics([SOURCE, LETTERS])
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for key in keys:
            await producer.send_and_wait(SOURCE, b"{}", key=key)
    ok, message = told(await findings(broker.bootstrap, pendo.url), f"topic {SOURCE}")
    assert ok
    assert said in message


async def test_kafka_down_is_one_finding_and_pendo_is_asked_all_the_same(
    pendo: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says which keys to look at."""
    monkeypatch.setattr(cluster, "QUESTION_TIMEOUT_S", 2.0)
    found = await findings(f"127.0.0.1:{free_port()}", pendo.url)
    ok, message = told(found, "kafka")
    assert not ok
    assert "kafka.bootstrap_servers" in message
    assert told(found, "pendo data host")[0]


async def test_pendo_down_is_told_for_each_host(broker: EmbeddedBroker) -> None:
    """And no key stands in what is said."""
    await broker.create_topics([SOURCE, LETTERS])
    found = await findings(broker.bootstrap, f"http://127.0.0.1:{free_port()}", integration_key=KEY)
    for subject in ("pendo data host", "pendo integration key"):
        ok, message = told(found, subject)
        assert not ok
        assert "cannot be reached" in message
        assert KEY not in message


@pytest.mark.parametrize(
    ("routes", "secrets"),
    [
        ({}, ["pendo.api_key"]),
        ({"page": "track"}, ["pendo.api_key", "pendo.track_event_secret"]),
        (
            {"identify": "off", "group": "off", "track": "track", "page": "track", "screen": "off"},
            ["pendo.track_event_secret"],
        ),
    ],
)
async def test_of_each_routes_credential_it_is_said_that_only_an_event_can_tell(
    pendo: Simulator, routes: dict[str, str], secrets: list[str]
) -> None:
    """Of those in use; nothing is sent to find out."""
    settings = Settings.model_validate({"pendo": {"data_url": pendo.url}, "routes": routes})
    [host] = [finding async for finding in _pendo(settings)]
    assert host.ok
    assert re.findall(r"whether (pendo\.\w+)", host.message) == secrets
    assert host.message.count("is right only an event can tell") == len(secrets)
    assert not [entry for entry in pendo.log if entry.method == "POST"]


METADATA = {"identify": "metadata", "group": "metadata", "track": "off", "page": "off", "screen": "off"}


async def of_pendo(routes: dict[str, str], **pendo: Any) -> dict[str, tuple[bool, str]]:
    """What is found at Pendo, by subject."""
    settings = Settings.model_validate({"pendo": pendo, "routes": routes, "delivery": {"request_timeout_s": 2}})
    return {finding.subject: (finding.ok, finding.message) async for finding in _pendo(settings)}


async def test_only_hosts_that_a_route_in_use_needs_are_asked(pendo: Simulator) -> None:
    """A firewall that lets only the one through is no problem; without a key the API host is asked all the same."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    found = await of_pendo(METADATA, data_url=nowhere, api_url=pendo.url, integration_key=KEY)
    assert found == {"pendo integration key": (True, "is valid and may write")}
    assert await of_pendo(METADATA, data_url=nowhere, api_url=pendo.url) == {"pendo API host": (True, "answers")}
    ok, message = (await of_pendo(METADATA, api_url=nowhere))["pendo API host"]
    assert not ok
    assert "check pendo.region, pendo.api_url" in message
    assert list(await of_pendo({}, data_url=pendo.url, api_url=nowhere)) == ["pendo data host"]


@pytest.mark.parametrize(
    ("routes", "group", "doubts"),
    [
        (METADATA, "agent", {}),
        (METADATA, "custom", {"route metadata": "whether every field that is sent exists in the group custom"}),
        ({"delete": "bulkdelete"}, "custom", {"route bulkdelete": "whether the subscription lets this key delete"}),
    ],
)
async def test_what_cannot_be_known_of_a_route_is_said(
    pendo: Simulator, routes: dict[str, str], group: str, doubts: dict[str, str]
) -> None:
    """Nothing is written to find out, and nothing deleted."""
    urls = {"data_url": pendo.url, "api_url": pendo.url}
    found = await of_pendo(routes, **urls, integration_key=KEY, metadata_group=group)
    told_of_routes = {subject: told for subject, told in found.items() if subject.startswith("route ")}
    assert told_of_routes == {route: (True, f"{doubt} only a call can tell") for route, doubt in doubts.items()}
    assert not [entry for entry in pendo.log if entry.method == "POST"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("<html>", "the answer is not Pendo's"),
        ("[]", "the answer is not Pendo's"),
        ('{"valid": false, "writeAccess": true}', "is not valid"),
    ],
)
async def test_a_token_check_that_is_answered_by_something_else_must_be_fixed(answer: str, message: str) -> None:
    """A proxy's page has status 200, too."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=answer)

    app = web.Application()
    app.router.add_get("/api/v1/token/verify", page)
    async with TestServer(app) as server:
        found = await of_pendo(METADATA, api_url=str(server.make_url("/")), integration_key=KEY)
    ok, told_message = found["pendo integration key"]
    assert not ok
    assert told_message.startswith(message)


async def test_an_integration_key_that_pendo_refuses_must_be_fixed(broker: EmbeddedBroker, pendo: Simulator) -> None:
    """The usual reason is the region."""
    await broker.create_topics([SOURCE, LETTERS])
    ok, message = told(await findings(broker.bootstrap, pendo.url, integration_key="another"), "pendo integration key")
    assert not ok
    assert "status 403" in message
    assert "another" not in message


@pytest.mark.parametrize(
    ("routes", "ok"),
    [({"identify": "metadata"}, False), ({"delete": "bulkdelete"}, False), ({"track": "segmentio"}, True)],
)
async def test_a_key_that_may_only_read_must_be_fixed_when_a_route_writes(
    broker: EmbeddedBroker, pendo: Simulator, *, routes: dict[str, str], ok: bool
) -> None:
    """Without such a route it is enough: `schema --observed` reads by it."""
    await broker.create_topics([SOURCE, LETTERS])
    found = await findings(broker.bootstrap, pendo.url, routes=routes, integration_key=pendo.read_only_key)
    well, message = told(found, "pendo integration key")
    assert well is ok
    assert message.startswith("is valid but may only read")
    assert ok or "give it write access in Pendo" in message


async def test_without_an_integration_key_none_is_asked_about(broker: EmbeddedBroker, pendo: Simulator) -> None:
    """The default routes need none."""
    await broker.create_topics([SOURCE, LETTERS])
    assert "pendo integration key" not in await findings(broker.bootstrap, pendo.url)


@pytest.mark.apache
@pytest.mark.timeout(120)
async def test_a_dead_letter_topic_that_would_lose_letters_must_be_fixed(pendo: Simulator) -> None:
    """Compacted, or smaller than what it has to take; a short retention is worth a word."""
    async with ApacheKafka() as kafka:
        await kafka.create_topics([SOURCE])
        async with admin_client(kafka.bootstrap) as admin:
            bad = {"cleanup.policy": "compact", "max.message.bytes": "1000"}
            await admin.create_topics([NewTopic(LETTERS, 1, 1, topic_configs=bad)])
            while LETTERS not in await admin.list_topics():
                await asyncio.sleep(0.05)
            ok, message = told(await findings(kafka.bootstrap, pendo.url), f"topic {LETTERS}")
            assert not ok
            assert "is compacted" in message
            assert "takes records of 1000 bytes, a source topic up to" in message
            await admin.create_topics([NewTopic("short", 1, 1, topic_configs={"retention.ms": "86400000"})])
        found = await findings_of(kafka.bootstrap, pendo.url, "short")
    assert told(found, "topic short")[0]
    assert "for 1.0 days; a week or more is advised" in told(found, "topic short")[1]
    assert told(found, "kafka") == (True, "connected")


async def findings_of(bootstrap: str, pendo_url: str, letters: str) -> dict[str, list[Finding]]:
    """What is found with another dead-letter topic."""
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": [bootstrap], "topics": [SOURCE]},
            "dead_letter": {"topic": letters},
            "pendo": {"data_url": pendo_url, "api_url": pendo_url},
        }
    )
    return {finding.subject: [finding] for finding in await inspect(settings)}
