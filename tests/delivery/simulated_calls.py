"""A world for the engine of calls to live in: the one of `simulated`, before a Pendo that takes many ids a call.

Each event leaves a mark in the element that carries it, so that this Pendo knows which deliveries a call holds: it
checks their order, that of each field the newest goes out, and that nobody is refused for what is wrong with another.
"""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from enum import Enum, auto
from random import Random
from typing import Any, Final

from consumer.delivery.batch import Batch
from consumer.delivery.call_consequences import CallConsequences
from consumer.delivery.call_lanes import CallLanes
from consumer.delivery.callers import MAX_CALLS, Callers
from consumer.delivery.crew import Crew
from consumer.delivery.lease import Lease
from consumer.delivery.retry import Backoff
from consumer.errors import UnreachableError
from consumer.kafka.dead_letter import DeadLetter
from consumer.outcomes import Reason
from consumer.pendo.calls import Answer, form_of
from consumer.pendo.endpoints import Kind
from consumer.pendo.requests import Request, Route, State
from consumer.pendo.verdicts import ACCEPTED, OPTED_OUT, Later, Locked, Refused, Stall, Verdict
from tests.delivery.conftest import Engine
from tests.delivery.simulated import ARRIVED_MS, FIELDS, Arrival, Destination, Health, Letterbox, Spec, World, now

MARK: Final = "#"
"""Begins the name of the field that an event leaves in its element."""
FEW: Final = 3
"""So many ids a Pendo takes that finds calls too long."""


class CallMood(Enum):
    """What the failures of calls look like."""

    LATER = auto()
    THROTTLED = auto()
    LOCKED = auto()
    OUTAGE = auto()
    LONG = auto()
    FORBIDDEN = auto()
    POISON = auto()
    WRONG = auto()
    NAMED = auto()
    UNTOLD = auto()
    OPTED_OUT = auto()
    FLOOD = auto()


class Cell:
    """One id in a call, and the events that its element says together."""

    def __init__(self, id_: str, values: dict[str, Any], arrivals: list[Arrival]) -> None:
        self.id = id_
        self.says = {name: value for name, value in values.items() if not name.startswith(MARK)}
        self.arrivals = arrivals

    @property
    def poor(self) -> bool:
        """Whether one of them is what Pendo fails on."""
        return any(arrival.spec.poor for arrival in self.arrivals)


