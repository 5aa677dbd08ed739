"""Readmission: from the records of the dead-letter topic to deliveries of the events in them.

Letters that are not in the plan stay open, so that no commit says they were sent again. An event that fails once more
is parked anew, as what it was: the event of its own record, with one replay more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import OURS
from consumer.kafka.filed import Filed, read_letter
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, Record, parse_position
from consumer.letters import element_of
from consumer.outcomes import EventType, Outcome, Reason
from consumer.replays.plan import Plan, Planned, Refusal
from consumer.segment.events import Undecodable
from consumer.worker.admission import Admission

Told = Callable[[Planned, Outcome, Reason], None]
"""Told what became of a letter."""
Settled = Callable[[Outcome, Reason], None]


@dataclass(slots=True)
class Origin:
    """A letter's record as it was in its own topic, but for how often it was sent again.

    Attributes:
        topic, partition, offset, timestamp, key, value: As they were.
        headers: With one replay more.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class _Left:
    """Stands where a letter lies that is not sent again."""

    __slots__ = ()
    open: int = 0
    held_bytes: int = 0


LEFT: Final = _Left()


class LetterTicket(Ticket):
    """The ticket of a letter's one event: at its end the letter's own offset is finished."""

    __slots__ = ("_told",)

    def __init__(
        self, origin: Record, letter_offset: int, progress: Progress, tally: Tally, now_ms: int, told: Settled
    ) -> None:
        super().__init__(origin, progress, tally, now_ms)
        self.offset = letter_offset
        self._told = told

    def settle(self, type_: EventType, outcome: Outcome, reason: Reason, index: int | None = None) -> None:
        """End the event, and tell."""
        if not self.released:
            super().settle(type_, outcome, reason, index)
            self._told(outcome, reason)


class Readmission:
    """Admits letters.

    Attributes:
        outstanding: Offsets that are planned and not settled, by partition.
    """

    def __init__(self, admission: Admission, plan: Plan, *, begun: Callable[[Planned], None], told: Told) -> None:
        """Nothing is admitted yet.

        Args:
            admission: Admits the events in letters.
            plan: Which are sent again.
            begun: Told of each that is admitted.
            told: Told what became of it.
        """
        self.outstanding: dict[Partition, set[int]] = {part: set(offsets) for part, offsets in plan.chosen.items()}
        self._admission = admission
        self._plan = plan
        self._begun = begun
        self._told = told

    def admit(self, progress: Progress, records: Sequence[Record], now_ms: int) -> None:
        """Open what was not sent again before; only what is planned goes on."""
        partition = Partition(progress.topic, progress.partition)
        planned_here = self._plan.chosen.get(partition, {})
        for record in records:
            planned = planned_here.get(record.offset)
            if planned is None:
                progress.start(record.offset, LEFT)
            else:
                self._admit(progress, record, planned, now_ms)

    def _admit(self, progress: Progress, record: Record, planned: Planned, now_ms: int) -> None:
        filed = read_letter(record)
        origin, settled = origin_of(filed, record, planned), partial(self._settled, planned)
        ticket = LetterTicket(origin, record.offset, progress, self._admission.tally, now_ms, settled)
        if not progress.start(record.offset, ticket):
            # Somebody else has sent it again since the plan was made.
            self._forget(planned)
            return
        self._begun(planned)
        ticket.admit(1)
        element = element_of(filed, self._admission.envelope_path)
        # The plan has seen to it that there is one.
        self._admission.admit_element(element or Undecodable(Refusal.EMPTY), ticket, filed.index)

    def _settled(self, planned: Planned, outcome: Outcome, reason: Reason) -> None:
        self._forget(planned)
        self._told(planned, outcome, reason)

    def _forget(self, planned: Planned) -> None:
        partition, offset = parse_position(planned.letter)
        self.outstanding[partition].discard(offset)


def origin_of(filed: Filed, record: Record, planned: Planned) -> Origin:
    """The record as it was in its own topic."""
    partition, offset = parse_position(planned.origin)
    again = (OURS + "replays", str(filed.replays + 1).encode())
    return Origin(
        topic=partition.topic,
        partition=partition.partition,
        offset=offset,
        timestamp=planned.came_ms,
        key=record.key,
        value=record.value,
        headers=(*(header for header in record.headers if header[0] != again[0]), again),
    )
