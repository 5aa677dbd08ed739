"""A client of the simulated Pendo's APIs, and how a test names the switches that it wants."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_switches import Switches

CREATE = "agent/value?create=true"


class Caller:
    """A client with an integration key."""

    def __init__(self, pendo: Simulator, session: aiohttp.ClientSession) -> None:
        self.pendo = pendo
        self.key = pendo.integration_key
        self.retry_after: str | None = None
        self._session = session

    async def post(self, path: str, call: Any) -> tuple[int, Any]:
        """Status and JSON of a call; None for an empty body."""
        body = call if isinstance(call, bytes) else json.dumps(call).encode()
        headers = {"x-pendo-integration-key": self.key, "Content-Type": "application/json"}
        async with self._session.post(
            f"{self.pendo.url}/api/v1/{path}", data=io.BytesIO(body), headers=headers
        ) as answer:
            text = await answer.text()
            self.retry_after = answer.headers.get("Retry-After")
            return answer.status, await answer.json() if text.startswith(("{", "[")) else (text or None)

    async def get(self, path: str) -> tuple[int, Any]:
        """Likewise."""
        headers = {"x-pendo-integration-key": self.key}
        async with self._session.get(f"{self.pendo.url}/api/v1/{path}", headers=headers) as answer:
            return answer.status, await answer.json() if answer.status == 200 else None

    async def ask(self, method: str, name: str, asked: Any = None) -> Any:
        """What the simulator's control answers."""
        async with self._session.request(method, f"{self.pendo.url}/_sim/{name}", json=asked) as answer:
            return await answer.json()

    async def aggregate(self, *pipeline: Any) -> tuple[int, Any]:
        """Status and rows of an aggregation."""
        request = {"requestId": "r", "pipeline": list(pipeline)}
        asked = {"response": {"mimeType": "application/json"}, "request": request}
        status, answer = await self.post("aggregation", asked)
        return status, answer["results"] if status == 200 else None

    async def segment(self, event: dict[str, Any]) -> None:
        """An event by the Segment endpoint."""
        url = f"{self.pendo.url}/data/segmentio/{self.pendo.api_key}"
        async with self._session.post(url, json=event) as answer:
            assert answer.status == 200

    async def write(self, *ids: str, where: str = f"visitor/{CREATE}", **values: Any) -> tuple[int, Any]:
        """The same values for some visitors or accounts."""
        key = "visitorId" if where.startswith("visitor") else "accountId"
        return await self.post(f"metadata/{where}", [{key: id_, "values": values or {"plan": "pro"}} for id_ in ids])


async def calling(switches: Switches | None = None) -> AsyncIterator[Caller]:
    async with Simulator(switches=switches) as pendo, aiohttp.ClientSession() as session:
        yield Caller(pendo, session)


def switched(**switches: Any) -> pytest.MarkDecorator:
    """Tests with these switches."""
    return pytest.mark.parametrize("caller", [Switches(**switches)], indirect=True)
