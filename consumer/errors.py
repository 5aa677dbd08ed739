"""Everything this program raises on purpose.

    ConsumerError
    ├─ ConfigError        something a person must change; the command ends with exit status 78
    ├─ RejectedError      one event that can never be delivered; it is dead-lettered
    ├─ UnreachableError   Pendo gave no answer; the request is tried again
    └─ BrokerError        Kafka gave no answer, or refused; what was asked is tried again
       └─ UnjoinableError   the group does not take us; somebody must change something, here or there

Foreign exceptions are translated into these where they arise, once, `from` their cause.
"""

from collections.abc import Sequence
from typing import Literal

from consumer.outcomes import Reason


class ConsumerError(Exception):
    """Root of all errors that are raised on purpose."""


class ConfigError(ConsumerError):
    """The configuration cannot be used.

    Attributes:
        problems: One line each: where, which key, what is wrong, what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class RejectedError(ConsumerError):
    """An event that can never be delivered as it is.

    Attributes:
        reason: One of the dead-letter reasons.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class UnreachableError(ConsumerError):
    """A request got no answer.

    Attributes:
        kind: What stands in the metric label `status`.
    """

    def __init__(self, kind: Literal["timeout", "connection"], message: str) -> None:
        self.kind = kind
        super().__init__(message)


class BrokerError(ConsumerError):
    """Kafka gave no answer in time, or refused."""


class UnjoinableError(BrokerError):
    """The group does not take us as we are: a right, an id, a session timeout."""


class UnansweredError(ConsumerError):
    """Pendo answered, but did not say what it was asked."""
