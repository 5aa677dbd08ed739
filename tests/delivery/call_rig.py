"""Callers between a bench and a Pendo that answers calls by a rule, in virtual time."""

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from consumer.delivery.batch import Batch
from consumer.delivery.call_consequences import CallConsequences
from consumer.delivery.call_lanes import CallLanes
from consumer.delivery.callers import Callers
from consumer.delivery.lane import Delivery
from consumer.delivery.memory import Memory
from consumer.delivery.retry import Backoff
from consumer.outcomes import EventType
from consumer.pendo.calls import Answer, form_of
from consumer.pendo.endpoints import Kind
from consumer.pendo.requests import Request, Route, State
from consumer.pendo.verdicts import ACCEPTED
from tests.delivery.conftest import Bench, Box, Engine
from tests.delivery.virtual_loop import run_virtually

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One call.

    Attributes:
        at_s: When it came, seconds after the story began.
        kind: Whom it was about.
        values: What it said, by id, in its order; of deletions nothing.
    """

    at_s: float
    kind: Kind
    values: dict[str, Values]

    @property
    def ids(self) -> list[str]:
        """Whose it was."""
        return list(self.values)


Rule = Callable[[Seen], tuple[Answer, int]]
"""Answers a call; may raise `UnreachableError`."""


def accept(_: Seen) -> tuple[Answer, int]:
    """Take everything."""
    return Answer(ACCEPTED), 200


class Pendo:
    """Keeps each call, and what it took of it.

    Attributes:
        rule: How it answers.
        took_s: How long an answer takes.
        seen: The calls.
        kept: What it has, by id.
    """

    def __init__(self) -> None:
        self.rule: Rule = accept
        self.took_s = 0.05
        self.seen: list[Seen] = []
        self.kept: dict[str, Values] = {}
        self._began = asyncio.get_running_loop().time()

    async def call(self, kind: Kind, body: bytes) -> tuple[Answer, int]:
        """Answer one call."""
        seen = Seen(asyncio.get_running_loop().time() - self._began, kind, _values(kind, json.loads(body)))
        self.seen.append(seen)
        await asyncio.sleep(self.took_s)
        answer, status = self.rule(seen)
        if answer.verdict is ACCEPTED and not answer.failures > len(answer.refused):
            for id_ in seen.ids:
                if id_ not in answer.refused:
                    self.kept.setdefault(id_, {}).update(seen.values[id_])
        return answer, status

    @property
    def sizes(self) -> list[int]:
        """How many ids each call carried."""
        return [len(seen.values) for seen in self.seen]


def _values(kind: Kind, call: Any) -> dict[str, Values]:
    if isinstance(call, dict):
        return {id_: {} for id_ in call[f"{kind}s"]}
    return {element[f"{kind}Id"]: element["values"] for element in call}


class Rig:
    """Callers of one route, with what they act on.

    Attributes:
        pendo: Answers them.
        box: Takes their dead letters.
    """

    def __init__(self, route: Route = Route.METADATA, *, max_batch: int = 500, engine: Engine | None = None) -> None:
        self.bench = Bench()
        self.pendo = Pendo()
        self.box = Box()
        engine = engine or Engine()
        memory = Memory(ids=1_000, message_ids=1_000, suppress_unchanged=False)
        self.memory = engine.memory if engine.memory._ids else memory
        self.lanes, batch, gate = CallLanes(engine.max_lane), Batch(max_batch), engine.gate()
        self.batch = batch
        form = form_of(route)
        assert form is not None
        consequences = CallConsequences(
            route,
            gate=gate,
            lanes=self.lanes,
            memory=self.memory,
            backoff=Backoff(engine.max_delay_s, engine.random),
            poison=engine.poison,
            letters=self.box,
            batch=batch,
        )
        self.callers = Callers(
            route,
            gate=gate,
            lanes=self.lanes,
            memory=self.memory,
            consequences=consequences,
            batch=batch,
            form=form,
            call=self.pendo.call,
        )
        self.gate = gate
        self._route = route
        self._tasks = asyncio.create_task(self.callers.run())

    def say(
        self, id_: str, *, kind: Kind = "visitor", at_ms: int | None = None, identity: int = 0, **values: object
    ) -> Delivery:
        """An identify or group arrives."""
        lane = f"{kind}:{id_}"
        if self._route is Route.BULKDELETE:
            request = Request(self._route, lane, json.dumps(id_).encode(), identity=identity)
        else:
            body = json.dumps({f"{kind}Id": id_, "values": values}).encode()
            hashes = tuple(hash(str(value)) for value in values.values())
            state = State(lane, at_ms, tuple(values), hashes, _strip)
            request = Request(self._route, lane, body, identity=identity, state=state)
        type_ = EventType.IDENTIFY if kind == "visitor" else EventType.GROUP
        ticket = self.bench.ticket()
        ticket.count_body(request.body)
        delivery = Delivery(request, ticket, type_, None, None)
        self.callers.add(delivery)
        return delivery

    def outcomes(self) -> dict[tuple[str, str], int]:
        """Settled events by outcome and reason."""
        found: dict[tuple[str, str], int] = {}
        for (_, outcome, reason), count in self.bench.tally.settled.items():
            found[outcome, reason] = found.get((outcome, reason), 0) + count
        return found

    async def settled(self, within_s: float = 60.0) -> None:
        """Wait until nothing is open."""
        async with asyncio.timeout(within_s):
            while self.bench.tally.open_events:
                await asyncio.sleep(0.01)

    async def tell(self, story: Callable[["Rig"], Coroutine[Any, Any, None]]) -> None:
        """Live through a story, and end."""
        try:
            await story(self)
        finally:
            self._tasks.cancel()
            await asyncio.wait([self._tasks])


def _strip(body: bytes, gone: Collection[str]) -> bytes:
    element = json.loads(body)
    element["values"] = {name: value for name, value in element["values"].items() if name not in gone}
    return json.dumps(element).encode()


def live(
    story: Callable[[Rig], Coroutine[Any, Any, None]],
    route: Route = Route.METADATA,
    *,
    max_batch: int = 500,
    engine: Callable[[], Engine] = Engine,
) -> None:
    """Run a story in virtual time."""

    async def main() -> None:
        await Rig(route, max_batch=max_batch, engine=engine()).tell(story)

    run_virtually(main())
