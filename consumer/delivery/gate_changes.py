"""What a change of the gate does to the lanes, and what is said of it: one line each, with what to do.

The gate has judged; here its lanes learn of it.
"""

from math import inf
from typing import Final, assert_never

from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lane import Delivery
from consumer.delivery.lanes import Lanes
from consumer.kafka.records import position
from consumer.log import get_logger
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import Stall

log = get_logger(__name__)

REMEDIES: Final = {
    Stall.CREDENTIALS: "Pendo refuses the credential: nothing is delivered until it is replaced; records stay in Kafka",
    Stall.ENDPOINT: "this is not Pendo's endpoint: check pendo.region, data_url and proxy; records stay in Kafka",
}


class GateChanges:
    """One route's."""

    __slots__ = ("_closed_at", "_gate", "_lanes", "_route")

    def __init__(self, route: Route, *, gate: Gate, lanes: Lanes) -> None:
        # When the gate closed; all of the past when it has not, or was closed by somebody else.
        self._closed_at = -inf
        self._route = route
        self._gate = gate
        self._lanes = lanes

    def note(self, delivery: Delivery, status: int | str, now: float) -> None:
        """The answer to this delivery has changed the gate."""
        seen = {"route": self._route, "status": status, "position": position(delivery.ticket.record)}
        if self._gate.state is not GateState.OPEN and self._closed_at == -inf:
            self._closed_at = now
        match self._gate.state:
            case GateState.OPEN:
                self._lanes.excuse(self._closed_at, now)
                self._closed_at = -inf
                self._lanes.wake_all()
                self._lanes.wake_aside()
                log.info("Pendo answers again: delivering", **seen)
            case GateState.CIRCUIT:
                log.warning("Pendo is unreachable: keeping the records in Kafka and probing", **seen)
            case GateState.STALLED:
                log.error(REMEDIES[self._gate.stall or Stall.ENDPOINT], **seen)
            case GateState.FLOOD:
                log.error(
                    "most events are refused: delivery is stopped but for probes, the events stay in Kafka. Look into "
                    "the dead-letter topic for the reason",
                    **seen,
                )
            case _:
                assert_never(self._gate.state)
