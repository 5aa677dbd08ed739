"""Where an answer is not as it was expected: JSON against JSON.

Two values come in, the places that differ go out. Objects may have more keys than expected, lists are of equal length.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

ABSENT: Final = object()


class Difference(NamedTuple):
    """One place.

    Attributes:
        where: Its path, from `$`.
        expected: JSON, or words in brackets.
        actual: Likewise.
    """

    where: str
    expected: str
    actual: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.where}: expected {self.expected}, got {self.actual}"


def differences(expected: Any, actual: Any, where: str = "$") -> Iterator[Difference]:  # noqa: ANN401 - JSON
    """Name each place where the actual is not as expected."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            yield from differences(value, actual.get(key, ABSENT), f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, pair in enumerate(zip(expected, actual, strict=True)):
            yield from differences(*pair, f"{where}[{index}]")
    elif not _equal(expected, actual):
        yield Difference(where, shown(expected), shown(actual))


def presences(paths: list[str], actual: Any) -> Iterator[Difference]:  # noqa: ANN401 - JSON
    """Name each dotted path that should not be there, but is; all before its last name must be there."""
    for path in paths:
        *steps, last = path.split(".")
        holder = actual
        for step in steps:
            holder = _step(holder, step)
        if not isinstance(holder, dict):
            yield Difference(f"$.{path}", "(absent, in an object)", "(no object to look into)")
        elif last in holder:
            yield Difference(f"$.{path}", "(absent)", shown(holder[last]))


def shown(value: Any) -> str:  # noqa: ANN401 - JSON
    """JSON text of a value."""
    if value is ABSENT:
        return "(absent)"
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return "(nested too deeply to be shown)"


def _step(holder: Any, step: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(holder, list):
        return holder[int(step)] if step.isdecimal() and int(step) < len(holder) else ABSENT
    return holder.get(step, ABSENT) if isinstance(holder, dict) else ABSENT


def _equal(expected: Any, actual: Any) -> bool:  # noqa: ANN401 - JSON
    """Equal as JSON is: `1` is `1.0`, but not `true`."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual)
