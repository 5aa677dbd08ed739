"""Relief: giving up heads that keep failing while others pass, or that block their partition.

A failing head goes in; whether it is given up comes out, and its letter with it. Which attempts count is the poison
clock's business; what else is done about a failure is not known here.
"""

from consumer.delivery.gate import Gate
from consumer.delivery.lane import Lane
from consumer.delivery.lanes import Lanes
from consumer.delivery.letters import Letters, letter_of
from consumer.delivery.poison import Poison
from consumer.kafka.records import position
from consumer.log import get_logger
from consumer.outcomes import Reason

log = get_logger(__name__)


class Relief:
    """One route's."""

    __slots__ = ("_gate", "_lanes", "_letters", "_poison")

    def __init__(self, *, gate: Gate, lanes: Lanes, poison: Poison, letters: Letters) -> None:
        self._gate = gate
        self._lanes = lanes
        self._poison = poison
        self._letters = letters

    def gives_up(self, lane: Lane, now: float) -> bool:
        """A head has failed while others passed: whether it was its last attempt."""
        failing, trouble = lane.failing, lane.queue[0].trouble
        if failing is None or trouble is None or self._gate.probing:
            return False
        if self._poison.exhausted(failing, trouble, now):
            self._give_up(lane, Reason.EXHAUSTED)
        elif _hopeless(lane) and self._stands_in_the_way(lane):
            self._give_up(lane, Reason.BLOCKING)
        else:
            return False
        return True

    def relieve(self) -> bool:
        """A partition cannot be read on: give up what stands in its way and is hopeless.

        Returns:
            Whether something else stands there that fails, of which only others' passing can tell what it is.
        """
        undecided = False
        for lane in self._lanes.waiting():
            if not self._stands_in_the_way(lane):
                continue
            if _hopeless(lane):
                self._give_up(lane, Reason.BLOCKING)
            else:
                undecided = True
        return undecided

    def _stands_in_the_way(self, lane: Lane) -> bool:
        """Whether a head that has failed holds up its partition, while what is behind it goes through.

        If most of what is behind it is unfinished too, it is an outage, and nothing is given up.
        """
        progress = lane.queue[0].ticket.progress
        crowds = progress.crowd is lane or len(lane.queue) >= self._lanes.max_length
        if self._gate.probing or progress.released or not (progress.pressed or crowds):
            return False
        own = {id(d.ticket) for d in lane.queue if d.ticket.progress is progress}
        return progress.finished_beyond > progress.open_records_count - len(own)

    def _give_up(self, lane: Lane, reason: Reason) -> None:
        head = lane.queue[0]
        trouble = head.trouble
        assert trouble is not None  # noqa: S101  # only what has failed is given up
        log.warning(
            "an event is given up: it fails while others pass",
            reason=reason,
            status=trouble.status,
            position=position(head.ticket.record),
            attempts=trouble.attempts,
        )
        message = f"kept failing while others passed, last with {trouble.status}"
        self._letters.park(letter_of(head, trouble, reason, message), head.ticket)
        self._lanes.conclude_waiting(lane)


def _hopeless(lane: Lane) -> bool:
    """Whether the lane has failed often enough while others passed, and its head has too."""
    trouble = lane.queue[0].trouble
    return lane.failing is not None and lane.failing.hopeless and trouble is not None and trouble.counted > 0
