"""The memory: nothing old overwrites what is newer, nothing is delivered twice that need not be, and it stays small."""

import json
from collections.abc import Collection
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from consumer.delivery.memory import FACT, MAX_AHEAD_MS, MAX_SHARED, SIZE_PER_ID, Memory, Stamp, stamp_of
from consumer.delivery.writes import MAX_SIZE, NAME_CHARS, SIZE_AFTER_CUT
from consumer.outcomes import Reason
from consumer.pendo.requests import Request, Route, State
from tests.delivery.conftest import Bench

NAMES: Final = ("a", "b", "c", "d")


def _strip(body: bytes, names: Collection[str]) -> bytes:
    return json.dumps({name: value for name, value in json.loads(body).items() if name not in names}).encode()


def _state(key: str, traits: dict[str, Any], timestamp_ms: int | None = None, *, with_values: bool = True) -> State:
    values = tuple(hash(value) for value in traits.values()) if with_values else ()
    return State(key, timestamp_ms, tuple(traits), values, _strip)


def _identify(
    traits: dict[str, Any], visitor: str = "v", *, identity: int = 0, timestamp_ms: int | None = None
) -> Request:
    state = _state(f"visitor:{visitor}", traits, timestamp_ms)
    return Request(Route.SEGMENTIO, f"visitor:{visitor}", json.dumps(traits).encode(), identity=identity, state=state)


def _group(traits: dict[str, Any], visitor: str = "v", account: str = "x") -> Request:
    state = _state(f"account:{account}", traits)
    return Request(Route.SEGMENTIO, f"visitor:{visitor}", json.dumps(traits).encode(), account, state=state)


def _track(identity: int) -> Request:
    return Request(Route.SEGMENTIO, "visitor:v", b"{}", identity=identity)


def _at(time: int) -> Stamp:
    return time, 0, 0


def _memory(*, ids: int = 100, message_ids: int = 100, suppress_unchanged: bool = False) -> Memory:
    return Memory(ids=ids, message_ids=message_ids, suppress_unchanged=suppress_unchanged)


def _deliver(memory: Memory, request: Request, stamp: Stamp = FACT) -> dict[str, Any] | Reason:
    """Judge, and let Pendo accept what is sent; returns what was sent, or why nothing was."""
    sent = memory.judge(request, stamp)
    if isinstance(sent, Reason):
        if sent is Reason.UNCHANGED:
            memory.note(request, stamp, delivered=False)
        return sent
    memory.note(sent, stamp)
    traits = json.loads(sent.body)
    assert isinstance(traits, dict)
    return traits


# ── several at once ──


def test_of_what_nothing_bears_on_none_need_be_judged() -> None:
    """A repeat, a newer write of the same visitor, or any write when values are compared."""
    memory = _memory()
    _deliver(memory, _identify({"a": 1}, identity=7), _at(20))
    assert not memory.bears_on("visitor:v", [0, 8], _at(20))
    assert not memory.bears_on("visitor:w", [0, 8], _at(10))
    assert memory.bears_on("visitor:v", [8], _at(19))
    assert memory.bears_on("visitor:w", [8, 7], _at(30))
    comparing = _memory(suppress_unchanged=True)
    _deliver(comparing, _identify({"a": 1}), _at(20))
    assert comparing.bears_on("visitor:v", [8], _at(30))


@pytest.mark.parametrize("at_once", [2, 3, 7])
def test_events_that_are_noted_together_are_remembered_as_each_for_itself(at_once: int) -> None:
    """The same are repeats, and no more than are allowed; what has no messageId is none."""
    each, together = _memory(message_ids=20), _memory(message_ids=20)
    identities = [number % 50 for number in range(200)]
    for begin in range(0, len(identities), at_once):
        several = identities[begin : begin + at_once]
        for identity in several:
            each.note(_track(identity), FACT)
        together.note_events(several)
        assert [together.judge(_track(n), FACT) is Reason.REPEAT for n in range(50)] == [
            each.judge(_track(n), FACT) is Reason.REPEAT for n in range(50)
        ]


def test_what_has_no_message_id_takes_no_room() -> None:
    """Else events without one would push out those that have one."""
    memory = _memory()
    memory.note(_track(0), FACT)
    memory.note_events([0, 0])
    assert _sizes(memory) == (0, 0, 0, 0)
    assert not memory.bears_on("visitor:v", [0], FACT)


