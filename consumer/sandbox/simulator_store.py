"""What Pendo keeps: accepted events come in, visitors, accounts and track events can be read back.

Only checked events come here; nothing here knows of HTTP or of faults.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from consumer.sandbox.simulator_checks import Facts
from consumer.sandbox.simulator_switches import Switches

# Pendo: track events older than this are not processed, though they are answered with success.
MAX_AGE_MS: Final = 7 * 24 * 3600 * 1000

# Pendo files what its Segment integration sends under this group of metadata.
METADATA_GROUP: Final = "segment.io"

# Lists in lists beyond which nothing is kept: a guard against bodies that are made to be deep.
_MAX_DEPTH: Final = 64

# Names of fields that are remembered as Pendo keeps them: as many as one subscription may have.
_MAX_NAMES: Final = 10_000

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

    def to_json(self, *, empty_groups: bool = True) -> dict[str, Any]:
        """Return it as Pendo's read API shows it; groups without a field may be absent."""
        auto = {"id": self.id, "firstvisit": self.first_ms, "lastvisit": self.last_ms}
        if self.accounts:
            auto |= {"accountid": self.accounts[-1], "accountids": self.accounts}
        groups = {"auto": auto, METADATA_GROUP: self.metadata, "agent": self.agent, "custom": self.custom}
        return {"id": self.id, "metadata": {name: group for name, group in groups.items() if group or empty_groups}}

    def group(self, name: Group) -> dict[str, Any]:
        """The fields that the Metadata API writes."""
        return self.agent if name == "agent" else self.custom


class Write(NamedTuple):
    """What one call of the Metadata API wrote of one id.

    Attributes:
        call: The call's number in the log.
        kind: Whose id it is.
        id: As Pendo keeps it.
        group: Where the fields went.
        values: As they came.
    """

    call: int
    kind: Kind
    id: str
    group: Group
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """One track event as Pendo files it; `received_ms` is when it came, in milliseconds since the epoch."""

    name: str
    visitor: str
    account: str | None
    properties: dict[str, Any]
    timestamp: Any
    message_id: str | None
    received_ms: int


class Store:
    """Visitors, accounts and track events, and how often each `messageId` was accepted.

    Attributes:
        custom_fields: By kind the names of the fields in the group `custom`: somebody made them at Pendo.
        deletions: Whose deletion was asked for and not done yet.
        deleted: How often each `visitor:ID` and `account:ID` was deleted.
        writes: What the Metadata API wrote, in the order in which it did.
        fields: By kind and group the fields that were ever written, each with its type.
    """

    def __init__(self, switches: Switches, *, max_events: int | None, keep_message_ids: bool) -> None:
        self._keep_nulls = switches.keep_nulls
        self.file_future = switches.file_future
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
        self.deleted: Counter[str] = Counter()
        self.writes: deque[Write] = deque(maxlen=max_events)
        self.fields: dict[Kind, dict[str, dict[str, str]]] = {"visitor": {}, "account": {}}

    def clear(self) -> None:
        """Forget everything but the fields that somebody made."""
        for kept in (self.visitors, self.accounts, self.events, self.accepted, self.accepted_types, self.deletions):
            kept.clear()
        self.deleted.clear()
        self.writes.clear()
        for fields in self.fields.values():
            fields.clear()

    def define(self, kind: Kind, *names: str) -> None:
        """Make fields of the group `custom`, as somebody does at Pendo."""
        self.custom_fields[kind].update(map(metadata_name, names))

    def entities(self, kind: Kind) -> dict[str, Entity]:
        """Visitors or accounts, by id."""
        return self.visitors if kind == "visitor" else self.accounts

    def write(self, kind: Kind, id_: str, group: Group, values: dict[str, Any], call: int = 0) -> None:
        """What the Metadata API took of one id."""
        self.accepted_types[f"metadata {kind}"] += 1
        self.writes.append(Write(call, kind, id_, group, values))
        self._merge(kind, group, _entity(self.entities(kind), id_).group(group), values)

    def writes_of(self, kind: Kind, id_: str) -> list[Write]:
        """What was written of one id and is kept, in the order in which it was."""
        return [write for write in self.writes if write.id == id_ and write.kind == kind]

    def delete(self, kind: Kind, ids: list[str]) -> None:
        """What bulk deletion took: done at once, or when `run_deletions` says so. Whoever comes later is new."""
        self.accepted_types[f"delete {kind}"] += len(ids)
        self.deletions += [(kind, id_) for id_ in ids]
        if self._delete_at_once:
            self.run_deletions()

    def run_deletions(self) -> int:
        """Delete whoever was to be deleted, for good, with their track events; return how many that were."""
        for kind, id_ in self.deletions:
            self.entities(kind).pop(id_, None)
            self.deleted[f"{kind}:{id_}"] += 1
        gone = {id_ for kind, id_ in self.deletions if kind == "visitor"}
        self._unlink({id_ for kind, id_ in self.deletions if kind == "account"})
        if gone and self.events:
            kept = [event for event in self.events if event.visitor not in gone]
            self.events.clear()
            self.events.extend(kept)
        done = len(self.deletions)
        self.deletions.clear()
        return done

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
                self._merge("visitor", METADATA_GROUP, visitor.metadata, event.get("traits"))
            case "group" if facts.account is not None:
                account = self.accounts[facts.account]
                self._merge("account", METADATA_GROUP, account.metadata, event.get("traits"))
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
        if age_ms <= MAX_AGE_MS and (age_ms >= 0 or self.file_future):
            self.events.append(_track_event(event, facts))

    def _link(self, visitor: Entity, account: str) -> None:
        _entity(self.accounts, account)
        if account in visitor.accounts:
            visitor.accounts.remove(account)
        visitor.accounts.append(account)

    def _unlink(self, accounts: set[str]) -> None:
        for visitor in self.visitors.values() if accounts else ():
            if not accounts.isdisjoint(visitor.accounts):
                visitor.accounts = [id_ for id_ in visitor.accounts if id_ not in accounts]

    def _merge(self, kind: Kind, group: str, into: dict[str, Any], traits: dict[str, Any] | None) -> None:
        """Write traits over what is there: the last write of a name wins, whatever its timestamp."""
        if not traits:
            return
        fields = self.fields[kind].setdefault(group, {})
        for given, value in traits.items():
            type_ = type(value)
            if type_ is dict or (value is None and not self._keep_nulls):
                continue
            name = metadata_name(given)
            into[name] = _without_objects(value) if type_ is list else value
            if name not in fields and value is not None:
                fields[name] = _TYPES[type_]


_TYPES: Final = {str: "string", bool: "boolean", int: "float", float: "float", list: "list"}


@lru_cache(maxsize=_MAX_NAMES)
def metadata_name(name: str) -> str:
    """Return a metadata name as Pendo keeps it: in lower case, not beginning with a digit."""
    lowered = name.lower()
    return f"_{lowered}" if lowered[:1].isdigit() else lowered


def _without_objects(values: list[Any], depth: int = 0) -> list[Any]:
    """What Pendo keeps of a list: objects are ignored, in lists within it too."""
    if depth == _MAX_DEPTH:
        return []
    shown = (value for value in values if not isinstance(value, dict))
    return [_without_objects(value, depth + 1) if isinstance(value, list) else value for value in shown]


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
        received_ms=now_ms(),
    )
