"""What Pendo answers: a request comes in as its route, key, body and content, a response or a refusal goes out.

Each route checks its credential first, then the body, then what it says. How a body must look stands in the modules of
the routes; nothing here knows of faults or of a log.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote

import orjson
from aiohttp import web

from consumer.sandbox import simulator_delete, simulator_metadata, simulator_reading
from consumer.sandbox.simulator_checks import (
    MAX_BODY_BYTES,
    Facts,
    RefusedError,
    check_event,
    check_track_event,
    facts_of,
    track_facts_of,
)
from consumer.sandbox.simulator_faults import Failures
from consumer.sandbox.simulator_log import Entry
from consumer.sandbox.simulator_pace import Pace, retry_after
from consumer.sandbox.simulator_store import Group, Kind, Store
from consumer.sandbox.simulator_switches import Switches

KEY_HEADER: Final = "x-pendo-integration-key"
METHODS: Final[Mapping[str, str]] = {
    "segmentio": "POST",
    "track": "POST",
    "metadata": "POST",
    "bulkdelete": "POST",
    "aggregation": "POST",
    "token": "GET",
    "schema": "GET",
    "visitor": "GET",
    "account": "GET",
}
_KINDS: Final[Mapping[str, Kind]] = {"visitor": "visitor", "account": "account"}
_GROUPS: Final[Mapping[str, Group]] = {"agent": "agent", "custom": "custom"}
_WRITES: Final = frozenset({"metadata", "bulkdelete"})


class Keys(Protocol):
    """What somebody logs in with; any of them may change at any time."""

    api_key: str
    track_event_secret: str
    integration_key: str
    read_only_key: str


def route_of(path: str) -> tuple[str, str]:
    """Return the route's name, and what in its path says more: a key, an id, a kind with a group."""
    match path.split("/"):
        case ["", "data", "segmentio", key] if key:
            return "segmentio", unquote(key)
        case ["", "data", "track"]:
            return "track", ""
        case ["", "api", "v1", *rest]:
            return _api_route_of(rest)
        case _:
            return "unknown", ""


def _api_route_of(rest: list[str]) -> tuple[str, str]:
    """Of what follows the API's base."""
    match rest:
        case ["metadata", "schema", kind] if kind in _KINDS:
            return "schema", kind
        case ["metadata", kind, group, "value"] if kind in _KINDS and group in _GROUPS:
            return "metadata", f"{kind}/{group}"
        case ["bulkdelete", kind] if kind in _KINDS:
            return "bulkdelete", kind
        case ["aggregation"]:
            return "aggregation", ""
        case ["token", "verify"]:
            return "token", ""
        case [route, id_] if route in _KINDS and id_:
            return route, unquote(id_)
        case _:
            return "unknown", ""


def facts_by_route(route: str, argument: str, content: object) -> Facts:
    """What a body says about itself, by the route that it came in on."""
    match route:
        case "track":
            return track_facts_of(content)
        case "metadata":
            return Facts(lanes=simulator_metadata.lanes_of(_KINDS[argument.partition("/")[0]], content))
        case "bulkdelete":
            return Facts(lanes=simulator_delete.lanes_of(_KINDS[argument], content))
        case _:
            return facts_of(content)