class CallDestination(Destination):
    """Pendo in changing moods, of calls.

    Attributes:
        refused_alone: Numbers of events that Pendo refused when they went by themselves, in their cell.
        locked_alone: Likewise those that met 401 or 403 in a call of their own.
        sizes: Of the calls.
        max_batch: Most ids in one.
        lanes: The engine's: they tell which deliveries are in flight.
    """

    lanes: CallLanes

    def __init__(self, chance: Random, lease: Lease, max_batch: int) -> None:
        # Some worlds have poison all the time: it takes long to tell it from an outage.
        self._poisoned = chance.random() < 0.3
        super().__init__(chance, lease)
        self.refused_alone: set[int] = set()
        self.locked_alone: set[int] = set()
        self.sizes: list[int] = []
        self.max_batch = max_batch

    def change_mood(self) -> None:
        """From now on other failures, more or fewer of them."""
        self._call_mood = (
            CallMood.POISON
            if self._poisoned
            else self._chance.choice([*CallMood, CallMood.FORBIDDEN, CallMood.FORBIDDEN])
        )
        self._failing = 1.0 if self._call_mood is CallMood.OUTAGE else self._chance.choice([0.0, 0.1, 0.6, 1.0])

    def call(self, kind: Kind, body: bytes) -> Coroutine[Any, Any, tuple[Answer, int]]:
        """One call: it goes now."""
        assert self._lease.allows(now()), f"sent though held by {self._lease.held}"
        cells = [self._cell(kind, element) for element in json.loads(body)]
        self._check_call(cells)
        flying = [arrival for cell in cells for arrival in cell.arrivals]
        self._flying += flying
        return self._answer_later(cells, flying)

    async def _answer_later(self, cells: list[Cell], flying: list[Arrival]) -> tuple[Answer, int]:
        await asyncio.sleep(self._chance.choice([0.001, 0.05, 0.3]))
        for arrival in flying:
            self._flying.remove(arrival)
        answer, status = self._answer(cells)
        self._note(cells, answer, status)
        return answer, status

    def _cell(self, kind: Kind, element: dict[str, Any]) -> Cell:
        values = element["values"]
        lane = self.lanes._lanes[f"{kind}:{element[f'{kind}Id']}"]
        deliveries = {id(delivery) for delivery in lane.queue[: lane.in_flight]}
        arrivals = [arrival for arrival in self.arrivals.values() if id(arrival.delivery) in deliveries]
        marked = {int(name.removeprefix(MARK)) for name in values if name.startswith(MARK)}
        assert marked <= {arrival.number for arrival in arrivals}, "it says what is not in flight"
        id_ = element[f"{kind}Id"]
        assert {arrival.spec.key for arrival in arrivals} == {f"{kind}:{id_}"}, "a call mixes up whom it is about"
        return Cell(id_, values, arrivals)

    def _check_call(self, cells: Sequence[Cell]) -> None:
        assert 0 < len(cells) <= self.max_batch
        assert len({cell.id for cell in cells}) == len(cells), "an id twice in one call"
        self.sizes.append(len(cells))
        for cell in cells:
            self._check_cell(cell)

    def _check_cell(self, cell: Cell) -> None:
        mine = {arrival.number for arrival in cell.arrivals}
        lane = cell.arrivals[0].delivery.request.lane
        assert not any(other.delivery.request.lane == lane for other in self._flying), f"{lane} goes twice at once"
        for arrival in cell.arrivals:
            assert not arrival.delivery.ticket.released, "sent though its partition was given up"
            older = {other.number for other in self.arrivals.values() if other.precedes(arrival)} - mine
            assert not older, f"{arrival.number} overtakes {older}"
            if arrival.tried < 0:
                arrival.tried = self.passed
        for name, value in cell.says.items():
            newest = max((a for a in cell.arrivals if name in dict(a.spec.values or ())), key=lambda a: a.stamp)
            assert value == dict(newest.spec.values or ())[name], f"{name} of {mine} is not the newest"
            confirmed = self.confirmed.get((newest.spec.key, name)) if self.remembers else None
            assert confirmed is None or confirmed <= newest.stamp, f"{newest.number} overwrites a newer {name}"

    def _answer(self, cells: Sequence[Cell]) -> tuple[Answer, int]:
        poor = [cell for cell in cells if cell.poor]
        by_chance = self._chance.random() < self._failing
        answer: tuple[Answer, int] | None = None
        if self.faulty and poor:
            answer = self._about_the_poor(poor)
        if self.faulty and answer is None:
            answer = self._about_the_call(cells, by_chance=by_chance)
        return answer or (Answer(ACCEPTED), 200)

    def _about_the_poor(self, poor: Sequence[Cell]) -> tuple[Answer, int] | None:
        """A call is answered for what is wrong with some of it."""
        answers: dict[CallMood, tuple[Answer, int]] = {
            CallMood.FORBIDDEN: (Answer(Locked(Stall.CREDENTIALS)), 403),
            CallMood.POISON: (Answer(Later()), 500),
            CallMood.WRONG: (Answer(_refused(400)), 400),
            CallMood.OPTED_OUT: (Answer(OPTED_OUT), 451),
            CallMood.NAMED: (Answer(ACCEPTED, {cell.id: _refused(200) for cell in poor}), 200),
            CallMood.UNTOLD: (Answer(ACCEPTED, failures=len(poor)), 200),
        }
        return answers.get(self._call_mood)

    def _about_the_call(self, cells: Sequence[Cell], *, by_chance: bool) -> tuple[Answer, int] | None:
        """A call is answered for its size, or for no fault of its own."""
        if self._call_mood is CallMood.LONG and len(cells) > FEW:
            return self._too_long()
        if self._call_mood is CallMood.FLOOD:
            refused = {cell.id: _refused(200) for cell in cells if self._chance.random() < self._failing}
            return Answer(ACCEPTED, refused), 200
        whole = {CallMood.LATER, CallMood.THROTTLED, CallMood.LOCKED, CallMood.OUTAGE}
        return self._whole() if by_chance and self._call_mood in whole else None

    def _too_long(self) -> tuple[Answer, int]:
        if self._chance.random() < 0.5:
            return Answer(Later()), 408
        raise UnreachableError("timeout", "no answer in time")

    def _whole(self) -> tuple[Answer, int]:
        choice = self._chance.choice
        match self._call_mood:
            case CallMood.THROTTLED:
                return Answer(Later(choice([None, 0.5, 20.0]), throttled=True)), 429
            case CallMood.LOCKED:
                return Answer(Locked(choice(list(Stall)))), 403
            case CallMood.OUTAGE:
                raise UnreachableError("timeout", "no answer in time")
            case _:
                return Answer(Later(choice([None, None, 0.001, 3.0]))), 500

    def _note(self, cells: Sequence[Cell], answer: Answer, status: int) -> None:
        """Keep what was taken, and who has what against whom."""
        self.passed += not isinstance(answer.verdict, Later | Locked)
        untold = answer.failures > len(answer.refused)
        for cell in cells:
            refused = answer.refused.get(cell.id) or (answer.verdict if isinstance(answer.verdict, Refused) else None)
            if untold and cell.poor:
                refused = _refused(status)
            verdict: Verdict = refused or answer.verdict
            if verdict is ACCEPTED and not untold:
                self._accept_cell(cell)
            elif isinstance(verdict, Later | Locked | Refused):
                self._note_failure(cell, verdict, alone=len(cells) == 1 or cell.id in answer.refused)
            elif verdict is OPTED_OUT and len(cells) == 1:
                self._opt_out(cell)
        # What Pendo wrote of a call of which it counted failures without a word, is written again: it is idempotent.

    def _note_failure(self, cell: Cell, verdict: Later | Locked | Refused, *, alone: bool) -> None:
        for arrival in cell.arrivals:
            self._fail(arrival, verdict)
            if isinstance(verdict, Refused) and len(cell.arrivals) == 1 and alone:
                self.refused_alone.add(arrival.number)
            if isinstance(verdict, Locked) and len(cell.arrivals) == 1 and alone:
                self.locked_alone.add(arrival.number)

    def _opt_out(self, cell: Cell) -> None:
        for arrival in cell.arrivals:
            self.ended.add(arrival.place)
            self.opted_out.add(arrival.place)
            arrival.over = True
        self.health.pop(cell.arrivals[0].spec.lane, None)

    def _accept_cell(self, cell: Cell) -> None:
        for arrival in sorted(cell.arrivals, key=lambda each: each.stamp):
            own = dict(arrival.spec.values or ())
            self._accept(arrival, {name: value for name, value in own.items() if self._goes(cell, arrival, name)})

    def _goes(self, cell: Cell, arrival: Arrival, name: str) -> bool:
        """Whether what an event says of a field is what its cell says."""
        others = [a for a in cell.arrivals if a.stamp > arrival.stamp and name in dict(a.spec.values or ())]
        return name in cell.says and not others


