"""When an event happened, as Segment writes it.

An event's fields go in, milliseconds since the epoch come out, or None. Whatever stands there, nothing raises.
"""

from datetime import UTC, datetime
from typing import Any, Final

_KEYS: Final = ("timestamp", "originalTimestamp", "receivedAt")
"""Segment's own, corrected for the device's clock; the device's; the server's, for what carries no other."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S: Final = 24 * 3600
MIN_NUMBER_MS: Final = 10**11
"""A smaller number may be seconds: this one is March 1973 as milliseconds, the year 5138 as seconds."""
MAX_NUMBER_MS: Final = 253_402_300_800_000
"""The year 10000, which no text can say either."""


def timestamp_ms(fields: dict[str, Any]) -> int | None:
    """Milliseconds since the epoch of the first time that can be read; a time without a zone is UTC."""
    for key in _KEYS:
        value = fields.get(key)
        if isinstance(value, str):
            if (at_ms := _parse(value)) is not None:
                return at_ms
        elif type(value) is int and MIN_NUMBER_MS <= value < MAX_NUMBER_MS:
            return value
    return None


def _parse(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * _DAY_S + since.seconds) * 1000 + since.microseconds // 1000
