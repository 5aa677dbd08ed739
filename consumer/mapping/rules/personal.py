"""Personal data: names below which nothing goes out as it came, either nothing at all or a hash.

Paths come in, a function from a part of an event to the part without those data goes out. Names are compared
without regard to case, because a name that was written otherwise would leak.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, Final

from consumer.mapping.encode import draft
from consumer.mapping.rules.matching import REMEMBERED_NAMES, MatchText, match_text
from consumer.mapping.rules.parts import Change, Fields, chain

REMOVED: Final = object()
"""What stands in a field's place when it is to go."""

Leaf = Callable[[Any], Any]
Entry = tuple[tuple[str, ...], Leaf]
"""The steps of a path, and what becomes of the value there."""


def removed(_: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Leave the value out."""
    return REMOVED


def hashed(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """SHA-256 in hexadecimal of a text, or of a number as JSON writes it.

    Null, blank text and booleans tell nothing of a person and stay. Of a list each value is hashed; an object is left
    out.
    """
    if isinstance(value, str):
        return sha256(value.encode("utf-8", "surrogatepass")).hexdigest() if value.strip() else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return sha256(draft(value)).hexdigest()
    if isinstance(value, list):
        return [hashed(each) for each in value if not isinstance(each, dict | list)]
    return REMOVED


def entries_of(paths: Iterable[str], leaf: Leaf) -> list[Entry]:
    """The entries of paths like `email`, `address.street` or `*phone*`; a path also means a name with dots in it."""
    found: list[Entry] = []
    for path in paths:
        folded = path.casefold()
        found.append(((folded,), leaf))
        if "." in folded:
            found.append((tuple(folded.split(".")), leaf))
    return found


def change_personal(entries: Sequence[Entry]) -> Change:
    """Build what edits a part; where several entries match the first counts."""
    here = _leaves(entries)
    firsts = dict.fromkeys(steps[0] for steps, _ in entries if len(steps) > 1)
    below = [(match_text([first]), change_personal(_rest(entries, first))) for first in firsts]

    @lru_cache(REMEMBERED_NAMES)
    def leaf_for(name: str) -> Leaf | None:
        return _leaf_for(name.casefold(), here, below)

    def edit(part: Fields) -> Fields:
        edited = part
        for name, value in part.items():
            leaf = leaf_for(name)
            new = value if leaf is None else leaf(value)
            if new is value:
                continue
            edited = dict(part) if edited is part else edited
            if new is REMOVED:
                del edited[name]
            else:
                edited[name] = new
        return edited

    return edit


def _leaves(entries: Sequence[Entry]) -> list[tuple[MatchText, Leaf]]:
    leaves = dict.fromkeys(leaf for steps, leaf in entries if len(steps) == 1)
    return [
        (match_text(steps[0] for steps, own in entries if own is leaf and len(steps) == 1), leaf) for leaf in leaves
    ]


def _rest(entries: Sequence[Entry], first: str) -> list[Entry]:
    return [(steps[1:], leaf) for steps, leaf in entries if len(steps) > 1 and steps[0] == first]


def _leaf_for(
    folded: str, here: Sequence[tuple[MatchText, Leaf]], below: Sequence[tuple[MatchText, Change]]
) -> Leaf | None:
    """What becomes of the value at a name; None when nothing does."""
    for matches, leaf in here:
        if matches(folded):
            return leaf
    changes = [change for matches, change in below if matches(folded)]
    return partial(_inside, changes) if changes else None


def _inside(changes: Sequence[Change], value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Edit an object, or the objects of a list."""
    if isinstance(value, dict):
        return chain(changes)(value)
    if not isinstance(value, list):
        return value
    edited = [chain(changes)(each) if isinstance(each, dict) else each for each in value]
    return value if all(new is old for new, old in zip(edited, value, strict=True)) else edited