def test_nothing_is_noted_together_where_nothing_is_to_be_remembered() -> None:
    """`memory_message_ids` is 0."""
    memory = _memory(message_ids=0)
    memory.note_events([1, 2])
    assert memory.judge(_track(1), FACT) is not Reason.REPEAT


# ── stamps ──


def test_the_newer_event_has_the_higher_stamp(bench: Bench) -> None:
    """By its own time; without one that can be read, by its arrival."""
    ticket = bench.ticket()
    assert stamp_of(_identify({}, timestamp_ms=500), ticket) == (500, 0, 0)
    assert stamp_of(_identify({}), ticket) == (ticket.arrived_ms, 0, 0)
    assert stamp_of(_track(1), ticket) == (ticket.arrived_ms, 0, 0)


def test_a_tie_goes_to_the_higher_partition_and_offset(bench: Bench) -> None:
    """Two events of one time are told apart the same way every time."""
    bench.ticket()
    later = bench.ticket()
    later.record.partition = 3
    assert stamp_of(_identify({}, timestamp_ms=500), later) == (500, 3, 1)


def test_a_clock_that_runs_ahead_does_not_freeze_a_field(bench: Bench) -> None:
    """Next year's event counts as five minutes ahead of its arrival, so that tomorrow's overwrites it."""
    ticket = bench.ticket()
    wrong = _identify({"a": 1}, timestamp_ms=10**15)
    assert stamp_of(wrong, ticket)[0] == ticket.arrived_ms + MAX_AHEAD_MS == 301_000
    assert stamp_of(_identify({}, timestamp_ms=301_000), ticket)[0] == 301_000


# ── newest wins ──


def test_an_older_event_does_not_overwrite_a_newer_ones_field() -> None:
    """Field by field: what only the older one says is sent."""
    memory = _memory()
    assert _deliver(memory, _identify({"a": 2, "b": 2}), _at(20)) == {"a": 2, "b": 2}
    assert _deliver(memory, _identify({"b": 1, "c": 1}), _at(10)) == {"c": 1}
    assert _deliver(memory, _identify({"c": 0, "d": 0}), _at(5)) == {"d": 0}


def test_an_event_of_which_nothing_is_left_is_stale() -> None:
    """It is not sent at all."""
    memory = _memory()
    _deliver(memory, _identify({"a": 2, "b": 2}), _at(20))
    assert _deliver(memory, _identify({"a": 1}), _at(19)) is Reason.STALE
    assert _deliver(memory, _identify({"a": 1}), _at(20)) == {"a": 1}


def test_after_different_writes_each_field_has_its_own_time() -> None:
    """An event in between is newer for one field, older for the other."""
    memory = _memory()
    _deliver(memory, _identify({"a": 1, "b": 1}), _at(10))
    _deliver(memory, _identify({"b": 3}), _at(30))
    assert _deliver(memory, _identify({"a": 2, "b": 2}), _at(20)) == {"a": 2}
    assert _deliver(memory, _identify({"a": 1, "b": 1}), _at(15)) is Reason.STALE


def test_the_newest_stays_the_newest_when_an_older_one_is_accepted_after_it() -> None:
    """Groups of one account with equal traits are in flight side by side, and end in any order."""
    memory = _memory()
    newer, older = _group({"a": 1}, "v"), _group({"a": 1}, "w")
    assert memory.judge(newer, _at(20)) is newer
    assert memory.judge(older, _at(10)) is older
    memory.note(newer, _at(20))
    memory.note(older, _at(10))
    assert _deliver(memory, _group({"a": 2}, "v"), _at(15)) is Reason.STALE


def test_ids_do_not_mix() -> None:
    """Neither visitors among each other, nor a visitor with the account of the same name."""
    memory = _memory()
    _deliver(memory, _identify({"a": 2}, "x"), _at(20))
    assert _deliver(memory, _identify({"a": 1}, "y"), _at(10)) == {"a": 1}
    assert _deliver(memory, _group({"a": 1}, account="x"), _at(10)) == {"a": 1}


def test_an_event_that_had_no_fields_is_sent() -> None:
    """An identify without traits tells Pendo of the visitor."""
    for suppress_unchanged in (False, True):
        memory = _memory(suppress_unchanged=suppress_unchanged)
        _deliver(memory, _identify({"a": 2}), _at(20))
        assert _deliver(memory, _identify({}), _at(10)) == {}
        assert _deliver(memory, _identify({}), _at(30)) == {}