class Answers:
    """Pendo, as far as its documentation says."""

    def __init__(self, keys: Keys, switches: Switches, store: Store) -> None:
        self._keys = keys
        self._switches = switches
        self._store = store
        self._pace = Pace(switches.requests_per_s)
        self._deletions = Pace(switches.delete_per_s)

    def answer(
        self,
        request: web.BaseRequest,
        entry: Entry,
        argument: str,
        content: Any,  # noqa: ANN401 - JSON of any shape
        failures: Failures,
    ) -> web.Response:
        """Answer as Pendo would; of a call it fails at the ids that are named in `failures`.

        Raises:
            RefusedError: Pendo does not take it.
        """
        route = entry.route
        if route == "unknown":
            raise RefusedError(404, "unknown path")
        if request.method != METHODS[route]:
            raise RefusedError(405, "wrong method", {"Allow": METHODS[route]})
        self._check_pace()
        match route:
            case "segmentio":
                return self._take_event(request, entry, argument, content)
            case "track":
                return self._take_track_event(request, entry, content)
            case "metadata" | "bulkdelete":
                self._check_key(request, route)
                self._check_body(request, entry)
                return self._take_call(request, entry, argument, content, failures)
            case _:
                self._check_key(request, route)
                return self._look_up(request, route, argument, content)

    def _check_pace(self) -> None:
        wait_s = self._pace.wait_s(asyncio.get_running_loop().time())
        if not wait_s:
            return
        if self._switches.rate_limit_status == HTTPStatus.TOO_MANY_REQUESTS:
            raise RefusedError(429, "too many requests", retry_after(wait_s))
        raise RefusedError(self._switches.rate_limit_status, "too many requests", body="rateLimitExceeded")

    def _check_key(self, request: web.BaseRequest, route: str) -> None:
        key = request.headers.get(KEY_HEADER)
        if key == self._keys.integration_key or (key == self._keys.read_only_key and route not in _WRITES):
            return
        raise RefusedError(403, "wrong integration key")

    def _look_up(self, request: web.BaseRequest, route: str, argument: str, content: object) -> web.Response:
        match route:
            case "token":
                writes = request.headers.get(KEY_HEADER) == self._keys.integration_key
                return web.json_response({"valid": True, "writeAccess": writes})
            case "schema":
                return web.json_response(simulator_reading.schema(self._store, _KINDS[argument], self._switches))
            case "aggregation":
                return web.json_response(simulator_reading.aggregate(self._store, content))
            case _:
                entity = self._store.entities(_KINDS[route]).get(argument)
                if entity is None:
                    raise RefusedError(404, "unknown id")
                return web.json_response(entity.to_json(empty_groups=self._switches.empty_groups))

    def _take_call(
        self, request: web.BaseRequest, entry: Entry, argument: str, content: object, failures: Failures
    ) -> web.Response:
        if entry.route == "bulkdelete":
            wait_s = self._deletions.wait_s(asyncio.get_running_loop().time())
            if wait_s:
                raise RefusedError(429, "too many deletions", retry_after(wait_s))
            entry.outcomes = simulator_delete.take(self._store, _KINDS[argument], content, failures)
            return web.json_response({}, status=self._switches.delete_status)
        kind, _, group = argument.partition("/")
        create = request.query.get("create") == "true"
        answer = simulator_metadata.take(
            self._store,
            _KINDS[kind],
            _GROUPS[group],
            content,
            self._switches,
            failures.get,
            create=create,
            entry=entry,
        )
        return web.json_response(answer, dumps=_dumps)

    def _take_event(self, request: web.BaseRequest, entry: Entry, key: str, event: Any) -> web.Response:  # noqa: ANN401
        if key != self._keys.api_key:
            raise RefusedError(403, "wrong API key")
        self._check_body(request, entry)
        events: list[Any] = event if self._switches.accept_arrays and isinstance(event, list) else [event]
        for each in events:
            check_event(each, self._switches)
        for each in events:
            self._store.keep(each, facts_of(each))
        return web.Response(status=self._switches.success_status, text=self._switches.success_body)

    def _take_track_event(self, request: web.BaseRequest, entry: Entry, event: Any) -> web.Response:  # noqa: ANN401
        """One event a request; success is 200 with an empty body."""
        if request.headers.get(self._switches.track_header) != self._keys.track_event_secret:
            raise RefusedError(403, "wrong Track Event secret")
        self._check_body(request, entry)
        check_track_event(event, self._switches)
        self._store.keep_track_event(event, track_facts_of(event))
        return web.Response()

    def _check_body(self, request: web.BaseRequest, entry: Entry) -> None:
        if self._switches.require_json_type and request.content_type != "application/json":
            raise RefusedError(415, "the content type is not JSON")
        if entry.body_bytes > (self._switches.max_body_bytes or MAX_BODY_BYTES):
            raise RefusedError(413, "the body is too large")


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()
