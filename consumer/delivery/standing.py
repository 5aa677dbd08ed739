"""The standing of an open record: where its events wait, and what they wait for.

It is asked on request, walks over what is open, and changes nothing. Whose events they are is told as a hash.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, assert_never

from consumer.delivery.crew import Crew
from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lane import Delivery, Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.ticket import Ticket
from consumer.kafka.records import position
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import Stall

_HASH_BYTES: Final = 6


class Wait(StrEnum):
    """What an event waits for."""

    ANSWER = "answer"
    RETRY = "retry"
    TURN = "turn"
    VISITOR = "visitor"
    ACCOUNT = "account"
    DOUBT = "doubt"
    CIRCUIT = "circuit"
    CREDENTIALS = "credentials"
    ENDPOINT = "endpoint"
    FLOOD = "flood"
    LETTER = "letter"
    UNREAD = "unread"
    PAUSED = "paused"
    REBALANCE = "rebalance"
    ASLEEP = "asleep"


REMEDIES: Final[dict[Wait, str]] = {
    Wait.ANSWER: "its request is on the wire",
    Wait.RETRY: "it failed and is tried again; if others pass it is dead-lettered in the end, or skip it",
    Wait.TURN: "it waits for its turn: more concurrency or a higher rate limit, if Pendo takes it",
    Wait.VISITOR: "an earlier event of the same visitor or account goes first: see the position in front of it",
    Wait.ACCOUNT: "another version of its account's traits goes first: deny traits that change, or use metadata",
    Wait.DOUBT: "Pendo refused the credential for one event; another shows whose fault it is",
    Wait.CIRCUIT: "Pendo is unreachable: nothing to do here, it goes on by itself",
    Wait.CREDENTIALS: "Pendo refuses the credential: replace it in its file, or restart after replacing it elsewhere",
    Wait.ENDPOINT: "this is not Pendo's endpoint: correct pendo.region, the URL or the proxy",
    Wait.FLOOD: "most events are refused: `dlq list --group-by case --reason refused` says why",
    Wait.LETTER: "its dead letter is not acknowledged: look at the dead-letter topic",
    Wait.PAUSED: "delivery is paused: `resume` it, or delivery.paused in the file",
    Wait.REBALANCE: "partitions change hands; it goes on by itself",
    Wait.ASLEEP: "the process stood still and has to see first whether its partitions are its own: give it more CPU",
    Wait.UNREAD: "it was open at the last commit and is not read again yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one event stands.

    Attributes:
        position: Of its record.
        wait: What it waits for.
        route: By which it goes; None for a letter.
        lane: A hash of whose it is.
        behind: How many events of the lane stand before it.
        front: The position of the first of those; its own when there is none.
        attempts: Of the first.
        status: The first's last, empty before it had one.
        first_attempt_ms: When the first was sent first, milliseconds since the epoch; None when it was not.
    """

    position: str
    wait: Wait
    route: Route | None = None
    lane: str = ""
    behind: int = 0
    front: str = ""
    attempts: int = 0
    status: str = ""
    first_attempt_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For the API: what it waits for, and what to do about it."""
        return {
            "position": self.position,
            "waits_for": self.wait.value,
            "route": self.route.value if self.route else None,
            "lane": self.lane,
            "behind": self.behind,
            "front": self.front,
            "attempts": self.attempts,
            "status": self.status,
            "first_attempt_ms": self.first_attempt_ms,
            "remedy": REMEDIES[self.wait],
        }


def hash_of(lane: str) -> str:
    """A lane's name without a person in it; the same in every process."""
    return blake2b(lane.encode(), digest_size=_HASH_BYTES).hexdigest()


def standings(crew: Crew[Any, Any], ticket: Ticket, held: Wait | None) -> Iterator[Standing]:
    """The open events of one record on one route.

    Args:
        crew: The route's.
        ticket: The record's.
        held: Why nothing at all is sent; None when something may be.
    """
    for lane in crew.lanes:
        for place, delivery in enumerate(lane.queue):
            if delivery.ticket is ticket:
                yield _standing(crew, lane, place, delivery, held)


def first_standings(
    crew: Crew[Any, Any], tickets: Container[Ticket], held: Wait | None
) -> Iterator[tuple[Ticket, Standing]]:
    """An open event of each of many records, in one walk: looking for each alone would take the loop's time."""
    found: set[Ticket] = set()
    for lane in crew.lanes:
        for place, delivery in enumerate(lane.queue):
            ticket = delivery.ticket
            if ticket in tickets and ticket not in found:
                found.add(ticket)
                yield ticket, _standing(crew, lane, place, delivery, held)


def _standing(crew: Crew[Any, Any], lane: Lane, place: int, delivery: Delivery, held: Wait | None) -> Standing:
    front = lane.queue[0]
    trouble = front.trouble
    return Standing(
        position=position(delivery.ticket.record),
        wait=_wait(crew, lane, place, held),
        route=crew.route,
        lane=hash_of(lane.key),
        behind=place,
        front=position(front.ticket.record),
        attempts=trouble.attempts if trouble else 0,
        status=str(trouble.status) if trouble else "",
        first_attempt_ms=trouble.first_attempt_ms if trouble else None,
    )


def _wait(crew: Crew[Any, Any], lane: Lane, place: int, held: Wait | None) -> Wait:
    if place < lane.in_flight:
        return Wait.ANSWER
    closed = held or _closed(crew.gate)
    if closed is not None:
        return closed
    if lane.aside:
        return Wait.DOUBT
    if place > 0 and not _goes_together(crew.lanes, lane):
        return Wait.VISITOR
    if lane.due:
        return Wait.RETRY
    return Wait.TURN if crew.lanes.may_go(lane) else Wait.ACCOUNT


def _closed(gate: Gate) -> Wait | None:
    """Why the route as a whole sends nothing but probes."""
    match gate.state:
        case GateState.STALLED:
            return Wait.CREDENTIALS if gate.stall is Stall.CREDENTIALS else Wait.ENDPOINT
        case GateState.CIRCUIT:
            return Wait.CIRCUIT
        case GateState.FLOOD:
            return Wait.FLOOD
        case GateState.OPEN:
            return Wait.DOUBT if gate.doubt.active else None
        case _:
            assert_never(gate.state)


def _goes_together(lanes: Lanes, lane: Lane) -> bool:
    """Whether all that stands in a lane goes at once."""
    return lanes.together and not lane.in_flight
