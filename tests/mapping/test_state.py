"""What requests tell the memory: whose state, how new, which fields; and which event it is, should it come again."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.mapping.router import Router
from consumer.mapping.state import without_adopted, without_traits
from consumer.outcomes import EventType
from consumer.pendo.requests import Request, Route, State
from consumer.segment.decode import decode
from consumer.segment.events import Event

CALLS = ("identify", "group", "track", "page", "screen")
ROUTES = {EventType(call): Route.SEGMENTIO for call in CALLS}
AT = "2019-06-21T17:35:47.404Z"
AT_MS = 1_561_138_547_404
BASE = {"messageId": "m", "userId": "u", "groupId": "g", "event": "e", "name": "n", "category": "c", "timestamp": AT}
DEEP = "[" * 1_000 + "]" * 1_000
"""orjson reads so many levels, and nobody writes them again."""

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALARS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
TRAITS = st.dictionaries(st.sampled_from("abcdef"), JSON)


def _map(fields: dict[str, Any] | str, *, with_values: bool = False) -> Request:
    raw = fields.encode() if isinstance(fields, str) else orjson.dumps(fields)
    [event] = decode(raw)
    assert isinstance(event, Event)
    mapped = Router(ROUTES, "visitor", with_values=with_values).map(event)
    assert isinstance(mapped, Request)
    return mapped


def _state(fields: dict[str, Any] | str, *, with_values: bool = False) -> State:
    state = _map(fields, with_values=with_values).state
    assert state is not None
    return state


# ── whose state, how new, which fields ──


@pytest.mark.parametrize("call", ["track", "page", "screen"])
def test_a_fact_is_no_state(call: str) -> None:
    """Each is sent once, with its own time; nothing of it is ever stale."""
    assert _map(BASE | {"type": call}).state is None


def test_an_identify_says_its_traits_of_the_visitor() -> None:
    """678 and "678" are one."""
    state = _state(BASE | {"type": "identify", "userId": 678, "traits": {"b": 1, "a": None}})
    assert (state.key, state.timestamp_ms, state.fields, state.values) == ("visitor:678", AT_MS, ("b", "a"), ())


def test_a_group_says_its_traits_of_the_account() -> None:
    """Not of the visitor, in whose lane it stands."""
    state = _state(BASE | {"type": "group", "groupId": 7, "traits": {"a": 1}})
    assert (state.key, state.timestamp_ms, state.fields, state.values) == ("account:7", AT_MS, ("a",), ())


def test_an_anonymous_visitors_state_is_under_the_id_that_pendo_knows() -> None:
    """The anonymousId with Pendo's prefix."""
    fields = {"type": "identify", "anonymousId": "a", "traits": {"a": 1}}
    assert _state(fields).key == "visitor:_PENDO_T_a"


@pytest.mark.parametrize("call", ["identify", "group"])
@pytest.mark.parametrize("traits", [{}, None])
def test_no_traits_are_no_fields(call: str, traits: Any) -> None:
    """Such an event is sent all the same; there is only nothing to compare."""
    state = _state(BASE | {"type": call, "traits": traits}, with_values=True)
    assert (state.fields, state.values) == ((), ())


def test_traits_out_of_the_context_are_the_fields() -> None:
    """They go out, so they can be stale."""
    assert _state(BASE | {"type": "identify", "context": {"traits": {"a": 1}}}).fields == ("a",)
    both = BASE | {"type": "identify", "traits": {"b": 1}, "context": {"traits": {"a": 1}}}
    assert _state(both).fields == ("b",)


def test_an_event_without_a_time_to_read_says_so() -> None:
    """Its record's arrival counts then; that is not known here."""
    assert _state(BASE | {"type": "identify", "timestamp": 5}).timestamp_ms is None


# ── values ──


def test_equal_values_have_equal_hashes() -> None:
    """Whatever the order of an object's keys; what looks alike but is of another type differs."""
    values = [1, "1", 1.5, True, None, [1], {"a": 1}, {"a": 2}, ""]
    hashes = _state(
        BASE | {"type": "identify", "traits": dict(zip("abcdefghi", values, strict=True))}, with_values=True
    )
    assert len(set(hashes.values)) == len(values)
    one, other = ({"x": {"a": 1, "b": {"c": 1, "d": 2}}}, {"x": {"b": {"d": 2, "c": 1}, "a": 1}})
    for call in ("identify", "group"):
        said = [_state(BASE | {"type": call, "traits": traits}, with_values=True).values for traits in (one, other)]
        assert said[0] == said[1] != ()


def test_an_identify_that_is_nested_too_deeply_to_be_compared_has_no_values() -> None:
    """It is sent, as it is without the comparison."""
    text = f'{{"type":"identify","userId":"u","traits":{{"b":1,"a":{DEEP}}}}}'
    state = _state(text, with_values=True)
    assert (state.fields, state.values) == (("b", "a"), ())


# ── without some of the fields ──


@given(traits=TRAITS, names=st.sets(st.sampled_from("abcdefg")), rest=st.dictionaries(st.text(max_size=4), JSON))
@settings(deadline=None)
def test_without_some_traits_all_else_stays(traits: dict[str, Any], names: set[str], rest: dict[str, Any]) -> None:
    """Of equal value, in the same order."""
    fields = rest | {"traits": traits, "context": {"traits": traits, "ip": "::1"}}
    left = {name: value for name, value in traits.items() if name not in names}
    assert orjson.loads(without_traits(orjson.dumps(fields), names)) == fields | {"traits": left}
    context = {"traits": left, "ip": "::1"}
    assert orjson.loads(without_adopted(orjson.dumps(fields), names)) == fields | {"traits": left, "context": context}


