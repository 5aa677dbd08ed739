"""What Pendo keeps: accepted events come in, visitors, accounts and track events can be read back.

Only checked events come here; nothing here knows of HTTP or of faults.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from consumer.sandbox.simulator_checks import Facts
from consumer.sandbox.simulator_switches import Switches

# Pendo: track events older than this are not processed, though they are answered with success.
MAX_AGE_MS: Final = 7 * 24 * 3600 * 1000

# Pendo files what its Segment integration sends under this group of metadata.
METADATA_GROUP: Final = "segment.io"

Kind = Literal["visitor", "account"]
Group = Literal["agent", "custom"]


@dataclass(slots=True)
class Entity:
    """A visitor or an account.

    Attributes:
        id: As Pendo keeps it.
        first_ms: When it was first written, in milliseconds since the epoch.
        last_ms: When it was last written.
        metadata: What `traits` left in the group `segment.io`.
        agent: What the Metadata API left in the group of that name; likewise `custom`.
        accounts: For a visitor: the accounts it was linked to, in that order.
    """

    id: str
    first_ms: int
    last_ms: int
    metadata: dict[str, Any] = field(default_factory=dict)
    agent: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, Any] = field(default_factory=dict)
    accounts: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as Pendo's read API shows it."""
        auto = {"id": self.id, "firstvisit": self.first_ms, "lastvisit": self.last_ms}
        if self.accounts:
            auto |= {"accountid": self.accounts[-1], "accountids": self.accounts}
        groups = {"auto": auto, METADATA_GROUP: self.metadata, "agent": self.agent, "custom": self.custom}
        return {"id": self.id, "metadata": groups}

    def group(self, name: Group) -> dict[str, Any]:
        """The fields that the Metadata API writes."""
        return self.agent if name == "agent" else self.custom


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
    """Visitors, accounts and track events, and how often each `messageId` was accepted.

    Attributes:
        custom_fields: By kind the names of the fields in the group `custom`: somebody made them at Pendo.
        deletions: Whose deletion was asked for and not done yet.
    """

    def __init__(self, switches: Switches, *, max_events: int | None, keep_message_ids: bool) -> None:
        self._keep_nulls = switches.keep_nulls
        self._file_future = switches.file_future
        self._track_enabled = switches.track_enabled
        self._delete_at_once = switches.delete_at_once
        self._keep_message_ids = keep_message_ids
        self.visitors: dict[str, Entity] = {}
        self.accounts: dict[str, Entity] = {}
        self.events: deque[TrackEvent] = deque(maxlen=max_events)
        self.accepted: Counter[str] = Counter()
        self.accepted_types: Counter[str] = Counter()
        self.custom_fields: dict[Kind, set[str]] = {"visitor": set(), "account": set()}
        self.deletions: list[tuple[Kind, str]] = []

    def clear(self) -> None:
        """Forget everything."""
        for kept in (self.visitors, self.accounts, self.events, self.accepted, self.accepted_types, self.deletions):
            kept.clear()

    def entities(self, kind: Kind) -> dict[str, Entity]:
        """Visitors or accounts, by id."""
        return self.visitors if kind == "visitor" else self.accounts

    def write(self, kind: Kind, id_: str, group: Group, values: dict[str, Any]) -> None:
        """What the Metadata API took of one id."""
        self.accepted_types[f"metadata {kind}"] += 1
        self._merge(_entity(self.entities(kind), id_).group(group), values)

    def delete(self, kind: Kind, ids: list[str]) -> None:
        """What bulk deletion took: done at once, or when `run_deletions` says so. Whoever comes later is new."""
        self.accepted_types[f"delete {kind}"] += len(ids)
        self.deletions += [(kind, id_) for id_ in ids]
        if self._delete_at_once:
            self.run_deletions()

    def run_deletions(self) -> None:
        """Delete whoever was to be deleted: for good, with their track events."""
        for kind, id_ in self.deletions:
            self.entities(kind).pop(id_, None)
        gone = {id_ for kind, id_ in self.deletions if kind == "visitor"}
        if gone and self.events:
            kept = [event for event in self.events if event.visitor not in gone]
            self.events.clear()
            self.events.extend(kept)
        self.deletions.clear()

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
                self._merge(visitor.metadata, event.get("traits"))
            case "group" if facts.account is not None:
                self._merge(self.accounts[facts.account].metadata, event.get("traits"))
            case "track" if self._track_enabled:
                self.events.append(_track_event(event, facts))

    def keep_track_event(self, event: dict[str, Any], facts: Facts) -> None:
        """Keep what the Track Events API took; older than 7 days it is counted, and filed nowhere."""
        self.accepted_types["track"] += 1
        if facts.visitor is None:
            return
        visitor = _entity(self.visitors, facts.visitor)
        if facts.account is not None:
            self._link(visitor, facts.account)
        age_ms = now_ms() - event["timestamp"]
        if age_ms <= MAX_AGE_MS and (age_ms >= 0 or self._file_future):
            self.events.append(_track_event(event, facts))

    def _link(self, visitor: Entity, account: str) -> None:
        _entity(self.accounts, account)
        if account in visitor.accounts:
            visitor.accounts.remove(account)
        visitor.accounts.append(account)

    def _merge(self, group: dict[str, Any], traits: dict[str, Any] | None) -> None:
        """Write traits over what is there: the last write of a name wins, whatever its timestamp."""
        for name, value in (traits or {}).items():
            if value is None and not self._keep_nulls:
                continue
            if not isinstance(value, dict):
                group[metadata_name(name)] = _without_objects(value)


def metadata_name(name: str) -> str:
    """Return a metadata name as Pendo keeps it: in lower case, not beginning with a digit."""
    lowered = name.lower()
    return f"_{lowered}" if lowered[:1].isdigit() else lowered


def _without_objects(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    if isinstance(value, list):
        return [element for element in value if not isinstance(element, dict)]
    return value


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _entity(entities: dict[str, Entity], id_: str) -> Entity:
    at_ms = now_ms()
    entity = entities.get(id_)
    if entity is None:
        entity = entities[id_] = Entity(id_, at_ms, at_ms)
    entity.last_ms = at_ms
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
