"""What an identify or a group says of a visitor or an account: names, time and values of its traits.

Of the state it is here how values are compared, and how a body is written without some of them. It must not know what
was written before.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

import orjson

from consumer.errors import RejectedError
from consumer.mapping.encode import draft, encode

VALUE_BITS: Final = (1 << 60) - 1
"""An int of more bits needs half as much memory again."""

ValuesOf = Callable[[dict[str, Any]], tuple[int, ...]]
"""What of traits' values is kept to be compared: `hashes_of` or `no_hashes`."""


def no_hashes(_: dict[str, Any]) -> tuple[int, ...]:
    """Nothing: nobody asked for the values to be compared."""
    return ()


def hashes_of(traits: dict[str, Any]) -> tuple[int, ...]:
    """Hashes of the values; none when one is nested too deeply to be compared."""
    try:
        return tuple([hash(draft(value, sort_keys=True)) & VALUE_BITS for value in traits.values()])
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