def test_what_is_not_accepted_is_not_remembered() -> None:
    """Judging changes nothing."""
    memory = _memory(suppress_unchanged=True)
    newer = _identify({"a": 2}, identity=7)
    for _ in range(3):
        assert memory.judge(newer, _at(20)) is newer
    assert _deliver(memory, _identify({"a": 1}), _at(10)) == {"a": 1}


def test_a_stripped_request_is_the_same_otherwise() -> None:
    """It stays in its lane, is noted under the same identity, and the original is not touched."""
    memory = _memory()
    _deliver(memory, _group({"a": 2}), _at(20))
    state = _state("account:x", {"a": 1, "b": 1})
    old = Request(Route.SEGMENTIO, "visitor:w", b'{"a": 1, "b": 1}', "x", 42, 7, state)
    sent = memory.judge(old, _at(10))
    assert isinstance(sent, Request)
    assert (sent.route, sent.lane, sent.account, sent.state_hash, sent.identity) == (old.route, old.lane, "x", 42, 7)
    assert sent.state is not None
    assert (sent.state.key, sent.state.fields, sent.state.values) == ("account:x", ("b",), (hash(1),))
    assert old.body == b'{"a": 1, "b": 1}'
    assert state.fields == ("a", "b")


# ── links ──


def test_a_groups_link_is_not_lost_with_its_fields() -> None:
    """The account's traits are old, but that this visitor belongs to it is news; once only."""
    memory = _memory()
    _deliver(memory, _group({"a": 2}, "v"), _at(20))
    assert _deliver(memory, _group({"a": 1}, "w"), _at(10)) == {}
    assert _deliver(memory, _group({"a": 1}, "w"), _at(11)) is Reason.STALE
    assert _deliver(memory, _group({"a": 1}, "v"), _at(10)) is Reason.STALE


