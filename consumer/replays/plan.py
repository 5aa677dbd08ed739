"""The plan of a replay: which letters are sent again, and why the others are not.

Letters and how far the replay group has come go in, planned letters and refusals come out. Nothing here reads Kafka.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from consumer.kafka.committed import Committed
from consumer.kafka.filed import Filed
from consumer.kafka.looking import Ends
from consumer.kafka.records import Partition, parse_position
from consumer.letters import element_of, type_of
from consumer.mapping.result import Ended
from consumer.mapping.router import Router
from consumer.outcomes import Outcome, Reason
from consumer.pendo.requests import Request
from consumer.segment.events import Event

MAX_REPLAYS: Final = 5
"""A letter that was refused so often will be refused again; it stays, unless somebody insists."""

Place = tuple[str, int | None]
"""Which event: its record's position, and its place in the record's array or batch."""


class Refusal(StrEnum):
    """Why a letter is not sent again; the words are for people."""

    FOREIGN = "another system wrote it, or it does not say where it came from"
    OMITTED = "its value was left out, for it was too large for the dead-letter topic"
    EMPTY = "no event is found in it (was it parked with another segment.envelope_path?)"
    REPLAYED = "it was sent again before"
    TOO_OFTEN = f"it was sent again {MAX_REPLAYS} times already (--force sends it all the same)"
    EXPIRED = (
        "newer identify and group events may have expired from the source topic, and it would undo them "
        "(--force sends it all the same)"
    )


@dataclass(slots=True, kw_only=True)
class Planned:
    """A letter that is to be sent again.

    Attributes:
        letter: Its position.
        origin: That of the record that holds its event.
        index: The event's place there.
        message_id: The event's.
        type: The event's, as in metrics.
        came_ms: When the record came to Kafka first, milliseconds since the epoch.
        outcome: What the mapping makes of it now: `deliver`, or as events are settled.
        reason: Why it is not delivered.
        request: What the mapping makes of it; None when it ends without one, or when nobody asked for it.
        key: Whose fields it writes, `visitor:ID` or `account:ID`; None when it writes none.
    """

    letter: str
    origin: str
    index: int | None
    message_id: str
    type: str
    came_ms: int
    outcome: str
    reason: str
    request: Request | None
    key: str | None

    def to_json(self, outcome: str, reason: str) -> dict[str, Any]:
        """The letter with its end, as scripts read it."""
        return {
            "letter": self.letter,
            "sent": True,
            "position": self.origin,
            "type": self.type,
            "messageId": self.message_id,
            "outcome": outcome,
            "reason": reason,
        }


@dataclass(slots=True)
class Plan:
    """What a replay is to do.

    Args:
        router: From events to requests.
        envelope_path: The keys that lead to the event inside a record's value.
        commits: How far the replay group has come in the dead-letter topic.
        force: Whether letters are sent that were too often, or whose newer events may have expired.
        with_requests: Whether what is to be sent is kept, for a dry run.

    Attributes:
        chosen: By partition and offset.
        left: Letters that were meant but are not sent, by why.
        parked: Events of which a letter lies there that was not sent again: they have set nothing at Pendo.
    """

    router: Router
    envelope_path: tuple[str, ...]
    commits: Mapping[Partition, Committed]
    force: bool = False
    with_requests: bool = False
    chosen: dict[Partition, dict[int, Planned]] = field(default_factory=dict)
    left: dict[str, Refusal] = field(default_factory=dict)
    parked: set[Place] = field(default_factory=set)

    def see(self, filed: Filed, *, wanted: bool) -> None:
        """Look at a letter: choose it, or note why not."""
        partition, offset = parse_position(filed.letter)
        replayed = self.commits.get(partition, Committed()).is_finished(offset)
        if filed.is_ours and not replayed:
            self.parked.add((filed.position, filed.index))
        if not wanted:
            return
        refusal = Refusal.REPLAYED if replayed else self._refusal(filed)
        if refusal is None:
            self.chosen.setdefault(partition, {})[offset] = self._planned(filed)
        else:
            self.left[filed.letter] = refusal

    def _refusal(self, filed: Filed) -> Refusal | None:
        if not filed.is_ours or not _is_position(filed.position):
            return Refusal.FOREIGN
        if filed.value is None:
            return Refusal.OMITTED
        if element_of(filed, self.envelope_path) is None:
            return Refusal.EMPTY
        if filed.replays >= MAX_REPLAYS and not self.force:
            return Refusal.TOO_OFTEN
        return None

    def _planned(self, filed: Filed) -> Planned:
        element = element_of(filed, self.envelope_path)
        event = element if isinstance(element, Event) else None
        came_ms = filed.parked_ms if filed.original_ms is None else filed.original_ms
        if event is None:
            mapped: Request | Ended = Ended(Outcome.DEAD_LETTERED, Reason.UNDECODABLE)
        else:
            event.arrived_ms = came_ms
            mapped = self.router.map(event)
        request = mapped if isinstance(mapped, Request) else None
        state = None if request is None else request.state
        return Planned(
            letter=filed.letter,
            origin=filed.position,
            index=filed.index,
            message_id=filed.message_id,
            type=type_of(event),
            came_ms=came_ms,
            outcome="deliver" if isinstance(mapped, Request) else mapped.outcome.value,
            reason="" if isinstance(mapped, Request) else mapped.reason.value,
            request=request if self.with_requests else None,
            key=None if state is None else state.key,
        )

    def all(self) -> list[Planned]:
        """The chosen letters, those of a partition in their order."""
        return [planned for offsets in self.chosen.values() for planned in offsets.values()]

    def with_state(self) -> list[Planned]:
        """Those of them that write fields, which newer events may have written since."""
        return [planned for planned in self.all() if planned.key is not None]

    def origins(self) -> set[Partition]:
        """Partitions that they came from."""
        return {parse_position(planned.origin)[0] for planned in self.with_state()}

    def leave_expired(self, logs: Mapping[Partition, Ends]) -> None:
        """Leave those that write fields and whose log no longer tells what was written after them.

        Args:
            logs: Where the partitions that they came from begin and end; without those that are not there.
        """
        if self.force:
            return
        for offsets in self.chosen.values():
            for offset, planned in list(offsets.items()):
                partition, origin = parse_position(planned.origin)
                ends = logs.get(partition)
                if planned.key is not None and (ends is None or not ends.first <= origin < ends.end):
                    del offsets[offset]
                    self.left[planned.letter] = Refusal.EXPIRED

    def left_to_json(self) -> list[dict[str, Any]]:
        """The letters that are not sent, each with why, as scripts read it."""
        return [
            {"letter": letter, "sent": False, "why": refusal.name.lower(), "message": refusal.value}
            for letter, refusal in self.left.items()
        ]

    def reasons_left(self) -> Counter[Refusal]:
        """How many are left, by why."""
        return Counter(self.left.values())


def _is_position(text: str) -> bool:
    try:
        parse_position(text)
    except ValueError:
        return False
    return True
