"""From a record's value to the events in it.

In come the bytes as Kafka hands them out, out go events and, in their place in the order, what is none. No bytes
raise. It must not know what becomes of an event, nor quote any of the value.
"""

from typing import Any, Final

import orjson

from consumer.outcomes import EventType
from consumer.segment.events import Element, Event, Undecodable

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

# Looking a member up in its enum takes as long as a small function.
_OTHER: Final = EventType.OTHER

_NO_OBJECT: Final = "JSON, but no object"
_NO_TYPE: Final = "an object without a text `type`"


def decode(value: bytes | None, envelope_path: tuple[str, ...] = ()) -> list[Element]:
    """Decode one record's value, whatever its shape; what it holds comes out in its order.

    Args:
        value: One event, an array of events, `{"batch":[…]}`, or an envelope around one of these; None or
            nothing is a tombstone, which holds none.
        envelope_path: The keys that lead to the event inside the value; empty when the value is the event.
    """
    if not value:
        return []
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _decode_odd(value, envelope_path)
    return _open_envelope(document, envelope_path) if envelope_path else _decode_document(document, value)


def _decode_odd(value: bytes, envelope_path: tuple[str, ...]) -> list[Element]:
    """Give a value that is no JSON a second chance without its one byte order mark."""
    text = value.removeprefix(BOM)
    if len(text) == len(value) or text.startswith(BOM):
        return [Undecodable(_flaw(value))]
    return decode(text, envelope_path)


def _decode_document(document: Any, raw: bytes | None) -> list[Element]:  # noqa: ANN401 - JSON of any shape
    """Tell one event, the usual case, from an array, a batch and what is none of them."""
    if isinstance(document, dict):
        type_ = document.get("type")
        if isinstance(type_, str):
            return [Event(_TYPES.get(type_, _OTHER), document, raw)]
        document = document.get("batch", document)
        if not isinstance(document, list):
            return [Undecodable(_NO_TYPE)]
    if isinstance(document, list):
        return [_decode_element(element, index) for index, element in enumerate(document)]
    return [Undecodable(_NO_OBJECT)]


def _decode_element(fields: Any, index: int) -> Element:  # noqa: ANN401 - JSON of any shape
    if not isinstance(fields, dict):
        return Undecodable(_NO_OBJECT, index)
    type_ = fields.get("type")
    if not isinstance(type_, str):
        return Undecodable(_NO_TYPE, index)
    return Event(_TYPES.get(type_, _OTHER), fields, None, index=index)


def _open_envelope(document: Any, path: tuple[str, ...]) -> list[Element]:  # noqa: ANN401 - JSON of any shape
    """Decode what lies in the envelope; in an array every element is one, and places count what is found in all."""
    if not isinstance(document, list):
        return _open_one(document, path)
    elements = [element for envelope in document for element in _open_one(envelope, path)]
    for index, element in enumerate(elements):
        element.index = index
    return elements


def _open_one(envelope: Any, path: tuple[str, ...]) -> list[Element]:  # noqa: ANN401 - JSON of any shape
    for key in path:
        if not isinstance(envelope, dict) or key not in envelope:
            return [Undecodable("nothing at the envelope path")]
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
