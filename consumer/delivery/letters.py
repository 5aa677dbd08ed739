"""Letters: how a delivery that is given up becomes a dead letter, and where such letters go."""

from typing import Protocol

from consumer.delivery.lanes import Delivery
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.outcomes import Reason


class Letters(Protocol):
    """Where dead letters go."""

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Take a letter; the owner is settled when it is safe."""


def letter_of(delivery: Delivery, reason: Reason, message: str, status: int | str) -> DeadLetter:
    """The letter of a delivery that was sent in vain.

    Args:
        delivery: Which.
        reason: Why it is given up.
        message: The same in a few words, without anything of the event.
        status: The last answer's HTTP status, or `timeout` or `connection`.
    """
    return DeadLetter(
        record=delivery.ticket.record,
        type=delivery.type,
        reason=reason,
        stage=Stage.DELIVER,
        error=f"{reason.capitalize()}Error",
        message=message,
        index=delivery.index,
        message_id=delivery.message_id,
        lane=delivery.request.lane,
        status=str(status),
        attempts=delivery.attempts,
        first_attempt_ms=delivery.first_attempt_ms,
    )
