"""Values of one type: text, number, integer, boolean or date.

Names with the type that they are to have come in, a function from a part of an event to the part goes out. A value that
cannot be of its type stays as it came: nothing is lost, and Pendo shows it for what it is.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from consumer.mapping.rules.parts import Change, Fields

Kind = Literal["text", "number", "integer", "boolean", "date"]
"""What a value can be made."""

_NUMBER: Final = re.compile(r"[+-]?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
INTEGER_LIMIT: Final = 2**63
"""JSON that others read has no larger ones."""
MAX_SECONDS: Final = 10**11
"""A time as a number below it is in seconds (the year 5138), at or above it in milliseconds (1973)."""
_WORDS: Final[Mapping[Any, bool]] = {
    **dict.fromkeys(("true", "yes", "on", "1", 1), True),
    **dict.fromkeys(("false", "no", "off", "0", 0), False),
}


def change_kinds(kinds: Mapping[str, Kind]) -> Change:
    """Build what gives values their types."""
    convert = [(name, _CONVERTERS[kind]) for name, kind in kinds.items()]

    def apply(part: Fields) -> Fields:
        changed = part
        for name, converter in convert:
            if name in part:
                value = part[name]
                new = converter(value)
                if new is not value:
                    changed = dict(part) if changed is part else changed
                    changed[name] = new
        return changed

    return apply


def to_text(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Numbers and booleans as JSON writes them."""
    return orjson.dumps(value).decode() if isinstance(value, bool | int | float) else value


def to_number(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Text that is a number, whole if it is written so."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(text := value.strip()):
        return value
    if _INTEGER.fullmatch(text):
        return _within(int(text), value)
    number = float(text)
    return number if math.isfinite(number) else value


def to_integer(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Text that is a number, and a number without a fraction."""
    number = to_number(value)
    if isinstance(number, float) and number.is_integer():
        return _within(int(number), value)
    return number if isinstance(number, int) else value


def to_boolean(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """The words true, yes, on and 1, false, no, off and 0, and the numbers 1 and 0."""
    key = value.strip().casefold() if isinstance(value, str) else value
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        return value
    return _WORDS.get(key, value)


def to_date(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """ISO 8601 in UTC of seconds or milliseconds since 1970; text that is a date already stays."""
    number = to_number(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return value
    seconds = number if abs(number) < MAX_SECONDS else number / 1000
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return value
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _within(number: int, value: Any) -> Any:  # noqa: ANN401 - the number or the value
    return number if -INTEGER_LIMIT <= number < INTEGER_LIMIT else value


_CONVERTERS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "text": to_text,
    "number": to_number,
    "integer": to_integer,
    "boolean": to_boolean,
    "date": to_date,
}