@pytest.mark.parametrize("call", ["identify", "group"])
def test_a_request_tells_how_it_is_written_without_some_fields(call: str) -> None:
    """With none left, its traits are an empty object; the request itself stays as it is."""
    request = _map(BASE | {"type": call, "traits": {"a": 1, "b": 2}, "context": {"traits": {"a": 3}}})
    before = bytes(request.body)
    assert request.state is not None
    for gone, left in ((["a"], {"b": 2}), (["a", "b"], {})):
        body = orjson.loads(request.state.strip(request.body, gone))
        assert body == orjson.loads(before) | {"traits": left}
    assert request.body == before


def test_traits_out_of_the_context_are_taken_out_of_both_places() -> None:
    """Else whoever reads the context would find the stale one there."""
    request = _map(BASE | {"type": "identify", "context": {"traits": {"a": 1, "b": 2}}})
    assert request.state is not None
    body = orjson.loads(request.state.strip(request.body, {"a"}))
    assert (body["traits"], body["context"]) == ({"b": 2}, {"traits": {"b": 2}})


@pytest.mark.parametrize("place", ["traits", "context"])
def test_what_is_nested_too_deeply_to_be_written_again_goes_out_whole(place: str) -> None:
    """A sender must not die of it."""
    traits = f'{{"b":{DEEP if place == "traits" else 1},"a":1}}'
    odd = DEEP if place == "context" else 1
    for text in (
        f'{{"type":"identify","userId":"u","traits":{traits},"context":{odd}}}',
        f'{{"type":"identify","userId":"u","context":{{"odd":{odd}}},"traits":{traits}}}',
    ):
        request = _map(text)
        assert request.state is not None
        assert request.state.strip(request.body, ["a"]) == request.body == text.encode()


# ── which event it is ──


@pytest.mark.parametrize("call", CALLS)
def test_a_repeat_has_the_same_identity(call: str) -> None:
    """What Segment adds on the way may differ, and whether it came alone or in an array."""
    fields = BASE | {"type": call}
    again = fields | {"receivedAt": AT, "sentAt": AT, "writeKey": "w", "userId": "u"}
    [event] = decode(orjson.dumps([again]))
    assert isinstance(event, Event)
    repeat = Router(ROUTES, "visitor").map(event)
    assert isinstance(repeat, Request)
    assert _map(fields).identity == repeat.identity != 0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("key", ["messageId", "userId", "timestamp", "event", "name", "category", "groupId"])
def test_another_event_has_another_identity(call: str, key: str) -> None:
    """Some sources give all events of a batch one messageId; a wrong repeat would be lost."""
    identities = {_map(BASE | {"type": call, key: value}).identity for value in ("one", "other", "last")}
    identities |= {_map(BASE | {"type": other}).identity for other in CALLS}
    assert len(identities) == 3 + len(CALLS)


def test_an_id_as_number_and_as_text_is_the_same_visitors() -> None:
    """As the lanes know it."""
    assert len({_map(BASE | {"type": "track", "userId": user_id}).identity for user_id in (678, "678", 678.0)}) == 1


@pytest.mark.parametrize("message_id", [None, "", 0, 7, True, [], ["m"], {"m": 1}])
@pytest.mark.parametrize("call", CALLS)
def test_without_a_message_id_there_is_no_identity(call: str, message_id: Any) -> None:
    """Then nobody can tell a repeat from an event that happened twice."""
    assert _map(BASE | {"type": call, "messageId": message_id}).identity == 0
    assert _map({key: value for key, value in BASE.items() if key != "messageId"} | {"type": call}).identity == 0


@pytest.mark.parametrize("key", ["timestamp", "name", "category", "event", "groupId"])
@pytest.mark.parametrize("odd", [["x"], {"a": 1}])
def test_an_object_where_a_text_should_be_is_no_identity(key: str, odd: Any) -> None:
    """An identify does not mind; it is only never a repeat."""
    fields = BASE | {"type": "identify", key: odd}
    assert _map(fields).identity == 0


def test_identities_take_little_room() -> None:
    """Two hundred thousand of them are remembered; beyond 60 bits each would need half as much memory again."""
    identities = [_map(BASE | {"type": "track", "messageId": f"m{number}"}).identity for number in range(50)]
    assert all(0 < identity < 2**60 for identity in identities)


@given(
    st.fixed_dictionaries({"type": st.just("identify"), "userId": st.just("u")}),
    st.dictionaries(st.sampled_from(["messageId", "timestamp", "event", "name", "category", "groupId"]), JSON),
    TRAITS,
    st.booleans(),
)
@settings(deadline=None)
def test_whatever_stands_in_an_event_it_has_an_identity_or_none(
    base: dict[str, Any],
    odd: dict[str, Any],
    traits: dict[str, Any],
    with_values: bool,  # noqa: FBT001
) -> None:
    """No type of any part raises; an identity fits into 60 bits."""
    request = _map(base | odd | {"traits": traits}, with_values=with_values)
    assert 0 <= request.identity < 2**60
    state = request.state
    assert state is not None
    assert state.fields == tuple(traits)
    assert len(state.values) == (len(traits) if with_values else 0)
    assert all(0 <= value < 2**60 for value in state.values)
