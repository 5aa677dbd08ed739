"""The field ledger: which traits and properties arrive, of which types, how often, and under which names they go out.

Events come in, an entry a field goes out. No value is kept, and no more fields than a bound allows. It must not know
where events come from.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from consumer.mapping.router import Router
from consumer.mapping.rules.parts import EVENT_TYPES, TRAIT_TYPES, Fields
from consumer.mapping.rules.shaping import MAX_LEVELS
from consumer.mapping.visibility import metadata_name, shown_value
from consumer.outcomes import EventType
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event

MAX_FIELDS: Final = 5_000
"""Half of what Pendo takes; where there are more, somebody makes up names as they go."""
_MARK: Final = "\x00mark-"
"""A text that no rule takes for a number, a date or a word, and no event holds."""
_KINDS: Final[dict[type, str]] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "list",
    dict: "object",
}


@dataclass(slots=True)
class Entry:
    """One field of one type of event.

    Attributes:
        type: The event's.
        name: Of the trait or property; dotted inside objects.
        events: How many carried it.
        kinds: How often it was text, number, boolean, null, list or object.
        names: Under which names Pendo keeps it, and how often.
        left_out: How often it did not go out, or Pendo ignores it.
    """

    type: EventType
    name: str
    events: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


class Ledger:
    """All fields seen.

    Attributes:
        events: How many events were looked at.
        unlisted: How often a field came that had no room any more.
    """

    def __init__(self, router: Router, max_fields: int = MAX_FIELDS) -> None:
        self.events = 0
        self.unlisted = 0
        self._router = router
        self._max_fields = max_fields
        self._entries: dict[tuple[EventType, str], Entry] = {}

    def add(self, event: Event) -> None:
        """Look at one event."""
        self.events += 1
        key = _part_of(event.type)
        part = event.fields.get(key) if key else None
        if not isinstance(part, dict):
            return
        fields = dict(_leaves(part))
        mapped = self._router.map(event)
        destinations = self._destinations(event, key, fields) if isinstance(mapped, Request) else {}
        if isinstance(mapped, Request) and mapped.route is Route.METADATA:
            # Marks are text, and so go where a null or an object would not.
            destinations = {
                name: names for name, names in destinations.items() if shown_value(fields[name]) is not None
            }
        for name, value in fields.items():
            entry = self._entry(event.type, name)
            if entry is None:
                self.unlisted += 1
                continue
            entry.events += 1
            entry.kinds[_KINDS[type(value)]] += 1
            entry.names.update(destinations.get(name, ()))
            entry.left_out += name not in destinations

    def entries(self) -> Iterator[Entry]:
        """By type and name."""
        for key in sorted(self._entries):
            yield self._entries[key]

    def _entry(self, type_: EventType, name: str) -> Entry | None:
        entry = self._entries.get((type_, name))
        if entry is None and len(self._entries) < self._max_fields:
            entry = self._entries[type_, name] = Entry(type_, name)
        return entry

    def _destinations(self, event: Event, key: str, fields: Fields) -> dict[str, list[str]]:
        """By field the names under which it goes out: each value is marked, and the marks are looked for."""
        marks = {f"{_MARK}{number}": name for number, name in enumerate(fields)}
        by_name = {name: mark for mark, name in marks.items()}
        marks |= {sha256(mark.encode()).hexdigest(): name for mark, name in marks.items()}
        marked = _marked(event.fields[key], by_name)
        changed = self._router.change_of(event)({**event.fields, key: marked})[key]
        found: dict[str, list[str]] = {}
        for name, value in _leaves(changed):
            if isinstance(value, str) and value in marks:
                goes_as = _name_at_pendo(event.type, name, changed)
                if goes_as is not None:
                    found.setdefault(marks[value], []).append(goes_as)
        return found


def _part_of(type_: EventType) -> str:
    if type_ in TRAIT_TYPES:
        return "traits"
    return "properties" if type_ in EVENT_TYPES else ""


def _leaves(part: Fields, prefix: str = "", level: int = 1) -> Iterator[tuple[str, Any]]:
    for name, value in part.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and level < MAX_LEVELS:
            yield from _leaves(value, f"{path}.", level + 1)
        else:
            yield path, value


def _marked(part: Fields, marks: dict[str, str], prefix: str = "", level: int = 1) -> Fields:
    """The part with each leaf's mark in its place."""
    marked: Fields = {}
    for name, value in part.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and level < MAX_LEVELS:
            marked[name] = _marked(value, marks, f"{path}.", level + 1)
        else:
            marked[name] = marks[path]
    return marked


def _name_at_pendo(type_: EventType, name: str, part: Fields) -> str | None:
    """None for what Pendo ignores: metadata inside objects."""
    if type_ in EVENT_TYPES:
        return name
    return metadata_name(name) if name in part else None
