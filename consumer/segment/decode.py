"""From a record's value to the events in it.

In come the bytes as Kafka hands them out, out go events and, in their place in the order, what is none. No bytes
raise. It must not know what becomes of an event, nor quote any of the value.
"""

from typing import Any, Final

import orjson

from consumer.outcomes import EventType
from consumer.segment.events import Decoded, Event, Undecodable

BOM: Final = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which some producers put in front of JSON."""

AVRO_MAGIC: Final = 0x00
"""The first byte of Confluent's Avro framing; no JSON text begins with it."""

_TYPES: Final = {
    type_.value: type_
    for type_ in (
        EventType.IDENTIFY,
        EventType.GROUP,
        EventType.TRACK,
        EventType.PAGE,
        EventType.SCREEN,
        EventType.ALIAS,
        EventType.DELETE,
    )
}

_NO_OBJECT: Final = "JSON, but no object"
_NO_TYPE: Final = "an object without a text `type`"


def decode(value: bytes | None, envelope_path: tuple[str, ...] = ()) -> Decoded:
    """Decode one record's value, whatever its shape.

    Args:
        value: One event, an array of events, `{"batch":[…]}`, or an envelope around one of these; None or
            nothing is a tombstone.
        envelope_path: The keys that lead to the event inside the value; empty when the value is the event.
    """
    if not value:
        return Decoded([], indexed=False)
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _decode_odd(value, envelope_path)
    return _open_envelope(document, envelope_path) if envelope_path else _decode_document(document, value)


def _decode_odd(value: bytes, envelope_path: tuple[str, ...]) -> Decoded:
    """Give a value that is no JSON a second chance without its one byte order mark."""
    text = value.removeprefix(BOM)
    if len(text) == len(value) or text.startswith(BOM):
        return Decoded([Undecodable(_flaw(value))], indexed=False)
    return decode(text, envelope_path)


def _decode_document(document: Any, raw: bytes | None) -> Decoded:  # noqa: ANN401 - JSON of any shape
    """Tell one event, the usual case, from an array, a batch and what is none of them."""
    if isinstance(document, dict):
        type_ = document.get("type")
        if isinstance(type_, str):
            return Decoded([Event(_TYPES.get(type_, EventType.OTHER), document, raw)], indexed=False)
        document = document.get("batch", document)
        if not isinstance(document, list):
            return Decoded([Undecodable(_NO_TYPE)], indexed=False)
    if isinstance(document, list):
        return Decoded([_decode_element(element) for element in document], indexed=True)
    return Decoded([Undecodable(_NO_OBJECT)], indexed=False)


def _decode_element(fields: Any) -> Event | Undecodable:  # noqa: ANN401 - JSON of any shape
    if not isinstance(fields, dict):
        return Undecodable(_NO_OBJECT)
    type_ = fields.get("type")
    if not isinstance(type_, str):
        return Undecodable(_NO_TYPE)
    return Event(_TYPES.get(type_, EventType.OTHER), fields, None)


def _open_envelope(document: Any, path: tuple[str, ...]) -> Decoded:  # noqa: ANN401 - JSON of any shape
    """Decode what lies in the envelope; in an array every element is one."""
    if not isinstance(document, list):
        return _open_one(document, path)
    elements: list[Event | Undecodable] = []
    for envelope in document:
        elements.extend(_open_one(envelope, path).elements)
    return Decoded(elements, indexed=True)


def _open_one(envelope: Any, path: tuple[str, ...]) -> Decoded:  # noqa: ANN401 - JSON of any shape
    for key in path:
        if not isinstance(envelope, dict) or key not in envelope:
            return Decoded([Undecodable("nothing at the envelope path")], indexed=False)
        envelope = envelope[key]
    return _decode_document(envelope, None)


def _flaw(value: bytes) -> str:
    """Say what keeps the value from being JSON, without quoting any of it."""
    if value[0] == AVRO_MAGIC:
        return "begins with 0x00, as Avro does; only JSON is read"
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"no UTF-8 at byte {error.start}"
    return "no JSON"
