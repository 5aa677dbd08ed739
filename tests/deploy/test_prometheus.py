"""A real Prometheus scrapes real services: every panel has an answer, and the alerts that matter most fire."""

import asyncio
import json
from asyncio.subprocess import STDOUT
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import yaml

from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.children import free_port
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, Running, event
from tests.support.dashboards import expressions
from tests.support.tools import tool

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(180)]

REPOSITORY: Final = Path(__file__).parents[2]
EMPTY: Final = {
    ("Held, in doubt, stalled", "sending_held"): "nobody has paused anything",
    ("Held, in doubt, stalled", "gate_in_doubt"): "a credential is in doubt for a moment only",
}
"""Panels without an answer, by title and what their expression names, and why they have none."""
FIRING: Final = {
    "down": {"PendoConsumerDown"},
    "wrong key": {"PendoConsumerStalled"},
    # What was refused before there were enough answers to tell a flood is dead-lettered.
    "refused": {"PendoConsumerFlood", "PendoConsumerDeadLetters"},
    "unreachable": {"PendoConsumerPendoUnreachable"},
    "no topic": {"PendoConsumerDeadLettersNotTaken"},
    "healthy": {"PendoConsumerDeadLetters"},
}
"""Which alerts each of our deployments fires: these, and no other."""
EVENTS: Final = 60


def rules_without_patience(folder: Path) -> Path:
    """Our rules, but an alert fires when what it is about has been so for a second."""
    rules = yaml.safe_load((REPOSITORY / "config" / "prometheus" / "rules.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = "1s"
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(rules))
    return file


class Prometheus:
    """It, as far as a test asks it."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def get(self, path: str, **params: str) -> Any:
        """The data of an answer of its API."""
        async with aiohttp.ClientSession() as session, session.get(self._url + path, params=params) as response:
            body = await response.json()
            assert response.status == 200, body
            return body["data"]

    async def firing(self) -> set[tuple[str, str]]:
        """Job and name of every alert that fires."""
        alerts = (await self.get("/api/v1/alerts"))["alerts"]
        return {(one["labels"]["job"], one["labels"]["alertname"]) for one in alerts if one["state"] == "firing"}

    async def until(self, query: str, series: int = 1) -> None:
        """Wait until a query has so many answers."""
        async with asyncio.timeout(30):
            while True:
                try:
                    if len((await self.get("/api/v1/query", query=query))["result"]) == series:
                        return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.2)


@asynccontextmanager
async def prometheus(folder: Path, services: Mapping[str, Running]) -> AsyncIterator[Prometheus]:
    """One that scrapes these every second."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules_without_patience(folder))],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [service.url.removeprefix("http://")]}]}
            for job, service in services.items()
        ],
    }
    file, log, port = folder / "prometheus.yaml", folder / "prometheus.log", free_port()
    file.write_text(yaml.safe_dump(config))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            tool("prometheus", "Debian's prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=output,
            stderr=STDOUT,
        )
    try:
        running = Prometheus(f"http://127.0.0.1:{port}")
        await running.until("up == 1", len(services))
        yield running
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def deployments() -> AsyncIterator[dict[str, tuple[Pipe, Running]]]:
    """A deployment for each alert, all on one broker, each with a Pendo and a trouble of its own."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(EmbeddedBroker())
        started: dict[str, tuple[Pipe, Running]] = {}
        for name in FIRING:
            simulator = await stack.enter_async_context(Simulator())
            pipe = Pipe(broker, simulator)
            await pipe.create_topics()
            settings = settings_of(name, simulator)
            started[name] = (pipe, await stack.enter_async_context(pipe.service(**settings)))
        yield started


def settings_of(name: str, simulator: Simulator) -> dict[str, str]:
    """Prepare this deployment's trouble."""
    match name:
        case "wrong key":
            return {"pendo__api_key": "another"}
        case "refused":
            simulator.faults.add(Rule(answer=Answer(status=400)))
            return {"dead_letter__flood_min_events": "20"}
        case "unreachable":
            simulator.faults.add(Rule(answer=Answer(status=503)))
        case "no topic":
            return {"dead_letter__topic": "there-is-no-such-topic"}
        case "healthy":
            simulator.faults.add(Rule(message_id="7", answer=Answer(status=400)))
        case _:
            pass
    return {}


def events(name: str) -> list[dict[str, Any]]:
    """What is sent: tracks of many users; one of them too long a name, which Pendo takes and does not show."""
    sent = [event(number, user=f"u{number}") for number in range(EVENTS)]
    sent.append(event("long", event="e" * 200))
    if name == "no topic":
        sent[3] = event(3, properties=[])
    return sent


async def test_alerts_fire_and_panels_have_answers(tmp_path: Path) -> None:
    """All troubles at once, each in a deployment of its own: an alert names its deployment, and no other."""
    async with deployments() as started, AsyncExitStack() as stack:
        services = {name: service for name, (_, service) in started.items()}
        seen = await stack.enter_async_context(prometheus(tmp_path, services))
        await asyncio.gather(*(pipe.produce(events(name)) for name, (pipe, _) in started.items()))
        await services["healthy"].until_settled(EVENTS + 1)
        await services["down"].stop()
        await seen.until(f'pendo_consumer_delivery_age_seconds_count{{job="healthy"}} == {EVENTS}')
        # A rate needs a series that was there before: some that are new, and some that Pendo has already.
        more = [event(f"again-{number}", user=f"u{number}") for number in range(EVENTS)]
        await started["healthy"][0].produce([*more, *events("healthy")])
        await services["healthy"].until_settled(3 * EVENTS)
        await until_firing(seen, {(name, alert) for name, alerts in FIRING.items() for alert in alerts})
        assert await answers(seen) == EMPTY.keys()


async def until_firing(seen: Prometheus, wanted: set[tuple[str, str]]) -> None:
    """Wait until these alerts fire, and no other."""
    firing: set[tuple[str, str]] = set()
    try:
        async with asyncio.timeout(90):
            while (firing := await seen.firing()) != wanted:
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise AssertionError(f"missing {wanted - firing}, too many {firing - wanted}") from None


async def answers(seen: Prometheus) -> set[tuple[str, str]]:
    """Ask for every panel, and return those that have no answer."""
    empty = set()
    dashboard = json.loads((REPOSITORY / "config" / "grafana" / "dashboard.json").read_text())
    for title, expression in expressions(dashboard):
        result = (await seen.get("/api/v1/query", query=expression))["result"]
        if not [one for one in result if one["value"][1] != "NaN"]:
            explained = [what for about, what in EMPTY if about == title and what in expression]
            empty.add((title, explained[0] if explained else expression))
    return empty
