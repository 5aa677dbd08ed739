"""The hand on the valve: what an operator may do to this pod while it runs, and what is said of it.

Who asks comes in as they named themselves; whether they may ask was found out before. Every act leaves a line in the
log and is counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from consumer import metrics
from consumer.delivery.lease import Hold
from consumer.delivery.routes import Routes
from consumer.delivery.tally import Counts
from consumer.delivery.ticket import Ticket
from consumer.kafka.records import parse_position
from consumer.log import get_logger
from consumer.metrics import Sample
from consumer.worker.partitions import Partitions

log = get_logger(__name__)


class Act(StrEnum):
    """What can be done."""

    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"


class Result(StrEnum):
    """What became of it."""

    DONE = "done"
    REFUSED = "refused"
    UNAUTHORIZED = "unauthorized"


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to an operator.

    Attributes:
        result: Whether it was done.
        message: What was done, or why it was not and what to do.
    """

    result: Result
    message: str

    @property
    def done(self) -> bool:
        """Whether it was done."""
        return self.result is Result.DONE


class Hand:
    """Does what an operator asks.

    Attributes:
        acts: How often, by act and result.
    """

    def __init__(self, routes: Routes, partitions: Partitions) -> None:
        self.acts: Counts[tuple[Act, Result]] = Counts()
        self._routes = routes
        self._partitions = partitions

    def pause(self, asked_by: str) -> Said:
        """Start no request any more; reading stops when the buffer is full."""
        if self._routes.is_held(Hold.OPERATOR):
            return self._say(Act.PAUSE, asked_by, Result.DONE, "was paused already")
        self._routes.hold(Hold.OPERATOR)
        return self._say(Act.PAUSE, asked_by, Result.DONE, "paused: nothing is sent until `resume`, or a restart")

    def resume(self, asked_by: str) -> Said:
        """Send again, unless something else forbids it."""
        if not self._routes.is_held(Hold.OPERATOR):
            return self._say(Act.RESUME, asked_by, Result.DONE, "was not paused by an operator")
        self._routes.free(Hold.OPERATOR)
        if self._routes.is_held(Hold.PAUSED):
            return self._say(
                Act.RESUME, asked_by, Result.DONE, "resumed, but delivery.paused in the file still holds it"
            )
        return self._say(Act.RESUME, asked_by, Result.DONE, "resumed")

    def skip(self, position: str, asked_by: str) -> Said:
        """Dead-letter what is open of one record.

        Raises:
            ValueError: It is no position.
        """
        partition, offset = parse_position(position)
        progress = self._partitions.owned.get(partition)
        if progress is None:
            ours = ", ".join(f"{each.topic}-{each.partition}" for each in sorted(self._partitions.owned)) or "none"
            return self._refuse(asked_by, position, f"this pod does not read that partition; it has {ours}")
        record = progress.open_at(offset)
        if not isinstance(record, Ticket):
            return self._refuse(asked_by, position, "that record is not open here: it is settled, or not read yet")
        skipped, on_the_wire = self._routes.skip(record, asked_by)
        if on_the_wire:
            what = f"{on_the_wire} of its requests are on the wire: ask again when they are answered"
            return self._refuse(asked_by, position, what if not skipped else f"{skipped} skipped, {what}")
        if not skipped:
            return self._refuse(asked_by, position, "only its dead letter is waited for: look at the dead-letter topic")
        return self._say(Act.SKIP, asked_by, Result.DONE, f"{skipped} dead-lettered as `operator`", position)

    def unauthorized(self, act: Act) -> None:
        """Somebody asked who may not."""
        self.acts[act, Result.UNAUTHORIZED] += 1
        log.warning("an operator's act was refused: no token, or a wrong one", act=act)

    def _refuse(self, asked_by: str, position: str, why: str) -> Said:
        return self._say(Act.SKIP, asked_by, Result.REFUSED, why, position)

    def _say(self, act: Act, asked_by: str, result: Result, message: str, position: str | None = None) -> Said:
        self.acts[act, result] += 1
        about = {} if position is None else {"position": position}
        log.warning("an operator's act", act=act, asked_by=asked_by, result=result, message=message, **about)
        return Said(result, message)

    def samples(self) -> Iterator[Sample]:
        """How often somebody acted."""
        for (act, result), count in self.acts.items():
            yield Sample(metrics.OPERATOR_ACTS, count, (act.value, result.value))
