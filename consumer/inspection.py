"""The inspection behind `check --connect`: asks Kafka and Pendo what the configuration only claims.

Settings go in, findings come out; nothing is written, created, sent to Pendo as an event, or committed.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
from yarl import URL

from consumer.config.settings import CREDENTIALS, PendoSettings, Settings
from consumer.errors import BrokerError, UnreachableError
from consumer.kafka.cluster import Cluster
from consumer.kafka.records import Partition
from consumer.kafka.sampling import count_unkeyed
from consumer.kafka.security import client_options
from consumer.pendo.client import Client
from consumer.pendo.endpoints import KEY_HEADER, Endpoints, routes_in_use
from consumer.pendo.requests import Route

UNKEYED_ADVICE: Final = "order across pods needs the visitor's id as the record's key: set it in Segment's destination"
UNKNOWABLE: Final[Mapping[Route, str]] = {
    Route.SEGMENTIO: "pendo.api_key",
    Route.TRACK: "pendo.track_event_secret, and pendo.track_event_header,",
}
"""Credentials of the data host, which has nothing that one could ask about them without sending an event."""
_DAY_MS: Final = 24 * 3600 * 1000
SHORT_RETENTION_MS: Final = 7 * _DAY_MS
"""A dead letter should outlive a week's holiday."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        ok: Whether it may stay as it is.
        subject: What was looked at.
        message: What was found, and what to do about it.
    """

    ok: bool
    subject: str
    message: str


async def inspect(settings: Settings) -> list[Finding]:
    """Ask Kafka and Pendo.

    Raises:
        ConfigError: A file that the settings name cannot be used.
    """
    options = client_options(settings.kafka)
    cluster = Cluster(options)
    try:
        findings = [finding async for finding in _kafka(settings, options, cluster)]
    finally:
        await cluster.close()
    return findings + [finding async for finding in _pendo(settings)]


async def _kafka(settings: Settings, options: Mapping[str, Any], cluster: Cluster) -> AsyncIterator[Finding]:
    try:
        topics = await cluster.topics()
    except BrokerError as error:
        yield Finding(ok=False, subject="kafka", message=str(error))
        return
    yield Finding(ok=True, subject="kafka", message="connected")
    for topic in settings.kafka.topics:
        if topic in topics:
            yield await _source_topic(options, topic)
        else:
            yield Finding(ok=False, subject=f"topic {topic}", message="does not exist; this service creates none")
    yield await _group(settings, cluster)
    letters = settings.dead_letter.topic
    if letters not in topics:
        yield Finding(ok=False, subject=f"topic {letters}", message="the dead-letter topic does not exist; create it")
        return
    async for finding in _dead_letter_topic(settings, cluster, letters):
        yield finding


async def _source_topic(options: Mapping[str, Any], topic: str) -> Finding:
    subject = f"topic {topic}"
    try:
        unkeyed, looked_at = await count_unkeyed(options, topic)
    except BrokerError as error:
        return Finding(ok=False, subject=subject, message=str(error))
    if not looked_at:
        return Finding(ok=True, subject=subject, message="empty: nothing to look at")
    if not unkeyed:
        return Finding(ok=True, subject=subject, message=f"all of {looked_at} records have a key")
    share = 100 * unkeyed / looked_at
    return Finding(
        ok=True, subject=subject, message=f"{share:.0f} % of {looked_at} records have no key; {UNKEYED_ADVICE}"
    )


async def _group(settings: Settings, cluster: Cluster) -> Finding:
    subject = f"group {settings.kafka.group_id}"
    try:
        committed = await cluster.committed(settings.kafka.group_id, [Partition(t, 0) for t in settings.kafka.topics])
    except BrokerError as error:
        return Finding(ok=False, subject=subject, message=f"{error}; the user needs READ on the group")
    begins = (
        "goes on from its commit"
        if committed
        else f"has no commit of the first partition and starts there from {settings.kafka.start_from}"
    )
    return Finding(ok=True, subject=subject, message=begins)


async def _dead_letter_topic(settings: Settings, cluster: Cluster, topic: str) -> AsyncIterator[Finding]:
    subject = f"topic {topic}"
    try:
        config = await cluster.topic_config(topic)
        sources = [await cluster.topic_config(t) for t in settings.kafka.topics if t in await cluster.topics()]
    except BrokerError as error:
        yield Finding(ok=True, subject=subject, message=f"exists; its limits cannot be read ({error})")
        return
    limits = [int(source["max.message.bytes"]) for source in sources if "max.message.bytes" in source]
    problems = list(_letter_problems(config, max(limits, default=0)))
    for problem in problems:
        yield Finding(ok=False, subject=subject, message=problem)
    if not problems:
        retention_ms = int(config.get("retention.ms", "-1"))
        kept = "for ever" if retention_ms < 0 else f"for {retention_ms / _DAY_MS:.1f} days"
        advice = "; a week or more is advised" if 0 <= retention_ms < SHORT_RETENTION_MS else ""
        yield Finding(
            ok=True,
            subject=subject,
            message=f"keeps letters {kept}{advice}; whether it may be written shows at the first",
        )


def _letter_problems(config: Mapping[str, str], largest_source: int) -> list[str]:
    problems = []
    if "compact" in config.get("cleanup.policy", "delete"):
        problems.append(
            "is compacted: it would refuse records without a key and lose letters; use cleanup.policy=delete"
        )
    limit = int(config.get("max.message.bytes", largest_source))
    if limit < largest_source:
        problems.append(
            f"takes records of {limit} bytes, a source topic up to {largest_source}: raise max.message.bytes, "
            "or large dead letters are kept without their value"
        )
    return problems


async def _pendo(settings: Settings) -> AsyncIterator[Finding]:
    """Ask each host that a route in use, or a key that is set, needs."""
    pendo = settings.pendo
    endpoints = Endpoints.from_settings(pendo)
    client = Client(timeout_s=settings.delivery.request_timeout_s, ca_file=pendo.ca_file, proxy=pendo.proxy)
    routes = routes_in_use(settings.routes)
    by_key = [route for route in routes if CREDENTIALS[route] == "integration_key"]
    async with client:
        if len(by_key) < len(routes):
            yield await _data_host(client, endpoints, routes)
        if pendo.integration_key is not None:
            key = pendo.integration_key.get_secret_value()
            yield await _token(client, endpoints, key, by_key)
        elif by_key:
            yield await _api_host(client, endpoints)
    for route in by_key:
        if doubt := _doubt(route, pendo):
            yield Finding(ok=True, subject=f"route {route}", message=f"{doubt} only a call can tell")


async def _data_host(client: Client, endpoints: Endpoints, routes: Iterable[Route]) -> Finding:
    subject = "pendo data host"
    try:
        await client.get(URL(endpoints.data_url, encoded=True), {})
    except UnreachableError as error:
        return Finding(ok=False, subject=subject, message=_unreachable(error, "pendo.data_url"))
    doubts = [f"; whether {UNKNOWABLE[r]} is right only an event can tell" for r in routes if r in UNKNOWABLE]
    return Finding(ok=True, subject=subject, message="answers" + "".join(doubts))


async def _api_host(client: Client, endpoints: Endpoints) -> Finding:
    subject = "pendo API host"
    try:
        await client.get(URL(endpoints.api_url, encoded=True), {})
    except UnreachableError as error:
        return Finding(ok=False, subject=subject, message=_unreachable(error, "pendo.api_url"))
    return Finding(ok=True, subject=subject, message="answers")


def _unreachable(error: UnreachableError, key: str) -> str:
    return f"cannot be reached ({error}): check pendo.region, {key}, proxy and firewall"


async def _token(client: Client, endpoints: Endpoints, key: str, writing: Sequence[Route]) -> Finding:
    """Whether the integration key is valid and, for the routes that write by it, may write."""
    subject = "pendo integration key"
    try:
        status, body = await client.get(URL(endpoints.token_url(), encoded=True), {KEY_HEADER: key})
    except UnreachableError as error:
        return Finding(ok=False, subject=subject, message=f"the API host {_unreachable(error, 'pendo.api_url')}")
    if status != HTTPStatus.OK:
        message = f"is refused (status {status}); a key is valid in its region only"
        return Finding(ok=False, subject=subject, message=message)
    told = _object(body)
    if told is None:
        return Finding(ok=False, subject=subject, message="the answer is not Pendo's: check pendo.api_url and proxy")
    if told.get("valid", True) is not True:
        return Finding(ok=False, subject=subject, message="is not valid; a key is valid in its region only")
    if told.get("writeAccess") is True:
        return Finding(ok=True, subject=subject, message="is valid and may write")
    needed = f", which the routes in use need ({', '.join(writing)}): give it write access in Pendo" if writing else ""
    return Finding(ok=not writing, subject=subject, message=f"is valid but may only read{needed}")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None


def _doubt(route: Route, pendo: PendoSettings) -> str | None:
    """What nobody can be asked about a route that logs in with the integration key."""
    if route is Route.BULKDELETE:
        return "whether the subscription lets this key delete"
    custom = route is Route.METADATA and pendo.metadata_group == "custom"
    return "whether every field that is sent exists in the group custom" if custom else None
