"""Letters: how a delivery that is given up becomes a dead letter, and where such letters go."""

from typing import Protocol

from consumer.delivery.lane import Delivery
from consumer.delivery.poison import Trouble
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.outcomes import Reason


class Letters(Protocol):
    """Where dead letters go."""

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Take a letter; the owner is settled when it is safe."""


def letter_of(delivery: Delivery, trouble: Trouble, reason: Reason, message: str) -> DeadLetter:
    """The letter of a delivery that was sent in vain.

    Args:
        delivery: Which.
        trouble: What it has been through.
        reason: Why it is given up.
        message: The same in a few words, without anything of the event.
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
        status=str(trouble.status),
        attempts=trouble.attempts,
        first_attempt_ms=trouble.first_attempt_ms,
    )


def skipped_letter(delivery: Delivery, asked_by: str) -> DeadLetter:
    """The letter of a delivery that an operator gives up, whether or not it was ever sent.

    Args:
        delivery: Which.
        asked_by: Who it was, as they said.
    """
    reason = Reason.OPERATOR
    message = f"skipped by an operator ({asked_by})"
    if delivery.trouble is not None:
        return letter_of(delivery, delivery.trouble, reason, message)
    return DeadLetter(
        record=delivery.ticket.record,
        type=delivery.type,
        reason=reason,
        stage=Stage.DELIVER,
        error="OperatorError",
        message=message,
        index=delivery.index,
        message_id=delivery.message_id,
        lane=delivery.request.lane,
    )
