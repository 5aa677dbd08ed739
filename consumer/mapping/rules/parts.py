"""Where an event keeps its traits, properties and context, and how they are read and replaced.

In come an event's fields, out come a part of them, or fields with the part replaced. What is no object is left alone:
whether it may stand there is not judged here.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from consumer.outcomes import EventType

Fields = dict[str, Any]
Change = Callable[[Fields], Fields]
"""Gives the same object when nothing changes, else a changed copy."""
Read = Callable[[Any], Any]

PARTS: Final = ("traits", "properties", "context")
TRAIT_TYPES: Final = (EventType.IDENTIFY, EventType.GROUP)
"""Types with traits of their own; on the others traits are those of the context."""
EVENT_TYPES: Final = (EventType.TRACK, EventType.PAGE, EventType.SCREEN)
"""Types that become track events."""


def find_in(path: str) -> Read:
    """Build what reads a name, or names joined by dots, out of a part; None when it is not there.

    A name that itself holds dots goes first.
    """
    steps = path.split(".")
    if len(steps) == 1:
        return lambda part: part.get(path) if isinstance(part, dict) else None

    def find(part: Any) -> Any:  # noqa: ANN401 - JSON of any shape
        if not isinstance(part, dict):
            return None
        if path in part:
            return part[path]
        for step in steps:
            if not isinstance(part, dict):
                return None
            part = part.get(step)
        return part

    return find


def read_part(part: str, type_: EventType) -> Read:
    """Build what reads a part: `traits`, `properties` or `context`."""
    if part != "traits":
        return lambda fields: fields.get(part)
    if type_ is EventType.GROUP:
        return lambda fields: fields.get("traits")
    if type_ is EventType.IDENTIFY:
        return lambda fields: fields.get("traits") or _context_traits(fields)
    return _context_traits


def read_path(path: str, type_: EventType) -> Read:
    """Build what reads a path that begins with a part, like `traits.company.id`."""
    part, _, rest = path.partition(".")
    read, find = read_part(part, type_), find_in(rest)
    return lambda fields: find(read(fields))


def _context_traits(fields: Fields) -> Any:  # noqa: ANN401 - JSON of any shape
    context = fields.get("context")
    return context.get("traits") if isinstance(context, dict) else None


def chain(changes: Sequence[Change]) -> Change:
    """One function of several."""
    if len(changes) == 1:
        return changes[0]

    def apply(fields: Fields) -> Fields:
        for change in changes:
            fields = change(fields)
        return fields

    return apply


def change_key(key: str, change: Change) -> Change:
    """Build what changes the object below a key, when there is one."""

    def apply(fields: Fields) -> Fields:
        part = fields.get(key)
        if not isinstance(part, dict):
            return fields
        changed = change(part)
        return fields if changed is part else {**fields, key: changed}

    return apply


def change_part(type_: EventType, change: Change) -> Change:
    """Build what changes the traits or properties that a type sends; what is absent or null is an empty object."""
    if type_ not in TRAIT_TYPES:
        return _change_or_create("properties", change)
    on_traits = _change_or_create("traits", change)
    if type_ is EventType.GROUP:
        return on_traits
    on_context = change_key("context", change_key("traits", change))
    # An identify without traits takes those of its context, which then stand there and are changed there.
    return lambda fields: on_context(fields) if _takes_context_traits(fields) else on_traits(fields)


def _takes_context_traits(fields: Fields) -> bool:
    if fields.get("traits") not in (None, {}):
        return False
    found = _context_traits(fields)
    return isinstance(found, dict) and bool(found)


def _change_or_create(key: str, change: Change) -> Change:
    def apply(fields: Fields) -> Fields:
        part = fields.get(key)
        if part is None:
            created = change({})
            return {**fields, key: created} if created else fields
        if not isinstance(part, dict):
            return fields
        changed = change(part)
        return fields if changed is part else {**fields, key: changed}

    return apply