def test_a_groups_link_is_not_lost_though_nothing_changed() -> None:
    """It goes without them; they count as newer all the same."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _group({"a": 1}, "v"), _at(10))
    assert _deliver(memory, _group({"a": 1}, "w"), _at(20)) == {}
    assert _deliver(memory, _group({"a": 2}, "w"), _at(15)) is Reason.STALE
    assert _deliver(memory, _group({"a": 1}, "w"), _at(30)) is Reason.UNCHANGED
    assert _deliver(memory, _group({"a": 2}, "w"), _at(25)) is Reason.STALE


def test_a_group_that_was_not_sent_has_linked_nobody() -> None:
    """Only what Pendo accepted counts as a link."""
    memory = _memory()
    memory.note(_group({"a": 2}, "w"), _at(20), delivered=False)
    assert _deliver(memory, _group({"a": 1}, "w"), _at(10)) == {}


def test_a_link_that_was_not_accepted_is_not_known() -> None:
    """A group that was dead-lettered has linked nobody."""
    memory = _memory()
    _deliver(memory, _group({"a": 2}, "v"), _at(20))
    memory.judge(_group({"a": 1}, "w"), _at(10))
    assert _deliver(memory, _group({"a": 1}, "w"), _at(10)) == {}


# ── repeats ──


def test_only_a_delivered_event_makes_the_next_a_repeat() -> None:
    """The first one may have been dead-lettered."""
    memory = _memory()
    assert memory.judge(_track(7), FACT) is not Reason.REPEAT
    assert _deliver(memory, _track(7)) == {}
    assert _deliver(memory, _track(7)) is Reason.REPEAT
    assert _deliver(memory, _track(8)) == {}


def test_events_without_a_message_id_are_never_repeats() -> None:
    """Nobody can tell."""
    memory = _memory()
    assert [_deliver(memory, _track(0)) for _ in range(3)] == [{}] * 3


def test_an_unchanged_event_does_not_count_as_delivered() -> None:
    """Should its fields be forgotten, the next copy is sent."""
    memory = _memory(ids=1, suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1}), _at(10))
    copy = _identify({"a": 1}, identity=7)
    assert _deliver(memory, copy, _at(20)) is Reason.UNCHANGED
    _deliver(memory, _identify({"a": 1}, "another"), _at(10))
    assert _deliver(memory, copy, _at(20)) == {"a": 1}


@pytest.mark.parametrize("message_ids", [1, 2, 3, 10, 11])
def test_of_the_latest_delivered_events_as_many_are_remembered_as_were_asked_for_or_half(message_ids: int) -> None:
    """The oldest are forgotten first, and never more are kept."""
    memory = _memory(message_ids=message_ids)
    for latest in range(1, 50):
        _deliver(memory, _track(latest))
        repeats = [memory.judge(_track(identity), FACT) is Reason.REPEAT for identity in range(latest, 0, -1)]
        remembered = sum(repeats)
        assert repeats == [True] * remembered + [False] * (latest - remembered)
        assert min(latest, message_ids / 2) <= remembered <= message_ids


# ── unchanged ──


def test_unchanged_only_when_asked_for() -> None:
    """By default every identify goes out, and so does what is left of an older one."""
    memory = _memory()
    assert [_deliver(memory, _identify({"a": 1}), _at(time)) for time in (1, 2)] == [{"a": 1}] * 2
    _deliver(memory, _identify({"b": 1}), _at(9))
    assert _deliver(memory, _identify({"a": 1, "b": 0}), _at(3)) == {"a": 1}


def test_what_changes_nothing_is_not_sent() -> None:
    """Every field must have that very value; one more, or another value, and the whole goes out."""
    memory = _memory(suppress_unchanged=True)
    assert _deliver(memory, _identify({"a": 1, "b": 1}), _at(1)) == {"a": 1, "b": 1}
    assert _deliver(memory, _identify({"a": 1, "b": 1}), _at(2)) is Reason.UNCHANGED
    assert _deliver(memory, _identify({"b": 1}), _at(3)) is Reason.UNCHANGED
    assert _deliver(memory, _identify({"a": 1, "b": 1, "c": 1}), _at(4)) == {"a": 1, "b": 1, "c": 1}
    assert _deliver(memory, _identify({"b": 1, "a": 2}), _at(5)) == {"b": 1, "a": 2}
    assert _deliver(memory, _identify({"a": 1}), _at(6)) == {"a": 1}


def test_what_changes_back_is_a_change() -> None:
    """The same fields each time, the usual case."""
    memory = _memory(suppress_unchanged=True)
    for time, value in enumerate((1, 2, 1, 2)):
        assert _deliver(memory, _identify({"a": value}), _at(time)) == {"a": value}


def test_what_cannot_be_compared_is_sent() -> None:
    """Nested too deeply for that, it has no values; what was there before it is unknown from then on."""
    for traits in ({"a": 1}, {"a": 1, "b": 1}):
        memory = _memory(suppress_unchanged=True)
        _deliver(memory, _identify({"b": 1}), _at(1))
        odd = _identify(traits)
        assert odd.state is not None
        odd.state.values = ()
        _deliver(memory, _identify(traits), _at(2))
        assert [_deliver(memory, odd, _at(time)) for time in (3, 4)] == [traits] * 2
        assert _deliver(memory, _identify({"a": 1}), _at(5)) == {"a": 1}
        assert _deliver(memory, _identify({"a": 1}), _at(6)) is Reason.UNCHANGED


def test_an_unchanged_event_still_makes_its_fields_newer() -> None:
    """What is older than it must not overwrite the value that it confirmed."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1}), _at(10))
    assert _deliver(memory, _identify({"a": 1}), _at(30)) is Reason.UNCHANGED
    assert _deliver(memory, _identify({"a": 2}), _at(20)) is Reason.STALE


def test_an_older_event_may_be_unchanged_in_what_is_left_of_it() -> None:
    """And its stale field stays as it is."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1}), _at(10))
    _deliver(memory, _identify({"b": 2}), _at(30))
    assert _deliver(memory, _identify({"a": 1, "b": 1}), _at(20)) is Reason.UNCHANGED
    assert _deliver(memory, _identify({"a": 3}), _at(15)) is Reason.STALE
    assert _deliver(memory, _identify({"b": 2}), _at(25)) is Reason.STALE
    assert _deliver(memory, _identify({"b": 2}), _at(35)) is Reason.UNCHANGED


def test_after_a_failure_nobody_knows_nothing_counts_as_unchanged() -> None:
    """A request that timed out may have been taken: the value that was there before is sent once more."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1, "b": 1}), _at(10))
    _deliver(memory, _identify({"b": 1}), _at(20))
    memory.forget_values(_identify({"a": 2}))
    assert _deliver(memory, _identify({"a": 1}), _at(30)) == {"a": 1}
    assert _deliver(memory, _identify({"a": 1}), _at(40)) is Reason.UNCHANGED
    assert _deliver(memory, _identify({"a": 3}), _at(35)) is Reason.STALE


