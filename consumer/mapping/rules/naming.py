"""Names of events: another name for a track, templates for pages and screens.

Names and templates come in, functions from fields to fields go out. A page or screen that is named here becomes a track
event here; one that is not keeps its type, and gets Segment's own name later.
"""

from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from typing import Any, Final

from consumer.mapping.rules.parts import Change, Fields, find_in
from consumer.mapping.segmentio import as_track

TextOf = Callable[[Fields], Any]

_OWN: Final = ("name", "category")
_PROPERTY: Final = "properties."


class Template:
    """A name with places in it, like `{category}: {name}` or `Page {properties.path}`.

    Raises:
        ValueError: It is no template.
    """

    def __init__(self, text: str) -> None:
        self._parts: list[str | TextOf] = []
        for literal, place, form, conversion in Formatter().parse(text):
            self._parts.append(literal)
            if place is not None:
                if form or conversion:
                    raise ValueError("a place holds a name alone, like {name}")
                self._parts.append(_read_place(place))

    def fill(self, fields: Fields) -> str | None:
        """The name, or None when a place has no text to hold."""
        filled: list[str] = []
        for part in self._parts:
            if isinstance(part, str):
                filled.append(part)
            elif isinstance(text := part(fields), str) and text.strip():
                filled.append(text)
            else:
                return None
        return "".join(filled)


def _read_place(place: str) -> TextOf:
    if place in _OWN:
        return lambda fields: fields.get(place)
    if place.startswith(_PROPERTY) and place != _PROPERTY:
        find = find_in(place.removeprefix(_PROPERTY))
        return lambda fields: find(fields.get("properties"))
    raise ValueError(f"a place is {{name}}, {{category}} or {{properties.NAME}}, not {{{place}}}")


def change_page_name(templates: Iterable[str]) -> Change:
    """Build what names a page or screen by the first template of which every place has text."""
    compiled = [Template(text) for text in templates]

    def apply(fields: Fields) -> Fields:
        if not _named_rightly(fields):
            return fields
        for template in compiled:
            name = template.fill(fields)
            if name is not None:
                return as_track(fields, name)
        return fields

    return apply


def change_track_name(names: Mapping[str, str]) -> Change:
    """Build what gives tracks other names."""

    def apply(fields: Fields) -> Fields:
        name = fields.get("event")
        new = names.get(name) if isinstance(name, str) else None
        return fields if new is None or new == name else {**fields, "event": new}

    return apply


def set_track_name(name: str) -> Change:
    """Build what gives every track one name; a track whose own is no name stays wrong."""

    def apply(fields: Fields) -> Fields:
        old = fields.get("event")
        return {**fields, "event": name} if isinstance(old, str) and old.strip() and old != name else fields

    return apply


def set_page_name(name: str) -> Change:
    """Build what makes every page or screen a track event of one name."""
    return lambda fields: as_track(fields, name) if _named_rightly(fields) else fields


def _named_rightly(fields: Fields) -> bool:
    """Whether name and category are text or absent; what they are otherwise is judged later, as without rules."""
    return isinstance(fields.get("name"), str | None) and isinstance(fields.get("category"), str | None)
