"""What Pendo's Metadata API takes: of an identify a visitor's fields, of a group an account's.

In comes an event, out comes the element that says it, or the event's end when it says nothing. It must not know how
elements become calls. Source of names and values: Pendo's documentation of metadata.
"""

from collections.abc import Collection
from typing import Any, Final

import orjson

from consumer.errors import RejectedError
from consumer.mapping import shape
from consumer.mapping.encode import encode
from consumer.mapping.result import Ended, Mapped
from consumer.mapping.segmentio import identity_of
from consumer.mapping.state import hashes_of
from consumer.mapping.visibility import Visibility, metadata_name, shown_value
from consumer.mapping.visitor import account_of
from consumer.outcomes import Outcome, Reason
from consumer.pendo.endpoints import Kind
from consumer.pendo.requests import Request, Route, State
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms

NO_TRAITS: Final = Ended(Outcome.SKIPPED, Reason.NO_TRAITS)

Values = dict[str, Any]


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
    values = _values(traits or {})
    if not traits or not values:
        return NO_TRAITS
    lane = f"{kind}:{id_}"
    hashes = hashes_of(values) if with_values else ()
    return Request(
        Route.METADATA,
        lane,
        encode({f"{kind}Id": id_, "values": values}),
        identity=identity_of(event, lane),
        state=State(lane, timestamp_ms(event.fields), tuple(values), hashes, without_values),
        warnings=visibility.of_metadata(tuple(traits), traits),
    )


def _values(traits: Values) -> Values:
    """What goes out of the traits: under the names by which Pendo keeps them, of two that fall together the last.

    Null is left out: what Pendo makes of it is not known. So are objects, which Pendo ignores.
    """
    values = {}
    for name, value in traits.items():
        shown = shown_value(value)
        if shown is not None:
            values[metadata_name(name)] = shown
    return values


def without_values(body: bytes, names: Collection[str]) -> bytes:
    """The same element without some of its values; whole when it is nested too deeply to be written again."""
    element = orjson.loads(body)
    element["values"] = {name: value for name, value in element["values"].items() if name not in names}
    try:
        return encode(element)
    except RejectedError:
        return body