def test_a_value_that_was_not_compared_is_not_known() -> None:
    """An event may come without its values' hashes; what it overwrote is known no longer."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1, "b": 1}), _at(10))
    state = _state("visitor:v", {"a": 2}, with_values=False)
    _deliver(memory, Request(Route.SEGMENTIO, "visitor:v", b'{"a": 2}', state=state), _at(20))
    assert _deliver(memory, _identify({"b": 1}), _at(30)) is Reason.UNCHANGED
    assert _deliver(memory, _identify({"a": 1}), _at(30)) == {"a": 1}


def test_after_others_may_have_written_nothing_counts_as_unchanged() -> None:
    """Whoever owned the partition meanwhile had a memory of their own; how new fields are stays known."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1}, "v"), _at(10))
    _deliver(memory, _identify({"a": 1}, "w"), _at(10))
    memory.forget_all_values()
    for visitor in "vw":
        assert _deliver(memory, _identify({"a": 0}, visitor), _at(5)) is Reason.STALE
        assert _deliver(memory, _identify({"a": 1}, visitor), _at(30)) == {"a": 1}


def test_the_later_of_two_events_in_one_record_is_the_truth() -> None:
    """They have the same stamp when they carry the same time."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1}), _at(10))
    _deliver(memory, _identify({"b": 1}), _at(20))
    assert _deliver(memory, _identify({"a": 2}), _at(10)) == {"a": 2}
    assert _deliver(memory, _identify({"a": 1}), _at(30)) == {"a": 1}


# ── switched off ──


def test_a_deleted_visitor_is_new_to_pendo_again() -> None:
    """What was written of it counts neither as newer nor as unchanged, and its links must be sent again."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 1, "b": 2}), _at(9))
    _deliver(memory, _identify({"a": 1}, "w"), _at(9))
    _deliver(memory, _group({"tier": 1}), _at(9))
    memory.note(Request(Route.BULKDELETE, "visitor:v", b'"v"'), FACT)
    assert _deliver(memory, _identify({"a": 1}), _at(5)) == {"a": 1}
    assert _deliver(memory, _group({"tier": 1}), _at(10)) == {}
    assert _deliver(memory, _identify({"a": 1}, "w"), _at(10)) is Reason.UNCHANGED
    assert memory._size == sum(writes.size for writes in memory._writes.values())


def test_without_ids_nothing_is_stale_or_unchanged() -> None:
    """0 switches it off, and keeps nothing."""
    memory = _memory(ids=0, suppress_unchanged=True)
    for time in (20, 10, 10):
        assert _deliver(memory, _identify({"a": time}), _at(time)) == {"a": time}
        assert _deliver(memory, _group({"a": time}), _at(time)) == {"a": time}
    assert _sizes(memory) == (0, 0, 0, 0)


def test_without_message_ids_nothing_is_a_repeat() -> None:
    """0 switches it off, and keeps nothing."""
    memory = _memory(message_ids=0)
    assert [_deliver(memory, _track(7)) for _ in range(3)] == [{}] * 3
    assert _sizes(memory) == (0, 0, 0, 0)


# ── bounds ──


def _sizes(memory: Memory) -> tuple[int, int, int, int]:
    """Ids, the size of all their fields, pairs, identities."""
    size = sum(writes.size for writes in memory._writes.values())
    assert memory._size == size, "the size went astray"
    return len(memory._writes), size, len(memory._pairs), len(memory._delivered)


def test_a_flood_of_ids_does_not_fill_it() -> None:
    """Ids, pairs and messageIds each up to their bound."""
    memory = _memory(ids=10, message_ids=20)
    for number in range(1000):
        memory.note(_identify({"a": 1}, str(number), identity=number + 1), _at(number))
        memory.note(_group({"a": 1}, str(number), str(number)), _at(number))
    assert _sizes(memory) == (10, 10, 10, 10)


def test_the_id_that_was_written_longest_ago_is_forgotten_first() -> None:
    """A visitor who comes back stays."""
    memory = _memory(ids=2)
    for visitor in ("old", "often", "old", "new"):
        _deliver(memory, _identify({"a": 2}, visitor), _at(20))
    judged = {visitor: memory.judge(_identify({"a": 1}, visitor), _at(10)) for visitor in ("old", "often", "new")}
    assert {visitor for visitor, said in judged.items() if said is Reason.STALE} == {"old", "new"}


