"""What Pendo's Metadata API takes: of an identify a visitor's fields, of a group an account's.

In comes an event, out comes the element that says it, or the event's end when it says nothing. It must not know how
elements become calls. Source of names and values: Pendo's documentation of metadata.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from consumer.errors import RejectedError
from consumer.mapping import shape
from consumer.mapping.encode import encode
from consumer.mapping.result import Ended, Mapped
from consumer.mapping.segmentio import identity_of
from consumer.mapping.state import hashes_of
from consumer.mapping.visibility import Visibility, shown_value
from consumer.mapping.visitor import account_of, sender_of
from consumer.outcomes import Outcome, Reason
from consumer.pendo.endpoints import Kind
from consumer.pendo.requests import Request, Route, State
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms

NO_TRAITS: Final = Ended(Outcome.SKIPPED, Reason.NO_TRAITS)

Values = dict[str, Any]

_ID_KEYS: Final[Mapping[Kind, str]] = {"visitor": "visitorId", "account": "accountId"}
_ODD: Final = frozenset({dict, list, type(None)})
"""Types of values that do not go out, or not all of them: objects, which Pendo ignores, and null, of which nobody says
what it does."""


def map_visitor(event: Event, visitor: str, *, visibility: Visibility, with_values: bool = False) -> Mapped:
    """Map an identify to the Metadata API.

    Args:
        event: As it came.
        visitor: The visitor's id as text.
        visibility: Says what Pendo will not show.
        with_values: Whether the traits' values are to be compared with what was delivered.

    Raises:
        RejectedError: Its traits are no object.
    """
    traits = shape.traits(event.fields) or shape.context_traits(event.fields)
    return _map(event, "visitor", visitor, traits, visibility, with_values=with_values)


def map_account(event: Event, *, visibility: Visibility, with_values: bool = False) -> Mapped:
    """Map a group to the Metadata API; it needs no visitor, and links none.

    Raises:
        RejectedError: It has no account id that Pendo takes, or its traits are no object.
    """
    account = account_of(event.fields)
    return _map(event, "account", account, shape.traits(event.fields), visibility, with_values=with_values)


def _map(
    event: Event, kind: Kind, id_: str, traits: Values | None, visibility: Visibility, *, with_values: bool
) -> Mapped:
    if not traits:
        return NO_TRAITS
    came = traits
    if not _ODD.isdisjoint(map(type, traits.values())):
        traits = {name: shown for name, value in traits.items() if (shown := shown_value(value)) is not None}
        if not traits:
            return NO_TRAITS
    names = tuple(traits)
    shape_ = visibility.shape_of(names)
    warnings = shape_.warnings if traits is came else visibility.of_metadata(names, came)
    # One tuple of names for all events that have the same, wherever it can be.
    values, fields = traits, shape_.names
    if fields != names:
        values = dict(zip(fields, traits.values(), strict=True))
        if len(values) < len(fields):
            fields = tuple(values)
    lane = f"{kind}:{id_}"
    hashes = hashes_of(values) if with_values else ()
    return Request(
        Route.METADATA,
        lane,
        encode({_ID_KEYS[kind]: id_, "values": values}),
        identity=identity_of(event, lane if kind == "visitor" else lane + sender_of(event.fields)),
        state=State(lane, timestamp_ms(event.fields), fields, hashes, without_values),
        warnings=warnings,
    )


def without_values(body: bytes, names: Collection[str]) -> bytes:
    """The same element without some of its values; whole when it is nested too deeply to be written again."""
    element = orjson.loads(body)
    element["values"] = {name: value for name, value in element["values"].items() if name not in names}
    try:
        return encode(element)
    except RejectedError:
        return body
