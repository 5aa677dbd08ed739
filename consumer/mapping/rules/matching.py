"""Whether a text or another plain value is one of those that a rule lists: equality and globs.

Lists come in, predicates go out. In a glob `*` stands for any text and `?` for one sign; nothing else is special.
"""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from typing import Any, Final

REMEMBERED_NAMES: Final = 512
"""Events come with the same names again and again: to remember what was found costs a fifth of a glob."""

MatchText = Callable[[str], bool]
Match = Callable[[Any], bool]


def is_glob(pattern: str) -> bool:
    """Whether it stands for more than itself."""
    return "*" in pattern or "?" in pattern


def match_text(patterns: Iterable[str]) -> MatchText:
    """Build the predicate of a list of names and globs."""
    patterns = tuple(patterns)
    exact = frozenset(pattern for pattern in patterns if not is_glob(pattern))
    # `fnmatch` also knows sets in brackets; event names may begin with one.
    globs = [translate(pattern.replace("[", "[[]")) for pattern in patterns if is_glob(pattern)]
    if not globs:
        return exact.__contains__
    matches = re.compile("|".join(globs)).match

    @lru_cache(REMEMBERED_NAMES)
    def match(text: str) -> bool:
        return text in exact or matches(text) is not None

    return match


def match_value(values: Iterable[Any]) -> Match:
    """Build the predicate of a list of plain values: text and globs, numbers, booleans, null.

    Types are kept apart: `true`, `1` and `"1"` are three values. Null is also what is absent.
    """
    values = tuple(values)
    texts = match_text(value for value in values if isinstance(value, str))
    booleans = frozenset(value for value in values if isinstance(value, bool))
    numbers = frozenset(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    with_null = None in values

    def matches(value: Any) -> bool:  # noqa: ANN401 - JSON of any shape
        if isinstance(value, str):
            return texts(value)
        if value is None:
            return with_null
        if isinstance(value, bool):
            return value in booleans
        return isinstance(value, int | float) and value in numbers

    return matches
