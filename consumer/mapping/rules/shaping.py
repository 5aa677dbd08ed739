"""Which traits or properties go out, and under which names: flatten, drop, rename, keep, constants.

Lists and tables come in, functions from a part of an event to the part go out. Of names that fall together the last
wins, as it does at Pendo.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from consumer.mapping.rules.matching import match_text
from consumer.mapping.rules.parts import Change, Fields

MAX_LEVELS: Final = 8
"""What lies deeper stays an object, which Pendo ignores; names of so many levels are long enough."""
JOINT: Final = "_"
"""Pendo's names are letters, digits and this."""


def flatten(part: Fields) -> Fields:
    """Give the values inside objects names of their own: `address.city` becomes `address_city`.

    A name that stands there already keeps its value. Lists stay as they are.
    """
    for value in part.values():
        if isinstance(value, dict):
            return _flat(part)
    return part


def _flat(part: Fields) -> Fields:
    flat: Fields = {}
    for name, value in part.items():
        if isinstance(value, dict):
            _flatten_into(flat, part, name, value)
        else:
            flat[name] = value
    return flat


def _flatten_into(flat: Fields, own: Fields, prefix: str, inner: Fields, level: int = 1) -> None:
    for name, value in inner.items():
        joined = f"{prefix}{JOINT}{name}"
        if isinstance(value, dict) and level < MAX_LEVELS:
            _flatten_into(flat, own, joined, value, level + 1)
        elif joined not in own or isinstance(own[joined], dict):
            flat[joined] = value


def drop(names: Iterable[str]) -> Change:
    """Build what leaves out names and globs."""
    matches = match_text(names)

    def apply(part: Fields) -> Fields:
        kept = {name: value for name, value in part.items() if not matches(name)}
        return part if len(kept) == len(part) else kept

    return apply


def keep(names: Iterable[str]) -> Change:
    """Build what leaves out all but names and globs."""
    matches = match_text(names)

    def apply(part: Fields) -> Fields:
        kept = {name: value for name, value in part.items() if matches(name)}
        return part if len(kept) == len(part) else kept

    return apply


def rename(names: Mapping[str, str]) -> Change:
    """Build what gives other names."""
    new_name = names.get

    def apply(part: Fields) -> Fields:
        if names.keys().isdisjoint(part):
            return part
        return {new_name(name, name): value for name, value in part.items()}

    return apply


def constants(values: Mapping[str, Any]) -> Change:
    """Build what sets fields, whatever the event says."""

    def apply(part: Fields) -> Fields:
        return {**part, **values}

    return apply
