"""The trace that a record belongs to, by its W3C headers `traceparent` and `tracestate`.

Headers go in; a sampled parent comes out, or none. Source: https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_FORM: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
"""Version, trace, parent, flags, and what later versions may add."""
_FIRST_VERSION: Final = b"00"
_NO_VERSION: Final = b"ff"
_SAMPLED: Final = 0x01
_MEMBER: Final = re.compile(
    r"([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=([ -+\--<>-~]{0,255}[!-+\--<>-~])"
)
"""One of `tracestate`: its key, with or without a tenant, and its value."""
MAX_TRACESTATE_BYTES: Final = 512
"""As much as the standard asks everybody to keep; a longer one is left out."""
MAX_MEMBERS: Final = 32
"""The standard's own bound."""


class Parent(NamedTuple):
    """The span that an event's span belongs below.

    Attributes:
        trace_id: Of the whole trace.
        span_id: Of the parent.
        tracestate: Keys and values, in order; nothing when one of them is not as the standard has it.
    """

    trace_id: int
    span_id: int
    tracestate: tuple[tuple[str, str], ...]


def sampled_parent(headers: Iterable[tuple[str, bytes | None]]) -> Parent | None:
    """The parent that a record's headers name; None when they name none, or one that is not sampled.

    Of several headers of a name the last counts, as everywhere in Kafka.
    """
    traceparent: bytes | None = None
    tracestate: bytes | None = None
    for name, value in headers:
        match name.lower():
            case "traceparent":
                traceparent = value
            case "tracestate":
                tracestate = value
            case _:
                pass
    form = _FORM.fullmatch(traceparent or b"")
    if form is None:
        return None
    version, trace, span, flags, more = form.groups()
    if version == _NO_VERSION or (version == _FIRST_VERSION and more is not None):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not (trace_id and span_id and int(flags, 16) & _SAMPLED):
        return None
    return Parent(trace_id, span_id, _members(tracestate or b""))


def _members(tracestate: bytes) -> tuple[tuple[str, str], ...]:
    if len(tracestate) > MAX_TRACESTATE_BYTES or not tracestate.isascii():
        return ()
    members = [member for part in tracestate.decode().split(",") if (member := part.strip(" \t"))]
    found = {form[1]: form[2] for member in members if (form := _MEMBER.fullmatch(member))}
    return tuple(found.items()) if len(found) == len(members) <= MAX_MEMBERS else ()
