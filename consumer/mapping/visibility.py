"""What Pendo will show of what it takes: warnings, each with the line of Pendo's documentation that it comes from.

Parts of an event come in as they are to go out, warnings go out. Nothing here changes an event or ends it, nothing
raises, and nothing is formatted unless there is something to warn of: it is asked for every event.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from consumer.errors import RejectedError
from consumer.mapping.encode import draft
from consumer.mapping.ids import flaw
from consumer.outcomes import WarningKind
from consumer.pendo.requests import PendoWarning
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms

RULES: Final[Mapping[WarningKind, str]] = {
    WarningKind.OLD: "Track events older than 7 days are not processed, though they are answered with 200.",
    WarningKind.LARGE: 'Properties over 512 bytes of JSON are shown as "too large".',
    WarningKind.LONG_NAME: "Property names are letters, digits and _, at most 32 characters, do not begin with a "
    "digit, and do not both begin and end with __; others are accepted but never displayed.",
    WarningKind.NO_ACCOUNT: "The account of a track event is highly recommended: accountId, or in Segment's events "
    "properties.groupId.",
    WarningKind.IGNORED_VALUE: "Metadata values are text, booleans, numbers, ISO 8601 dates and lists; objects are "
    "ignored, also inside lists: flatten them.",
    WarningKind.NAME_COLLISION: "Metadata names are lowercased, _ is put before a digit, and duplicates are "
    "overwritten.",
}
"""By kind, what Pendo's documentation says: of the Track Events API the first four, of metadata the others."""

MAX_AGE_MS: Final = 7 * 24 * 3600 * 1000
MAX_PROPERTIES_BYTES: Final = 512
MAX_NAME_CHARS: Final = 32
MAX_KNOWN_NAMES: Final = 10_000
"""Pendo's own limit of property names; where there are more, somebody makes them up, and remembering gains nothing."""
MAX_KNOWN_SHAPES: Final = 100
"""Combinations of traits that are remembered: most events of a source have the same."""
MAX_SHAPE_NAMES: Final = 50
"""Traits in one of them: more than most events have."""
MAX_LISTED: Final = 5
MAX_LISTED_CHARS: Final = 64
"""Of names in a warning: it is kept as long as its request, and an event may make up thousands."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPOUND: Final = frozenset({dict, list})
_DAY_S: Final = 24 * 3600
_SURELY_NEW_DAYS: Final = 5
"""With a day's end and the farthest zone still less than 7: what is written with such a date needs no closer look."""

Warnings = tuple[PendoWarning, ...]
NONE: Final[Warnings] = ()
_OLD: Final = (PendoWarning(WarningKind.OLD, "it happened more than 7 days ago"),)
_NO_ACCOUNT: Final = (
    PendoWarning(WarningKind.NO_ACCOUNT, "neither properties.groupId nor context.groupId names an account"),
)


def message(warning: PendoWarning) -> str:
    """What is wrong, and the line of the documentation."""
    return f"{warning.about}. Pendo: {RULES[warning.kind]}"


def is_displayed(name: str) -> bool:
    """Whether Pendo displays a property of this name."""
    dunder = name.startswith("__") and name.endswith("__")
    return len(name) <= MAX_NAME_CHARS and not dunder and _NAME.fullmatch(name) is not None


def metadata_name(name: str) -> str:
    """The name under which Pendo keeps a field of metadata."""
    lowered = name.lower()
    return f"_{lowered}" if lowered[:1].isdigit() else lowered


