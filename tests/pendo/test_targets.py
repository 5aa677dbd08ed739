"""Which route sends where, with which credential; a changed one is used by those that need it, and by no other."""

import orjson
import pytest
from pydantic import SecretStr

from consumer.config.settings import PendoSettings
from consumer.pendo.client import Client
from consumer.pendo.endpoints import KINDS, Kind
from consumer.pendo.requests import Route
from consumer.pendo.targets import Targets
from consumer.pendo.verdicts import Accepted, Locked
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Rule
from consumer.sandbox.simulator_switches import Switches
from tests.support.awaited import verdict_on

BODIES = {
    Route.SEGMENTIO: b'{"type":"identify","userId":"u"}',
    Route.TRACK: b'{"type":"track","event":"e","visitorId":"u","timestamp":1,"context":{}}',
}
KEYS = {Route.SEGMENTIO: "pendo.api_key", Route.TRACK: "pendo.track_event_secret"}


def targets(pendo: Simulator, client: Client, **changed: str) -> Targets:
    values = {
        "data_url": pendo.url,
        "api_key": pendo.api_key,
        "track_event_secret": pendo.track_event_secret,
        "track_event_header": pendo.switches.track_header,
    }
    return Targets(client, PendoSettings.model_validate(values | changed), BODIES)


async def verdicts(targets: Targets) -> dict[Route, type]:
    return {route: type((await verdict_on(target, BODIES[route]))[0]) for route, target in targets.posts.items()}


@pytest.mark.parametrize("header", ["x-pendo-integration-key", "x-pendo-track-event-secret"])
async def test_each_route_logs_in_with_its_own_credential(header: str) -> None:
    """The one in its URL, the other in a header."""
    async with Simulator(switches=Switches(track_header=header)) as pendo, Client(timeout_s=5) as client:
        assert await verdicts(targets(pendo, client)) == dict.fromkeys(BODIES, Accepted)


@pytest.mark.parametrize("route", BODIES)
async def test_a_changed_credential_is_for_its_route_alone(route: Route) -> None:
    """From the next request on; the other route's goes on with its own."""
    key = KEYS[route]
    [other] = set(BODIES) - {route}
    async with Simulator() as pendo, Client(timeout_s=5) as client:
        right = {KEYS[Route.SEGMENTIO]: pendo.api_key, KEYS[Route.TRACK]: pendo.track_event_secret}[key]
        wrong = targets(pendo, client, **{key.removeprefix("pendo."): "old"})
        assert await verdicts(wrong) == {route: Locked, other: Accepted}
        assert wrong.present(key, SecretStr(right)) == [route]
        assert await verdicts(wrong) == dict.fromkeys(BODIES, Accepted)


async def test_only_the_routes_in_use_have_a_target_and_a_credential() -> None:
    """Nobody is asked for a secret that nothing needs."""
    found = Targets(Client(timeout_s=5), PendoSettings(), [Route.TRACK])
    assert list(found.posts) == [Route.TRACK]
    assert found.secrets == {"pendo.track_event_secret"}
    assert found.present("pendo.api_key", SecretStr("k")) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_route_of_calls_has_a_url_for_each_kind_and_the_integration_key(kind: Kind) -> None:
    """A changed key is for both routes that use it."""
    routes = [Route.METADATA, Route.BULKDELETE]
    async with Simulator() as pendo, Client(timeout_s=5) as client:
        settings = {"api_url": pendo.url, "integration_key": "old"}
        found = Targets(client, PendoSettings.model_validate(settings), routes)
        assert not found.posts
        assert found.secrets == {"pendo.integration_key"}
        element = {f"{kind}Id": "x", "values": {"a": 1}}
        body = orjson.dumps([element])
        answer, status = await found.calls[Route.METADATA].call(kind, body)
        assert (type(answer.verdict), status) == (Locked, 403)
        assert found.present("pendo.integration_key", SecretStr(pendo.integration_key)) == routes
        answer, status = await found.calls[Route.METADATA].call(kind, body)
        assert (type(answer.verdict), status) == (Accepted, 200)
        assert pendo.store.entities(kind)["x"].agent == {"a": 1}
        answer, status = await found.calls[Route.BULKDELETE].call(kind, orjson.dumps({f"{kind}s": ["x"]}))
        assert (type(answer.verdict), status) == (Accepted, 200)
        assert "x" not in pendo.store.entities(kind)


async def test_a_call_has_a_timeout_of_its_own() -> None:
    """It may take longer than a request of one event."""
    async with Simulator() as pendo, Client(timeout_s=0.05, call_timeout_s=5) as client:
        pendo.faults.add(Rule(answer=Answer(delay_s=0.2)))
        settings = {"api_url": pendo.url, "data_url": pendo.url, "api_key": pendo.api_key}
        keyed = PendoSettings.model_validate(settings | {"integration_key": pendo.integration_key})
        found = Targets(client, keyed, [Route.SEGMENTIO, Route.METADATA])
        answer, _ = await found.calls[Route.METADATA].call("visitor", b'[{"visitorId":"x","values":{}}]')
        assert isinstance(answer.verdict, Accepted)
        _, status = await verdict_on(found.posts[Route.SEGMENTIO], BODIES[Route.SEGMENTIO])
        assert status == "timeout"