def test_the_pair_that_was_delivered_longest_ago_is_forgotten_first() -> None:
    """Then its link goes out once more: too often, never too seldom."""
    memory = _memory(ids=2)
    for visitor in ("old", "often", "old", "new"):
        _deliver(memory, _group({"a": 2}, visitor), _at(20))
    judged = {visitor: memory.judge(_group({"a": 1}, visitor), _at(10)) for visitor in ("old", "often", "new")}
    assert {visitor for visitor, said in judged.items() if said is Reason.STALE} == {"old", "new"}


def test_an_id_with_too_many_fields_keeps_the_newest() -> None:
    """Whoever makes up names as they go, one by one: the oldest are forgotten, of this id and of nobody else."""
    memory = _memory(suppress_unchanged=True)
    _deliver(memory, _identify({"a": 2}, "sane"), _at(20))
    for number in range(3 * MAX_SIZE):
        _deliver(memory, _identify({f"n{number}": 2}), _at(1_000 + number))
        assert _sizes(memory)[1] <= MAX_SIZE + 1
    assert all(len(writes._hashes or ()) <= MAX_SIZE for writes in memory._writes.values())
    assert _deliver(memory, _identify({f"n{3 * MAX_SIZE - 1}": 1}), _at(10)) is Reason.STALE
    assert _deliver(memory, _identify({"n0": 1}), _at(10)) == {"n0": 1}
    assert _deliver(memory, _identify({"a": 1}, "sane"), _at(10)) is Reason.STALE


def test_too_many_fields_at_once_are_cut_as_well() -> None:
    """The first write of an id has no easier time."""
    memory = _memory()
    _deliver(memory, _identify({f"n{number}": 2 for number in range(10 * MAX_SIZE)}), _at(20))
    assert _sizes(memory)[1] == SIZE_AFTER_CUT


def test_long_names_count_for_more() -> None:
    """A megabyte of names is not a few fields."""
    memory = _memory()
    _deliver(memory, _identify({f"n{number}" * 1_000: 2 for number in range(20)}), _at(20))
    assert _sizes(memory)[1] <= SIZE_AFTER_CUT
    assert (
        sum(len(name) for writes in memory._writes.values() for name in writes._stamps or ()) <= MAX_SIZE * NAME_CHARS
    )


def test_fields_that_were_written_together_again_share_a_stamp_again() -> None:
    """A field that was once written alone does not cost its visitor's room for ever."""
    memory = _memory()
    for traits in ({"a": 1, "b": 1}, {"b": 2}, {"b": 3, "a": 3}):
        _deliver(memory, _identify(traits), _at(traits["b"]))
    [writes] = memory._writes.values()
    assert writes._stamps is None
    assert _deliver(memory, _identify({"a": 2, "b": 2, "c": 2}), _at(2)) == {"c": 2}


def test_a_flood_of_field_names_does_not_fill_it() -> None:
    """Two hundred visitors with four hundred made-up names each: as many are remembered as there is room for."""
    memory = _memory(ids=100)
    for visitor in range(200):
        _deliver(memory, _identify({f"{visitor} {name}": 1 for name in range(300)}, str(visitor)), _at(20))
        assert _sizes(memory)[1] <= 100 * SIZE_PER_ID
    assert _sizes(memory)[0] < 100
    assert memory.judge(_identify({"199 0": 1}, "199"), _at(10)) is Reason.STALE


def test_names_are_kept_once_for_all_that_have_the_same() -> None:
    """Twenty thousand visitors of one source need not each hold their ten names; made-up names are not kept for it."""
    memory = _memory(ids=1000)
    for visitor in range(300):
        _deliver(memory, _identify(json.loads('{"a": 1, "b": 2}'), str(visitor)), _at(20))
    assert len({id(writes.fields) for writes in memory._writes.values()}) == 1
    for number in range(300):
        _deliver(memory, _identify({f"n{number}": 1}, f"w{number}"), _at(20))
        _deliver(memory, _identify({"n" * (SIZE_PER_ID + 1) * NAME_CHARS + str(number): 1}, f"x{number}"), _at(20))
    assert len(memory._shared) <= MAX_SHARED
    assert all(len(name) < NAME_CHARS for names in memory._shared for name in names)


# ── whatever comes, in whichever order ──


