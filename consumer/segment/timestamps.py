"""When an event happened, as Segment writes it.

An event's fields go in, milliseconds since the epoch come out, or None. Whatever stands there, nothing raises.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

_KEYS: Final = ("timestamp", "originalTimestamp", "receivedAt")
"""Segment's own, corrected for the device's clock; the device's; the server's, for what carries no other."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def timestamp_ms(fields: dict[str, Any]) -> int | None:
    """Milliseconds since the epoch of the first time that can be read; a time without a zone is UTC."""
    for key in _KEYS:
        text = fields.get(key)
        if isinstance(text, str) and (at_ms := _parse(text)) is not None:
            return at_ms
    return None


def _parse(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
