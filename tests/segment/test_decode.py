"""Every shape of a record's value."""

import json

import pytest

from consumer.outcomes import EventType
from consumer.segment.decode import BOM, decode
from consumer.segment.events import Event, Undecodable

TRACK = {"type": "track", "event": "Ran", "messageId": "m-1"}
RAW = json.dumps(TRACK).encode()


def types(value: bytes | None, *path: str) -> list[EventType | None]:
    """The elements' types; None for one that is no event."""
    return [element.type if isinstance(element, Event) else None for element in decode(value, path)]


def message(value: bytes, *path: str) -> str:
    [element] = decode(value, path)
    assert isinstance(element, Undecodable)
    return element.message


def test_one_event_keeps_its_very_bytes() -> None:
    """An event that needs no change goes out as it came."""
    [event] = decode(RAW)
    assert isinstance(event, Event)
    assert event.raw is RAW
    assert (event.type, event.fields, event.message_id) == (EventType.TRACK, TRACK, "m-1")
    assert event.index is None


@pytest.mark.parametrize("value", [b"[" + RAW + b"]", b'{"batch":[' + RAW + b'],"writeKey":"w"}'])
def test_an_event_cut_out_has_no_bytes_of_its_own(value: bytes) -> None:
    """An array of one has an index, and what surrounds the event does not go out."""
    [event] = decode(value)
    assert isinstance(event, Event)
    assert (event.raw, event.fields, event.index) == (None, TRACK, 0)


@pytest.mark.parametrize("value", [None, b"", b"[]", b'{"batch":[]}', BOM, BOM + b"[]"])
def test_a_tombstone_has_no_elements(value: bytes | None) -> None:
    """Nothing at all, or a list of nothing."""
    assert decode(value) == []


@pytest.mark.parametrize("type_", ["identify", "group", "track", "page", "screen", "alias", "delete"])
def test_segments_calls_are_known(type_: str) -> None:
    """Seven types have a label of their own."""
    assert types(json.dumps({"type": type_}).encode()) == [EventType(type_)]


@pytest.mark.parametrize("type_", ["audience", "record", "Track", "other", "none", ""])
def test_other_types_are_other(type_: str) -> None:
    """`none` is for records that are no event, so an event cannot call itself that."""
    assert types(json.dumps({"type": type_}).encode()) == [EventType.OTHER]


def test_a_bad_element_keeps_its_place() -> None:
    """The dead letter's index says which element it was."""
    value = b"[" + RAW + b',7,{},[{"type":"track"}],null,{"batch":[]},{"type":"page"}]'
    assert types(value) == [EventType.TRACK, None, None, None, None, None, EventType.PAGE]
    assert [element.index for element in decode(value)] == list(range(7))


def test_one_byte_order_mark_is_stripped() -> None:
    """Pendo gets JSON without it; two are no JSON, however many follow."""
    [event] = decode(BOM + RAW)
    assert isinstance(event, Event)
    assert event.raw == RAW
    assert types(BOM + BOM + RAW) == [None]
    assert types(BOM * 300_000) == [None]


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        (b"\x00\x00\x00\x00\x07", "begins with 0x00, as Avro does; only JSON is read"),
        (b'{"type":"\xff"}', "no UTF-8 at byte 9"),
        (b"{", "no JSON"),
        (b" ", "no JSON"),
        (BOM + b"{", "no JSON"),
        (RAW + b"x", "no JSON"),
        (b'{"a":NaN}', "no JSON"),
        (b'{"a":1e999}', "no JSON"),
        (b'"\\ud800"', "no JSON"),
        (b"7", "JSON, but no object"),
        (b"null", "JSON, but no object"),
        (b'"track"', "JSON, but no object"),
        (b"{}", "an object without a text `type`"),
        (b'{"type":null}', "an object without a text `type`"),
        (b'{"type":{"a":1}}', "an object without a text `type`"),
        (b'{"batch":null}', "an object without a text `type`"),
    ],
)
def test_what_is_no_event_says_why(value: bytes, flaw: str) -> None:
    """One dead letter each, with a sentence that quotes nothing."""
    assert message(value) == flaw


def test_a_batch_is_a_list_called_batch_in_what_is_no_event() -> None:
    """An event may have a list of that name."""
    assert types(b'{"type":"track","batch":[{"type":"page"}]}') == [EventType.TRACK]
    assert types(b'{"type":null,"batch":[{"type":"page"}]}') == [EventType.PAGE]


def test_an_envelope_holds_every_shape() -> None:
    """One event, an array or a batch; without bytes of its own."""
    [event] = decode(b'{"a":{"b":' + RAW + b"}}", ("a", "b"))
    assert isinstance(event, Event)
    assert (event.raw, event.fields, event.index) == (None, TRACK, None)
    for inner in (b"[" + RAW + b"]", b'{"batch":[' + RAW + b"]}"):
        assert [event.index for event in decode(b'{"a":' + inner + b"}", ("a",))] == [0]


def test_every_element_of_an_array_is_an_envelope() -> None:
    """Indices count what is found, in order."""
    value = b'[{"a":{"type":"page"}},{"b":1},7,{"a":[{"type":"track"},{"type":"screen"}]},{"a":[]}]'
    assert types(value, "a") == [EventType.PAGE, None, None, EventType.TRACK, EventType.SCREEN]
    assert [element.index for element in decode(value, ("a",))] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("value", [RAW, b'{"a":{}}', b'{"a":[{"b":{"type":"track"}}]}', b"7", b'{"batch":[]}'])
def test_nothing_at_the_envelope_path_is_a_dead_letter(value: bytes) -> None:
    """A wrong path must not look like an empty topic."""
    assert message(value, "a", "b") == "nothing at the envelope path"


@pytest.mark.parametrize("value", [b'{"a":null}', b'{"a":"{}"}', b'{"a":1}'])
def test_a_scalar_in_the_envelope_is_a_dead_letter(value: bytes) -> None:
    """JSON inside text is not opened."""
    assert message(value, "a") == "JSON, but no object"


@pytest.mark.parametrize("levels", [900, 1100, 5000, 500_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_raises_nothing(levels: int, opening: bytes, closing: bytes) -> None:
    """Deep rubbish costs one dead letter a record, not the worker."""
    assert types(opening * levels + b"1" + closing * levels) == [None]
    assert types(opening * levels) == [None]
