"""A letter read back: what its headers say, whoever wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.filed import read_letter
from consumer.outcomes import EventType, Reason
from tests.delivery.conftest import FakeRecord


def parked(*, omitted: bool = False, **changed: object) -> FakeRecord:
    """A letter as the letterbox publishes it."""
    record = FakeRecord(topic="events", partition=3, offset=42, timestamp=1_000, headers=[("source", b"web")])
    values: dict[str, object] = {
        "record": record,
        "type": EventType.TRACK,
        "reason": Reason.REFUSED,
        "stage": Stage.DELIVER,
        "error": "RefusedError",
        "message": "Pendo answered 400",
        "index": 2,
        "message_id": "m-1",
        "status": "400",
        "attempts": 3,
        "first_attempt_ms": 5_000,
    }
    headers = DeadLetter(**(values | changed)).headers()  # type: ignore[arg-type]
    if omitted:
        headers.append(("pendo.dlq.value", b"omitted"))
    return FakeRecord(topic="dead", partition=1, offset=7, timestamp=9_000, headers=headers, value=b"{}")


def test_what_was_written_is_read_back() -> None:
    """Both positions, why, how often, and when."""
    filed = read_letter(parked())
    assert (filed.letter, filed.position, filed.is_ours) == ("dead-1@7", "events-3@42", True)
    assert (filed.reason, filed.stage, filed.status, filed.message) == (
        "refused",
        "deliver",
        "400",
        "Pendo answered 400",
    )
    assert (filed.attempts, filed.replays, filed.message_id, filed.index) == (3, 0, "m-1", 2)
    assert (filed.parked_ms, filed.original_ms, filed.value) == (9_000, 1_000, b"{}")
    assert ("source", "web") in filed.headers


def test_what_was_never_sent_has_no_status() -> None:
    """And no place in an array."""
    filed = read_letter(parked(status=None, attempts=0, index=None, message_id=None))
    assert (filed.status, filed.attempts, filed.index, filed.message_id) == ("", 0, None, "")


def test_an_omitted_value_is_none() -> None:
    """Not empty."""
    assert read_letter(parked(omitted=True)).value is None


def test_what_another_system_wrote_is_not_ours() -> None:
    """It is shown all the same."""
    filed = read_letter(FakeRecord(headers=[("x", b"\xff")], value=None))
    assert (filed.is_ours, filed.position, filed.reason, filed.headers) == (False, "", "", (("x", "\ufffd"),))


@pytest.mark.parametrize("number", [b"", b"-1", b"1e9", b"9" * 400, "²".encode(), b"\xff"])
def test_a_number_that_is_none_is_passed_over(number: bytes) -> None:
    """Headers may be anybody's."""
    names = ("attempts", "replays", "event-index", "original-timestamp")
    filed = read_letter(FakeRecord(headers=[(f"pendo.dlq.{name}", number) for name in names]))
    assert (filed.attempts, filed.replays, filed.index, filed.original_ms) == (0, 0, None, None)


@given(st.lists(st.tuples(st.sampled_from(["pendo.dlq.reason", "pendo.dlq.attempts", "x"]), st.binary(max_size=9))))
def test_whatever_the_headers_hold_nothing_raises(headers: list[tuple[str, bytes]]) -> None:
    """A topic is open to all."""
    read_letter(FakeRecord(headers=headers))