class Event:
    """An event on its way.

    Attributes:
        request: As it was mapped.
        traits: What it says.
        stamp: How new.
        sent: What goes out of it, while it is in flight.
    """

    def __init__(self, request: Request, traits: dict[str, int], stamp: Stamp) -> None:
        self.request = request
        self.traits = traits
        self.stamp = stamp
        self.sent: Request | None = None

    @property
    def key(self) -> str:
        """Whose state it is."""
        assert self.request.state is not None
        return self.request.state.key

    @property
    def pair(self) -> tuple[str, str | None]:
        """Whom a group links to what."""
        return self.request.lane, self.request.account

    def conflicts(self, other: "Event") -> bool:
        """Lanes keep the two apart: one visitor, or two versions of one account."""
        same_lane = self.request.lane == other.request.lane
        return same_lane or (self.key == other.key and self.traits != other.traits)


class Deliveries(RuleBasedStateMachine):
    """Pendo and the memory: events are judged when they are taken, accepted or not, in random order."""

    suppress_unchanged = False
    ids = 1000
    message_ids = 1000

    @initialize()
    def begin(self) -> None:
        """Pendo knows nothing."""
        self.memory = Memory(ids=self.ids, message_ids=self.message_ids, suppress_unchanged=self.suppress_unchanged)
        self.offsets = count()
        self.flying: list[Event] = []
        self.waiting: list[Event] = []
        self.pendo: dict[str, dict[str, int]] = {}
        self.links: set[tuple[str, str | None]] = set()
        self.delivered: set[int] = set()
        # By key and field: the newest write that Pendo took, or that need not be sent, as it changed nothing.
        self.newest: dict[tuple[str, str], tuple[Stamp, int]] = {}
        # Fields that a request wrote whose answer never came, until another one writes them.
        self.unsure: set[tuple[str, str]] = set()
        self.doubted: set[str] = set()

    @property
    def forgetful(self) -> bool:
        """Whether it may have forgotten something."""
        return self.ids < 1000

    @rule(
        visitor=st.sampled_from("vw"),
        account=st.sampled_from([None, None, "x", "y"]),
        traits=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 2), max_size=4),
        time=st.integers(1, 6),
        partition=st.integers(0, 1),
        identity=st.integers(0, 20),
    )
    def arrive(
        self, visitor: str, account: str | None, traits: dict[str, int], time: int, partition: int, identity: int
    ) -> None:
        """An event comes, in any order of time."""
        state = _state(
            f"visitor:{visitor}" if account is None else f"account:{account}",
            traits,
            with_values=self.suppress_unchanged,
        )
        body = json.dumps(traits).encode()
        request = Request(Route.SEGMENTIO, f"visitor:{visitor}", body, account, 0, identity, state)
        event = Event(request, traits, (time, partition, next(self.offsets)))
        if any(event.conflicts(other) for other in self.flying + self.waiting):
            self.waiting.append(event)
        else:
            self.take(event)

    def take(self, event: Event) -> None:
        """It is judged."""
        said = self.memory.judge(event.request, event.stamp)
        fresh = {name: value for name, value in event.traits.items() if not self.is_stale(event, name)}
        held = self.pendo.get(event.key, {})
        linked = event.request.account is None or event.pair in self.links
        repeat = event.request.identity in self.delivered
        stale = bool(event.traits) and not fresh and linked
        something = bool(event.traits if self.forgetful else fresh)
        unchanged = self.suppress_unchanged and something and linked and fresh.items() <= held.items()
        if isinstance(said, Request):
            if not self.forgetful:
                self.check(event, said, fresh, surely=(repeat, stale, unchanged and event.key not in self.doubted))
            event.sent = said
            self.flying.append(event)
            return
        assert {Reason.REPEAT: repeat, Reason.STALE: stale, Reason.UNCHANGED: unchanged}[said]
        if said is Reason.UNCHANGED:
            self.memory.note(event.request, event.stamp, delivered=False)
            self.write(event)

    def check(self, event: Event, sent: Request, fresh: dict[str, int], surely: tuple[bool, bool, bool]) -> None:
        """What goes out is what is not stale; but of a group only the link, when the rest is there already."""
        assert not any(surely)
        held = self.pendo.get(event.key, {})
        new_link = event.request.account is not None and event.pair not in self.links
        only_link = json.loads(sent.body) == {} and self.suppress_unchanged and new_link
        if only_link and fresh:
            assert fresh.items() <= held.items()
            return
        assert json.loads(sent.body) == fresh
        assert (sent is event.request) == (fresh == event.traits)

    def is_stale(self, event: Event, name: str) -> bool:
        """Whether a newer event has written the field."""
        return self.newest.get((event.key, name), (event.stamp, 0))[0] > event.stamp

    def write(self, event: Event) -> None:
        """Keep the newest of what counts as delivered."""
        for name, value in event.traits.items():
            if not self.is_stale(event, name):
                self.newest[event.key, name] = (event.stamp, value)

    @rule(chance=st.randoms(use_true_random=False))
    def accept(self, chance: Any) -> None:
        """Pendo takes a request, and applies it."""
        if self.flying:
            event = self.land(chance)
            assert event.sent is not None
            self.apply(event.sent)
            self.unsure -= {(event.key, name) for name in json.loads(event.sent.body)}
            self.links.add(event.pair)
            self.delivered |= {event.request.identity} - {0}
            self.write(event)
            self.memory.note(event.sent, event.stamp)
            self.next_ones()

    @rule(chance=st.randoms(use_true_random=False))
    def refuse(self, chance: Any) -> None:
        """Pendo does not take it: a dead letter."""
        if self.flying:
            self.land(chance)
            self.next_ones()

    @rule(chance=st.randoms(use_true_random=False), applied=st.booleans(), given_up=st.booleans())
    def fail(self, chance: Any, *, applied: bool, given_up: bool) -> None:
        """No answer comes, though Pendo may have taken it; it is tried again, judged anew, or given up."""
        if self.flying:
            event = self.land(chance)
            assert event.sent is not None
            assert event.sent.state is not None
            if applied:
                self.apply(event.sent)
                self.unsure |= {(event.key, name) for name in json.loads(event.sent.body)}
            self.memory.forget_values(event.sent)
            self.doubted.add(event.key)
            if given_up:
                self.next_ones()
            else:
                self.take(event)

    def apply(self, sent: Request) -> None:
        """Pendo writes what it is sent."""
        assert sent.state is not None
        self.pendo.setdefault(sent.state.key, {}).update(json.loads(sent.body))

    def land(self, chance: Any) -> Event:
        """One of those in flight comes back."""
        event: Event = self.flying.pop(chance.randrange(len(self.flying)))
        return event

    def next_ones(self) -> None:
        """Those that waited, in the order in which they came."""
        waiting, self.waiting = self.waiting, []
        for event in waiting:
            if any(event.conflicts(other) for other in self.flying + self.waiting):
                self.waiting.append(event)
            else:
                self.take(event)

    @invariant()
    def pendo_has_the_newest(self) -> None:
        """Of each field the value with the highest stamp among all that it took."""
        if not self.forgetful:
            newest = {place: value for place, (_, value) in self.newest.items() if place not in self.unsure}
            held = {(key, name): value for key, held in self.pendo.items() for name, value in held.items()}
            assert {place: value for place, value in held.items() if place not in self.unsure} == newest

    @invariant()
    def it_stays_small(self) -> None:
        """Whatever came."""
        ids, _, pairs, identities = _sizes(self.memory)
        assert max(ids, pairs) <= self.ids
        assert identities <= self.message_ids


