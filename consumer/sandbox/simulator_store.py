"""What Pendo keeps: accepted events come in, visitors, accounts and track events can be read back.

Only checked events come here; nothing here knows of HTTP or of faults.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from consumer.sandbox.simulator_checks import Facts, Switches

# Pendo: track events older than this are not processed, though they are answered with success.
MAX_AGE_MS: Final = 7 * 24 * 3600 * 1000

# Pendo files what its Segment integration sends under this group of metadata.
METADATA_GROUP: Final = "segment.io"


@dataclass(slots=True)
class Entity:
    """A visitor or an account.

    Attributes:
        id: As Pendo keeps it.
        first_ms: When it was first written, in milliseconds since the epoch.
        last_ms: When it was last written.
        metadata: What `traits` left in the group `segment.io`.
        accounts: For a visitor: the accounts it was linked to, in that order.
    """

    id: str
    first_ms: int
    last_ms: int
    metadata: dict[str, Any] = field(default_factory=dict)
    accounts: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as Pendo's read API shows it."""
        auto = {"id": self.id, "firstvisit": self.first_ms, "lastvisit": self.last_ms}
        if self.accounts:
            auto |= {"accountid": self.accounts[-1], "accountids": self.accounts}
        groups = {"auto": auto, METADATA_GROUP: self.metadata, "agent": {}, "custom": {}}
        return {"id": self.id, "metadata": groups}


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """One track event as Pendo files it."""

    name: str
    visitor: str
    account: str | None
    properties: dict[str, Any]
    timestamp: Any
    message_id: str | None


class Store:
    """Visitors, accounts and track events, and how often each `messageId` was accepted."""

    def __init__(self, switches: Switches, *, max_events: int | None, keep_message_ids: bool) -> None:
        self._keep_nulls = switches.keep_nulls
        self._file_future = switches.file_future
        self._keep_message_ids = keep_message_ids
        self.visitors: dict[str, Entity] = {}
        self.accounts: dict[str, Entity] = {}
        self.events: deque[TrackEvent] = deque(maxlen=max_events)
        self.accepted: Counter[str] = Counter()
        self.accepted_types: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget everything."""
        for kept in (self.visitors, self.accounts, self.events, self.accepted, self.accepted_types):
            kept.clear()

    def keep(self, event: dict[str, Any], facts: Facts) -> None:
        """Keep an event that passed the checks."""
        kind = str(facts.type)
        self.accepted_types[kind] += 1
        if self._keep_message_ids and facts.message_id is not None:
            self.accepted[facts.message_id] += 1
        if kind not in {"identify", "group", "track"} or facts.visitor is None:
            return
        visitor = _entity(self.visitors, facts.visitor)
        if facts.account is not None:
            self._link(visitor, facts.account)
        match kind:
            case "identify":
                self._merge(visitor, event.get("traits"))
            case "group" if facts.account is not None:
                self._merge(self.accounts[facts.account], event.get("traits"))
            case _:
                self.events.append(_track_event(event, facts))

    def keep_track_event(self, event: dict[str, Any], facts: Facts) -> None:
        """Keep what the Track Events API took; older than 7 days it is counted, and filed nowhere."""
        self.accepted_types["track"] += 1
        if facts.visitor is None:
            return
        visitor = _entity(self.visitors, facts.visitor)
        if facts.account is not None:
            self._link(visitor, facts.account)
        age_ms = _now_ms() - event["timestamp"]
        if age_ms <= MAX_AGE_MS and (age_ms >= 0 or self._file_future):
            self.events.append(_track_event(event, facts))

    def _link(self, visitor: Entity, account: str) -> None:
        _entity(self.accounts, account)
        if account in visitor.accounts:
            visitor.accounts.remove(account)
        visitor.accounts.append(account)

    def _merge(self, entity: Entity, traits: dict[str, Any] | None) -> None:
        """Write traits over what is there: the last write of a name wins, whatever its timestamp."""
        for name, value in (traits or {}).items():
            if value is None and not self._keep_nulls:
                continue
            if not isinstance(value, dict):
                entity.metadata[metadata_name(name)] = _without_objects(value)


def metadata_name(name: str) -> str:
    """Return a metadata name as Pendo keeps it: in lower case, not beginning with a digit."""
    lowered = name.lower()
    return f"_{lowered}" if lowered[:1].isdigit() else lowered


def _without_objects(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    if isinstance(value, list):
        return [element for element in value if not isinstance(element, dict)]
    return value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _entity(entities: dict[str, Entity], id_: str) -> Entity:
    now_ms = _now_ms()
    entity = entities.get(id_)
    if entity is None:
        entity = entities[id_] = Entity(id_, now_ms, now_ms)
    entity.last_ms = now_ms
    return entity


def _track_event(event: dict[str, Any], facts: Facts) -> TrackEvent:
    return TrackEvent(
        name=event["event"],
        visitor=str(facts.visitor),
        account=facts.account,
        properties=event.get("properties") or {},
        timestamp=event.get("timestamp"),
        message_id=facts.message_id,
    )
