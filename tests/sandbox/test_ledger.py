"""The ledger: what it is told is made up here, so that every way to lose or double an event is seen."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRecord

from consumer.outcomes import EventType, Outcome, Reason
from consumer.sandbox.ledger import Findings, Letter, problems_of, table_of
from consumer.sandbox.readings import parse_metrics, to_letter
from consumer.sandbox.traffic import Produced, identity_of


def record(message_id: str | None, outcome: Outcome = Outcome.DELIVERED, reason: Reason = Reason.NONE) -> Produced:
    value = b"value of %s" % str(message_id).encode()
    type_ = EventType.TRACK if message_id else EventType.NONE
    return Produced(key=b"k", value=value, type=type_, message_id=message_id, outcome=outcome, reason=reason)


POISON = record(None, Outcome.DEAD_LETTERED, Reason.UNDECODABLE)
PRODUCED: Sequence[Produced] = (
    record("a"),
    record("b"),
    record("skipped", Outcome.SKIPPED, Reason.ANONYMOUS),
    record("filtered", Outcome.FILTERED, Reason.INTEGRATIONS),
    POISON,
)
GOOD = Findings(
    produced=PRODUCED,
    accepted={"a": 1, "b": 1},
    letters=[Letter(POISON.identity, "undecodable")],
    settled={
        ("track", "delivered", ""): 2,
        ("track", "skipped", "anonymous"): 1,
        ("track", "filtered", "integrations"): 1,
        ("none", "dead_lettered", "undecodable"): 1,
    },
    statuses={"200": 2},
    attempts={1: 2},
    visitors=1,
    accounts=0,
    track_events=2,
    exit_status=0,
    seconds=1.5,
)


def problems(**changed: Any) -> list[str]:
    return problems_of(replace(GOOD, **changed))


def test_all_is_well_when_every_event_is_found_once_where_it_should_be() -> None:
    assert problems_of(GOOD) == []


def test_a_lost_event_is_told() -> None:
    assert problems(accepted={"a": 1}) == ["1 lost: b"]


def test_a_lost_dead_letter_is_told() -> None:
    assert problems(letters=[]) == [f"1 lost: {POISON.identity}"]


def group(message_id: str, time: str) -> Produced:
    value = b'{"type":"group","userId":"u","groupId":"g","timestamp":"%s"}' % time.encode()
    return replace(record(message_id), type=EventType.GROUP, value=value)


def test_a_group_that_a_newer_one_of_its_account_replaced_is_not_lost() -> None:
    """But it must be counted as suppressed; and one that is newer than all that arrived is lost."""
    older, newer = group("old", "2026-01-01T00:00:00Z"), group("new", "2026-01-02T00:00:00Z")
    produced = (*PRODUCED, older, newer)
    settled = {**GOOD.settled, ("group", "delivered", ""): 1, ("group", "suppressed", "stale"): 1}
    assert problems(produced=produced, accepted={"a": 1, "b": 1, "new": 1}, settled=settled) == []
    found = problems(produced=produced, accepted={"a": 1, "b": 1, "old": 1}, settled=settled)
    assert "1 lost: new" in found


def test_an_event_accepted_twice_is_told() -> None:
    assert problems(accepted={"a": 1, "b": 2}) == ["1 found more than once: b"]


def test_an_event_both_accepted_and_dead_lettered_is_told() -> None:
    letters = [*GOOD.letters, Letter("b", "refused")]
    assert problems(letters=letters) == ["1 found more than once: b"]


def test_a_dead_letter_published_twice_is_told() -> None:
    assert problems(letters=[*GOOD.letters, *GOOD.letters]) == [f"1 found more than once: {POISON.identity}"]


def test_a_good_event_that_was_dead_lettered_is_told() -> None:
    letters = [*GOOD.letters, Letter("b", "refused")]
    found = problems(accepted={"a": 1}, letters=letters)
    assert found == ["1 should have been delivered, but is a dead letter (refused): b"]


def test_a_dead_letter_with_another_reason_is_told() -> None:
    found = problems(letters=[Letter(POISON.identity, "refused")])
    assert found == [f"1 should have been a dead letter (undecodable): {POISON.identity}"]


def test_an_event_that_was_not_for_pendo_but_is_found_there_is_told() -> None:
    found = problems(accepted={"a": 1, "b": 1, "skipped": 1, "filtered": 1})
    assert found == [
        "1 should have been filtered, but found: filtered",
        "1 should have been skipped, but found: skipped",
    ]


def test_what_nobody_produced_is_told() -> None:
    assert problems(accepted={"a": 1, "b": 1, "x": 1}) == ["1 never produced, but found: x"]


def test_a_wrong_count_of_the_service_is_told() -> None:
    settled = {**GOOD.settled, ("track", "delivered", ""): 3}
    assert problems(settled=settled) == ["counted by the service as track delivered: 3, not 2"]


def test_a_bad_exit_status_is_told() -> None:
    assert problems(exit_status=1) == ["the service ended with exit status 1, not 0"]


def test_many_of_a_kind_are_one_line() -> None:
    many = [record(str(number)) for number in range(9)]
    settled = {("track", "delivered", ""): 9}
    found = problems(produced=many, accepted={}, letters=[], settled=settled)
    assert found == ["9 lost: 0, 1, 2, …"]


def test_the_table_names_everything_with_its_count() -> None:
    table = "\n".join(" ".join(line.split()) for line in table_of(GOOD))
    for line in ("Events 5", "track delivered 2", "none dead_lettered undecodable 1", "200 2", "undecodable 1"):
        assert line in table
    assert "Settled in 1.5 s" in table


def test_a_dead_letter_is_known_by_its_message_id_else_by_its_bytes() -> None:
    def letter(*headers: tuple[str, bytes]) -> Any:
        return ConsumerRecord("t", 0, 0, 0, 0, None, b"value", None, 0, 5, headers)

    reason = ("pendo.dlq.reason", b"refused")
    assert to_letter(letter(reason, ("pendo.dlq.message-id", b"m"))) == Letter("m", "refused")
    assert to_letter(letter(reason)) == Letter(identity_of(b"value"), "refused")


def test_metrics_are_read_by_name_and_label() -> None:
    exposition = (
        '# TYPE pendo_consumer_events_received_total counter\npendo_consumer_events_received_total{type="track"} 3\n'
        'pendo_consumer_events_received_total{type="page"} 1\n'
        "# TYPE pendo_consumer_events_settled_total counter\n"
        'pendo_consumer_events_settled_total{type="track",outcome="delivered",reason=""} 2\n'
        "# TYPE pendo_consumer_events_open gauge\npendo_consumer_events_open 2\n"
        "# TYPE pendo_consumer_events_unaccounted gauge\npendo_consumer_events_unaccounted 0\n"
        "# TYPE other gauge\nother 7\n"
    )
    metrics = parse_metrics(exposition)
    assert (metrics.received, metrics.open, metrics.unaccounted) == (4, 2, 0)
    assert metrics.settled == {("track", "delivered", ""): 2}
    assert metrics.by_outcome() == {"delivered": 2}
