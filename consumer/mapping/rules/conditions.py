"""Which events a rule is about: by type, by name, by what stands in context, traits and properties.

A condition's parts come in, a predicate on an event's fields as they came goes out, or None when events of the type
cannot be meant. All that a condition names must hold; in a list one is enough.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from consumer.mapping.rules.matching import Match, MatchText, match_text, match_value
from consumer.mapping.rules.parts import EVENT_TYPES, PARTS, Fields, find_in, read_part
from consumer.outcomes import EventType

Holds = Callable[[Fields], bool]

_NAME_KEYS: Final = {EventType.TRACK: "event", EventType.PAGE: "name", EventType.SCREEN: "name"}


def concerns(type_: EventType, types: Iterable[EventType], events: Iterable[str]) -> bool:
    """Whether a condition can be about events of a type; one that lists names is about types that have a name."""
    types = tuple(types)
    return (type_ in types if types else True) and (type_ in EVENT_TYPES if tuple(events) else True)


def holds(
    type_: EventType,
    *,
    types: Iterable[EventType] = (),
    events: Iterable[str] = (),
    values: Mapping[str, Mapping[str, Iterable[Any]]],
) -> Holds | None:
    """Build the predicate of a condition for events of one type.

    Args:
        type_: Of the events that it is asked about.
        types: That are meant; empty for all.
        events: Names and globs; empty for all.
        values: Of `context`, `traits` and `properties`: by path, what may stand there.
    """
    if not concerns(type_, types, events):
        return None
    tests: list[Holds] = []
    if names := tuple(events):
        tests.append(_named(_NAME_KEYS[type_], match_text(names)))
    for part in PARTS:
        for path, wanted in values.get(part, {}).items():
            tests.append(_valued(part, path, type_, match_value(wanted)))
    return tests[0] if len(tests) == 1 else _all(tests)


def any_of(tests: Sequence[Holds]) -> Holds:
    """Build the predicate that holds when one of several does."""

    def test_any(fields: Fields) -> bool:
        for test in tests:  # noqa: SIM110  # a generator costs as much again as the tests
            if test(fields):
                return True
        return False

    return tests[0] if len(tests) == 1 else test_any


def _all(tests: Sequence[Holds]) -> Holds:
    def test_all(fields: Fields) -> bool:
        for test in tests:  # noqa: SIM110  # likewise
            if not test(fields):
                return False
        return True

    return test_all


def _named(key: str, matches: MatchText) -> Holds:
    def test(fields: Fields) -> bool:
        name = fields.get(key)
        return isinstance(name, str) and matches(name)

    return test


def _valued(part: str, path: str, type_: EventType, matches: Match) -> Holds:
    if part == "traits" or "." in path:
        read, find = read_part(part, type_), find_in(path)
        return lambda fields: matches(find(read(fields)))

    def test(fields: Fields) -> bool:
        holder = fields.get(part)
        return matches(holder.get(path) if isinstance(holder, dict) else None)

    return test