def shown_value(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """What Pendo keeps of a value of metadata: lists without the objects in them; None when nothing is left."""
    if type(value) not in _COMPOUND or not _holds_object(value):
        return value
    return None if type(value) is dict else _without_objects(value) or None


class Shape(NamedTuple):
    """What is known of a combination of traits by their names alone.

    Attributes:
        names: Under which Pendo keeps them, in the same order; two may be one.
        warnings: Of names that fall together.
    """

    names: tuple[str, ...]
    warnings: Warnings


class Visibility:
    """Says what Pendo will not show. It remembers names that it has looked at, as many as it is allowed to.

    Args:
        clock: Seconds since the epoch.
    """

    __slots__ = ("_clock", "_displayed", "_next_day_s", "_shapes", "_surely_new")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._displayed: set[str] = set()
        self._shapes: dict[tuple[str, ...], Shape] = {}
        # A date as text, and until when it holds.
        self._surely_new = ""
        self._next_day_s = 0.0

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self._clock() * 1000)

    def of_track_event(
        self, fields: dict[str, Any], properties: dict[str, Any] | None, size_bytes: int, account: str | None
    ) -> Warnings:
        """Of a track, page or screen, whatever the route, but for its age.

        Args:
            fields: The event's, where its account is looked for.
            properties: Those that go out.
            size_bytes: Of their JSON.
            account: What Pendo will take as its account.
        """
        found = NONE
        if size_bytes > MAX_PROPERTIES_BYTES:
            found += (PendoWarning(WarningKind.LARGE, f"properties are {size_bytes} bytes"),)
        if properties and not self._displayed.issuperset(properties):
            found += self._look_at(properties)
        return found if account is not None else found + _without_account(fields)

    def of_age(self, at_ms: int) -> Warnings:
        """Of a track event that goes out with this time."""
        return _OLD if at_ms < self._clock() * 1000 - MAX_AGE_MS else NONE

    def of_event_age(self, event: Event) -> Warnings:
        """Of a track event that goes out with the times that it came with."""
        text = event.fields.get("timestamp")
        now_s = self._clock()
        if now_s >= self._next_day_s:
            self._begin_day(now_s)
        if isinstance(text, str) and self._surely_new < text < "3":
            return NONE
        at_ms = timestamp_ms(event.fields)
        return NONE if at_ms is None else self.of_age(at_ms)

    def of_metadata(self, names: tuple[str, ...], traits: Mapping[str, Any]) -> Warnings:
        """Of an identify or a group whose traits become metadata.

        Args:
            names: Of the traits that go out, in their order.
            traits: All of them, those that Pendo ignores included.
        """
        found = self.shape_of(names).warnings
        if _COMPOUND.isdisjoint(map(type, traits.values())):
            return found
        ignored = [name for name, value in traits.items() if type(value) in _COMPOUND and _holds_object(value)]
        return (*found, PendoWarning(WarningKind.IGNORED_VALUE, _list("traits", ignored))) if ignored else found

    def shape_of(self, names: tuple[str, ...]) -> Shape:
        """What is known of traits of these names."""
        return self._shapes.get(names) or self._remember(names)

    def _begin_day(self, now_s: float) -> None:
        self._next_day_s = now_s - now_s % _DAY_S + _DAY_S
        self._surely_new = datetime.fromtimestamp(now_s - _SURELY_NEW_DAYS * _DAY_S, UTC).date().isoformat()

    def _look_at(self, properties: dict[str, Any]) -> Warnings:
        hidden = [name for name in properties if name not in self._displayed and not is_displayed(name)]
        self._displayed.update(set(properties).difference(hidden))
        if len(self._displayed) > MAX_KNOWN_NAMES:
            self._displayed.clear()
        return (PendoWarning(WarningKind.LONG_NAME, _list("properties", hidden)),) if hidden else NONE

    def _remember(self, names: tuple[str, ...]) -> Shape:
        kept: dict[str, list[str]] = {}
        for name in names:
            kept.setdefault(metadata_name(name), []).append(name)
        alike = [" = ".join(each) for each in kept.values() if len(each) > 1]
        warnings = (PendoWarning(WarningKind.NAME_COLLISION, _list("traits", alike)),) if alike else NONE
        kept_names = tuple(map(metadata_name, names))
        found = Shape(names if kept_names == names else kept_names, warnings)
        if len(self._shapes) == MAX_KNOWN_SHAPES:
            self._shapes.clear()
        if len(names) <= MAX_SHAPE_NAMES:
            self._shapes[names] = found
        return found


def size_bytes_of(event: Event, properties: dict[str, Any] | None) -> int:
    """Bytes of the properties' JSON, or 0 where they cannot be too many."""
    raw = event.raw
    if not properties or (raw is not None and len(raw) <= MAX_PROPERTIES_BYTES):
        return 0
    try:
        return len(orjson.dumps(properties))
    except orjson.JSONEncodeError:
        return _size_bytes_of_deep(properties)


def _size_bytes_of_deep(properties: dict[str, Any]) -> int:
    try:
        return len(draft(properties))
    except RejectedError:  # nested too deeply to be written: the brackets alone are more
        return MAX_PROPERTIES_BYTES + 1


def _holds_object(value: Any) -> bool:  # noqa: ANN401 - JSON of any shape
    """Whether it is an object or a list with one in it, in whatever depth: lists are followed without recursion."""
    left = [value]
    while left:
        one = left.pop()
        if type(one) is dict:
            return True
        if type(one) is list and not _COMPOUND.isdisjoint(map(type, one)):
            left += one
    return False


def _without_objects(value: list[Any]) -> list[Any]:
    """A copy of a list, and of the lists in it, without the objects."""
    copied: list[Any] = []
    left = [(value, copied)]
    while left:
        items, kept = left.pop()
        for item in items:
            if type(item) is list:
                kept.append([])
                left.append((item, kept[-1]))
            elif type(item) is not dict:
                kept.append(item)
    return copied


def _without_account(fields: dict[str, Any]) -> Warnings:
    context, properties = fields.get("context"), fields.get("properties")
    for where, place in (("properties", properties), ("context", context)):
        group_id = place.get("groupId") if isinstance(place, dict) else None
        if group_id is not None:
            return (PendoWarning(WarningKind.NO_ACCOUNT, f"{where}.groupId {flaw(group_id)}"),)
    return _NO_ACCOUNT


def _list(what: str, names: list[str]) -> str:
    listed = ", ".join(name[:MAX_LISTED_CHARS] for name in names[:MAX_LISTED])
    return f"{what}: {listed}" + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")
