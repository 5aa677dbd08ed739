"""Probes: whether this process is alive, and why it is not ready.

The parts' states come in, what `/livez` and `/readyz` say comes out. Nothing is asked over the network.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, assert_never

from consumer.delivery.routes import Routes
from consumer.kafka.letterbox import Letterbox
from consumer.pendo.verdicts import Stall
from consumer.worker.commits import Commits
from consumer.worker.lag import Lag
from consumer.worker.polling import Polling

DEAD_AFTER_S: Final = 120.0
"""A poll may rightly stand still for a whole rebalance, but not for several."""


class Unready(StrEnum):
    """What keeps the service from its duty, as `/readyz` names it."""

    CREDENTIALS = "credentials"
    ENDPOINT = "endpoint"
    KAFKA = "kafka"
    DEAD_LETTER = "dead_letter"
    FLOOD = "flood"
    STOPPING = "stopping"


class Probes:
    """Looks at the parts that can stand still."""

    def __init__(
        self,
        *,
        polling: Polling,
        commits: Commits,
        lag: Lag,
        routes: Routes,
        letterbox: Letterbox,
        stopping: Callable[[], bool],
    ) -> None:
        self._polling = polling
        self._commits = commits
        self._lag = lag
        self._routes = routes
        self._letterbox = letterbox
        self._stopping = stopping

    def alive(self) -> bool:
        """An outage of Kafka or Pendo is no death; a loop that stands still while Kafka answers is."""
        if self._lag.kafka_gone:
            return True
        standing_s = max(self._polling.idle_s(), self._commits.idle_s())
        return standing_s < DEAD_AFTER_S and not self._lag.stuck

    def not_ready(self) -> list[Unready]:
        """What an operator must mend; nothing when all is well."""
        return list(self._reasons())

    def _reasons(self) -> Iterator[Unready]:
        yield from map(_reason, self._routes.stalls())
        if not self._polling.started or self._polling.problem or self._lag.kafka_gone:
            yield Unready.KAFKA
        elif self._letterbox.problem is not None:
            yield Unready.DEAD_LETTER
        if self._routes.flooded:
            yield Unready.FLOOD
        if self._stopping():
            yield Unready.STOPPING


def _reason(stall: Stall) -> Unready:
    match stall:
        case Stall.CREDENTIALS:
            return Unready.CREDENTIALS
        case Stall.ENDPOINT:
            return Unready.ENDPOINT
        case _:
            assert_never(stall)
