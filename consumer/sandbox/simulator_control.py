"""The simulator's control over HTTP: what a test or a person asks comes in, what the simulator knows goes out.

    POST   /_sim/faults    a rule, or a list of them: answers {"rules": [number, …]}
    GET    /_sim/faults    the rules in force
    DELETE /_sim/faults    all rules, or with ?rule=N one
    POST   /_sim/key       {"api_key": …, "track_event_secret": …, "integration_key": …, "read_only_key": …}, each may
                           be absent
    POST   /_sim/latency   {"median_s": …, "p99_s": …, "seed": …}; without p99_s it is constant
    GET    /_sim/state     visitors, accounts, track events, counts
    GET    /_sim/log       requests in the order of arrival; with ?since=N those after number N
    GET    /_sim/counts    counts alone
    GET    /_sim/view/visitor/ID, /_sim/view/account/ID   what a Pendo user sees of one
    POST   /_sim/custom    {"visitor": [name, …], "account": [name, …]}: fields of the metadata group `custom`
    GET    /_sim/calls/visitor/ID, /_sim/calls/account/ID   the log of calls about one, and what they wrote of it
    POST   /_sim/delete    do the deletions that were asked for: answers {"deleted": how many}
    GET    /_sim/accepted  how often each messageId was accepted
    POST   /_sim/reset     forget what was kept, the log, the rules and the latency; keys and custom fields stay

JSON goes in and out; a mistake in it is answered with 400 and the reason. It does not know how Pendo answers.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import unquote

import orjson
from aiohttp import web

from consumer.sandbox.simulator_faults import FaultError, Faults, Latency, Rule
from consumer.sandbox.simulator_log import RequestLog
from consumer.sandbox.simulator_store import Store
from consumer.sandbox.simulator_view import view


class Controlled(Protocol):
    """What can be seen and changed of a simulator."""

    api_key: str
    track_event_secret: str
    integration_key: str
    read_only_key: str
    latency: Latency
    faults: Faults
    store: Store
    log: RequestLog


class Control:
    """Answers what comes in under `/_sim/`."""

    def __init__(self, simulator: Controlled) -> None:
        self._simulator = simulator

    def answer(self, request: web.BaseRequest, path: str, body: bytes) -> web.Response:
        """Do what is asked, and say how it went."""
        try:
            asked = orjson.loads(body) if body else None
            found = self._do(request.method, path.removeprefix("/_sim/"), request.query, asked)
        except (FaultError, TypeError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return _json(found, 200) if found is not None else _json({"error": "there is no such control"}, 404)

    def _do(self, method: str, name: str, query: Mapping[str, str], asked: Any) -> object:  # noqa: ANN401 - JSON
        match method, name:
            case "POST", "faults":
                rules = [Rule.from_json(each) for each in (asked if isinstance(asked, list) else [asked])]
                return {"rules": [self._simulator.faults.add(rule) for rule in rules]}
            case "GET", "faults":
                return {"rules": [rule.to_json() for rule in self._simulator.faults]}
            case "DELETE", "faults":
                return self._remove(query)
            case "POST", _:
                return self._change(name, asked)
            case "GET", _:
                return self._look(name, query)
            case _:
                return None

    def _change(self, name: str, asked: Any) -> dict[str, Any] | None:  # noqa: ANN401 - JSON
        match name:
            case "key":
                return self._change_keys(**asked)
            case "latency":
                self._simulator.latency = Latency(**asked)
            case "custom":
                return self._define(**asked)
            case "delete":
                return {"deleted": self._simulator.store.run_deletions()}
            case "reset":
                return self._reset()
            case _:
                return None
        return {}

    def _look(self, name: str, query: Mapping[str, str]) -> object:
        simulator = self._simulator
        match name:
            case "state":
                return {
                    "visitors": {id_: each.to_json() for id_, each in simulator.store.visitors.items()},
                    "accounts": {id_: each.to_json() for id_, each in simulator.store.accounts.items()},
                    "events": [asdict(event) for event in simulator.store.events],
                    "counts": self.counts(),
                }
            case "log":
                return {"entries": simulator.log.since(int(query.get("since", 0)))}
            case "counts":
                return self.counts()
            case "accepted":
                return simulator.store.accepted
            case _:
                return self._look_at_one(*name.split("/"))

    def _look_at_one(self, name: str, kind: str = "", id_: str = "", *_: str) -> object:
        store, id_ = self._simulator.store, unquote(id_)
        match name, kind:
            case "view", "visitor" | "account":
                return view(store, kind, id_)
            case "calls", "visitor" | "account":
                writes = [write._asdict() for write in store.writes_of(kind, id_)]
                return {"entries": self._simulator.log.about(f"{kind}:{id_}"), "writes": writes}
            case _:
                return None

    def _define(self, *, visitor: list[str] | None = None, account: list[str] | None = None) -> dict[str, Any]:
        self._simulator.store.define("visitor", *(visitor or ()))
        self._simulator.store.define("account", *(account or ()))
        return {}

    def counts(self) -> dict[str, Any]:
        """Return the log's counts and the store's."""
        store = self._simulator.store
        return self._simulator.log.counts() | {
            "accepted": dict(store.accepted_types),
            "message_ids": len(store.accepted),
            "visitors": len(store.visitors),
            "accounts": len(store.accounts),
            "track_events": store.accepted_types["track"],
        }

    def _remove(self, query: Mapping[str, str]) -> dict[str, Any] | None:
        if "rule" not in query:
            self._simulator.faults.clear()
            return {}
        return {} if self._simulator.faults.remove(int(query["rule"])) else None

    def _change_keys(
        self,
        *,
        api_key: str | None = None,
        track_event_secret: str | None = None,
        integration_key: str | None = None,
        read_only_key: str | None = None,
    ) -> dict[str, Any]:
        simulator = self._simulator
        simulator.api_key = api_key or simulator.api_key
        simulator.track_event_secret = track_event_secret or simulator.track_event_secret
        simulator.integration_key = integration_key or simulator.integration_key
        simulator.read_only_key = read_only_key or simulator.read_only_key
        return {}

    def _reset(self) -> dict[str, Any]:
        self._simulator.faults.clear()
        self._simulator.latency = Latency()
        self._simulator.store.clear()
        self._simulator.log.clear()
        return {}


def _json(value: object, status: int) -> web.Response:
    body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(body=body, status=status, content_type="application/json")
