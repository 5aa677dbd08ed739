"""What an identify or a group says of a visitor or an account: names, time and values of its traits.

Traits go in, a `State` comes out, with the knowledge of how a body is written without some of them. It must not know
what was written before.
"""

from collections.abc import Collection
from typing import Any, Final, Literal

import orjson

from consumer.errors import RejectedError
from consumer.mapping.encode import encode
from consumer.pendo.requests import State
from consumer.segment.events import Event
from consumer.segment.timestamps import timestamp_ms

VALUE_BITS: Final = (1 << 60) - 1
"""An int of more bits needs half as much memory again."""


def state_of(
    event: Event,
    kind: Literal["visitor", "account"],
    id_: str,
    traits: dict[str, Any] | None,
    *,
    with_values: bool,
    adopted: bool = False,
) -> State:
    """Describe what goes out.

    Args:
        event: As it came.
        kind: Whose traits they are.
        id_: The visitor's or account's id.
        traits: Those that go out.
        with_values: Whether values are to be compared.
        adopted: Whether the traits were taken from the event's context, where they then stand too.
    """
    traits = traits or {}
    values = hashes_of(traits) if with_values else ()
    strip = without_adopted if adopted else without_traits
    return State(f"{kind}:{id_}", timestamp_ms(event.fields), tuple(traits), values, strip)


def hashes_of(traits: dict[str, Any]) -> tuple[int, ...]:
    """Hashes of the values; none when one is nested too deeply to be compared."""
    try:
        return tuple([hash(encode(value, sort_keys=True)) & VALUE_BITS for value in traits.values()])
    except RejectedError:
        return ()


def without_traits(body: bytes, names: Collection[str]) -> bytes:
    """The same event without some of its traits; whole when it is nested too deeply to be written again."""
    fields = orjson.loads(body)
    return _encode_or_keep({**fields, "traits": _without(fields["traits"], names)}, body)


def without_adopted(body: bytes, names: Collection[str]) -> bytes:
    """Likewise, for traits that stand in the event's context too."""
    fields = orjson.loads(body)
    context = fields["context"]
    context = {**context, "traits": _without(context["traits"], names)}
    return _encode_or_keep({**fields, "context": context, "traits": _without(fields["traits"], names)}, body)


def _without(traits: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in traits.items() if name not in names}


def _encode_or_keep(fields: dict[str, Any], body: bytes) -> bytes:
    try:
        return encode(fields)
    except RejectedError:
        return body
