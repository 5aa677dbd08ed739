"""What became of an event: derived from the topic, the commit with its offset map, and the dead letters.

A messageId or the id of a user or account comes in; a line an event comes out, in the order of arrival. What Pendo
answered is not kept anywhere: of a settled event without a letter it is said what the mapping makes of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from consumer.config.settings import Settings
from consumer.kafka.committed import Committed, commits_of
from consumer.kafka.filed import Filed, letters_in
from consumer.kafka.reading import records_in
from consumer.kafka.records import Partition, Record, position
from consumer.kafka.security import client_options
from consumer.letters import event_of, ids_of
from consumer.mapping.assembly import router_of
from consumer.mapping.result import Ended, Mapped
from consumer.mapping.router import Router
from consumer.outcomes import Outcome, Reason
from consumer.pendo.requests import Request
from consumer.segment.decode import decode
from consumer.segment.events import Event

REPEAT: Final = "an earlier event is the same: if that was delivered, this one was suppressed as a repeat"


class State(StrEnum):
    """Where an event is."""

    SETTLED = "settled"
    OPEN = "open"
    DEAD_LETTERED = "dead_lettered"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Read:
    """How far a group has come in one partition.

    Attributes:
        committed: What its commit tells.
        read_to: Up to where a pod has read that was asked; 0 when none was.
    """

    committed: Committed
    read_to: int = 0

    def state(self, offset: int) -> State:
        """Where a record is."""
        match self.committed.is_finished(offset):
            case True:
                return State.SETTLED
            case False:
                return State.OPEN
            case None:
                return State.OPEN if offset < self.read_to else State.UNREAD


async def trace(
    settings: Settings, id_: str, *, since_ms: int | None, read_to: Mapping[Partition, int]
) -> list[dict[str, Any]]:
    """All events with this id: messageId, type, position, state, outcome, reason, and the lanes that they go in.

    Args:
        settings: Which brokers, topics, group and mapping.
        id_: A messageId, or a user's, anonymous or account's id.
        since_ms: Only those that came to Kafka since; None for all that the topics hold.
        read_to: Up to where pods have read that were asked.

    Raises:
        BrokerError: Kafka does not answer.
        ConfigError: The mapping cannot be used.
    """
    options, router = client_options(settings.kafka), router_of(settings)
    envelope = settings.segment.envelope_keys
    letters = await _letters(options, settings, id_)
    commits = await commits_of(options, settings.kafka.group_id, settings.kafka.topics)
    reads = {partition: Read(commit, read_to.get(partition, 0)) for partition, commit in commits.items()}
    rows: list[dict[str, Any]] = []
    seen: dict[int, str] = {}
    for topic in settings.kafka.topics:
        async for record in records_in(options, topic, since_ms=since_ms):
            read = reads.get(Partition(record.topic, record.partition), Read(Committed()))
            rows.extend(_row(record, event, read, letters, router, seen) for event in _events(record, envelope, id_))
    return sorted(rows, key=lambda row: row["arrived_ms"])


async def _letters(options: Mapping[str, Any], settings: Settings, id_: str) -> dict[tuple[str, int | None], Filed]:
    """The newest letter of each event with this id, by the position of its record and its place there."""
    found: dict[tuple[str, int | None], Filed] = {}
    async for filed in letters_in(options, settings.dead_letter.topic):
        if not filed.is_ours:
            continue
        if id_ in ids_of(filed, event_of(filed, settings.segment.envelope_keys)):
            found[filed.position, filed.index] = filed
    return found


def _events(record: Record, envelope: tuple[str, ...], id_: str) -> Iterable[Event]:
    """The events of a record that carry the id."""
    value = record.value
    # Most records do not hold it, and need not be decoded. JSON may write other letters in several ways.
    if not value or (id_.isascii() and id_.isalnum() and id_.encode() not in value):
        return
    for element in decode(value, envelope):
        if isinstance(element, Event) and id_ in _ids(element):
            yield element


def _ids(event: Event) -> set[str]:
    named = (event.fields.get(key) for key in ("messageId", "userId", "anonymousId", "groupId"))
    return {str(value) for value in named if value is not None}


def _row(
    record: Record,
    event: Event,
    read: Read,
    letters: Mapping[tuple[str, int | None], Filed],
    router: Router,
    seen: dict[int, str],
) -> dict[str, Any]:
    where = position(record)
    letter = letters.get((where, event.index))
    state = read.state(record.offset) if letter is None else State.DEAD_LETTERED
    event.arrived_ms = record.timestamp
    mapped = router.map(event)
    outcome, reason, note = _end(mapped, letter, state, seen, where)
    return {
        "messageId": event.message_id,
        "type": event.type.value,
        "position": where,
        "index": event.index,
        "state": state.value,
        "outcome": outcome,
        "reason": reason,
        "note": note,
        "letter": letter.letter if letter else None,
        "arrived_ms": record.timestamp,
        "lanes": mapped.lanes if isinstance(mapped, Request) else [],
    }


def _end(mapped: Mapped, letter: Filed | None, state: State, seen: dict[int, str], where: str) -> tuple[str, str, str]:
    """Outcome, reason and a note: of a letter its own, else what the mapping makes of the event."""
    if letter is not None:
        return Outcome.DEAD_LETTERED.value, letter.reason, letter.message
    if isinstance(mapped, Ended):
        return (mapped.outcome.value, mapped.reason.value, "") if state is State.SETTLED else ("", "", "")
    return _sent(mapped, state, seen, where)


def _sent(request: Request, state: State, seen: dict[int, str], where: str) -> tuple[str, str, str]:
    first = seen.setdefault(request.identity, where) if request.identity else where
    if state is not State.SETTLED:
        return "", Reason.NONE.value, ""
    if first != where:
        return Outcome.SUPPRESSED.value, Reason.REPEAT.value, f"{REPEAT}: {first}"
    return Outcome.DELIVERED.value, Reason.NONE.value, ""