class Suppressing(Deliveries):
    """What changes nothing is not sent."""

    suppress_unchanged = True


class Forgetful(Deliveries):
    """It forgets soon: it says less, and nothing wrong."""

    suppress_unchanged = True
    ids = 2
    message_ids = 2


@pytest.mark.parametrize("machine", [Deliveries, Suppressing, Forgetful])
def test_whatever_comes_in_whichever_order_the_newest_wins(machine: type[Deliveries]) -> None:
    """A random schedule against a Pendo that applies what it takes; see the machine's rules and invariants."""
    run_state_machine_as_test(machine, settings=settings(max_examples=120, stateful_step_count=40, deadline=None))


@given(
    st.lists(
        st.tuples(
            st.sampled_from("vwxyz"), st.sets(st.text(max_size=2), max_size=8), st.integers(0, 50), st.integers(0, 9)
        ),
        max_size=80,
    )
)
@settings(deadline=None)
def test_the_count_of_fields_never_goes_astray(writes: list[tuple[str, set[str], int, int]]) -> None:
    """Whatever names come, for however few ids: else the bound would drift until nothing, or all, is forgotten."""
    memory = _memory(ids=3, message_ids=5)
    for visitor, names, time, identity in writes:
        _deliver(memory, _identify(dict.fromkeys(sorted(names), time), visitor, identity=identity), _at(time))
        _sizes(memory)