class CallLetterbox(Letterbox):
    """Takes dead letters if there is cause for them: nobody's for what was wrong with another."""

    def _check(self, letter: DeadLetter, arrival: Arrival, health: Health) -> None:
        destination = self._destination
        assert isinstance(destination, CallDestination)
        if letter.reason is Reason.REFUSED:
            assert arrival.number in destination.refused_alone, "refused for what was wrong with another"
        else:
            super()._check(letter, arrival, health)
        if letter.reason is Reason.FORBIDDEN:
            assert arrival.number in destination.locked_alone, "forbidden for what another of its call met"


class CallWorld(World):
    """Partitions on one side, a Pendo of calls on the other, the engine between them."""

    def __init__(self, seed: int) -> None:
        self.max_batch = Random(seed).choice([1, 3, 7, 500])
        super().__init__(seed)

    def _destination_of(self, chance: Random) -> Destination:
        return CallDestination(chance, self.lease, self.max_batch)

    def _letterbox_of(self, poison: tuple[float, int]) -> Letterbox:
        return CallLetterbox(self.chance, self.destination, poison)

    def _crew_of(self, engine: Engine) -> Crew[Any, Any]:
        assert isinstance(self.destination, CallDestination)
        gate, lanes, batch = engine.gate(), CallLanes(engine.max_lane), Batch(self.max_batch)
        form = form_of(Route.METADATA)
        assert form is not None
        self.destination.lanes = lanes
        consequences = CallConsequences(
            Route.METADATA,
            gate=gate,
            lanes=lanes,
            memory=self.memory,
            backoff=Backoff(engine.max_delay_s, engine.random),
            poison=engine.poison,
            letters=self.letterbox,
            batch=batch,
        )
        self.limit = min(self.limit, MAX_CALLS)
        return Callers(
            Route.METADATA,
            gate=gate,
            lanes=lanes,
            memory=self.memory,
            consequences=consequences,
            batch=batch,
            form=form,
            call=self.destination.call,
        )

    def _spec(self) -> Spec:
        """State alone: of a visitor, or of an account that has a lane of its own."""
        chance = self.chance
        number = chance.randrange(len(self._visitors))
        lane = chance.choice([self._visitors[number], self._visitors[number], f"account:{number % 3}"])
        values = tuple((name, chance.randint(1, 2)) for name in FIELDS if chance.random() < 0.6)
        at_ms = chance.choice([None, ARRIVED_MS - chance.randint(0, 99)])
        poor = number == 0 or chance.random() < 0.02
        return Spec(lane, None, values or ((FIELDS[0], 1),), at_ms, chance.choice([0, chance.getrandbits(60)]), poor)

    def _request_of(self, spec: Spec, number: int) -> Request:
        kind, _, id_ = spec.lane.partition(":")
        fields = dict(spec.values or ())
        body = json.dumps({f"{kind}Id": id_, "values": {f"{MARK}{number}": 1, **fields}}).encode()
        hashes = tuple(map(hash, fields.values()))
        state = State(spec.lane, spec.at_ms, tuple(fields), hashes, _strip)
        return Request(Route.METADATA, spec.lane, body, identity=spec.identity, state=state)


def _strip(body: bytes, gone: Any) -> bytes:
    element = json.loads(body)
    element["values"] = {name: value for name, value in element["values"].items() if name not in gone}
    return json.dumps(element).encode()


def _refused(status: int) -> Refused:
    return Refused(Reason.REFUSED, f"Pendo answered {status}")
