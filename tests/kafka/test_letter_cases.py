"""Dead letters that are alike are one case, in bounded memory."""

from dataclasses import dataclass

from consumer.kafka.cases import MAX_CASES, Cases
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.records import Record
from consumer.outcomes import EventType, Reason


@dataclass
class Raw:
    """A record."""

    offset: int
    topic: str = "t"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()


def letter(offset: int = 0, status: str | None = None, message: str = "traits is a list") -> DeadLetter:
    record: Record = Raw(offset)
    return DeadLetter(
        record=record,
        type=EventType.IDENTIFY,
        reason=Reason.INVALID_TRAITS,
        stage=Stage.MAP,
        error="RejectedError",
        message=message,
        message_id="m-1",
        status=status,
    )


def test_letters_that_are_alike_are_one_case_with_its_newest_as_example() -> None:
    """Reason, status, type and field tell cases apart; no id is kept."""
    cases = Cases()
    cases.note(letter(5), "dead-0@0", 1000)
    cases.note(letter(9), "dead-1@7", 3000)
    assert cases.to_json() == [
        {
            "reason": "invalid_traits",
            "status": "",
            "type": "identify",
            "field": "traits",
            "count": 2,
            "first_ms": 1000,
            "last_ms": 3000,
            "position": "t-0@9",
            "letter": "dead-1@7",
            "message": "traits is a list",
        }
    ]


def test_of_too_many_cases_the_one_that_was_not_seen_for_longest_goes() -> None:
    """A frequent one stays, however old it is."""
    cases = Cases()
    cases.note(letter(0, "first"), "d-0@0", 0)
    cases.note(letter(1, "second"), "d-0@1", 1)
    cases.note(letter(2, "first"), "d-0@2", 2)
    for number in range(MAX_CASES - 1):
        cases.note(letter(number, str(number)), "d-0@9", 10 + number)
    found = [case["status"] for case in cases.to_json()]
    assert len(found) == MAX_CASES
    assert found[0] == str(MAX_CASES - 2)
    assert "first" in found
    assert "second" not in found
