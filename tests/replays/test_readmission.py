"""From letters to deliveries of the events in them: each at its own offset, shown as the record that it was."""

from collections import Counter
from typing import Any

from consumer.delivery.lane import Delivery
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket, release
from consumer.kafka.committed import Committed
from consumer.kafka.dead_letter import DeadLetter
from consumer.kafka.offset_map import OffsetMap
from consumer.kafka.progress import Progress
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route
from consumer.replays.plan import Planned
from consumer.replays.readmission import Readmission
from consumer.worker.admission import Admission
from tests.delivery.conftest import FakeRecord
from tests.replays.conftest import DEAD, EPOCH_MS, identify, letter, plan_of, router

NOW_MS = EPOCH_MS + 1_000_000
TRACK = {"type": "track", "event": "Clicked", "userId": "ann", "messageId": "m-1"}


class Taking:
    """Takes deliveries, and dead letters."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.parked: list[tuple[DeadLetter, Ticket]] = []

    def add(self, delivery: Delivery) -> None:
        """Keep it."""
        self.deliveries.append(delivery)

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Keep it."""
        self.parked.append((letter, owner))


class Rig:
    """A readmission of some letters, all planned but for those that are named."""

    def __init__(self, *letters: FakeRecord, left: tuple[int, ...] = ()) -> None:
        self.plan = plan_of(*(each for each in letters if each.offset not in left))
        self.taking = Taking()
        self.tally = Tally()
        self.progress = Progress(DEAD.topic, DEAD.partition, 0)
        self.ends: list[tuple[str, Outcome, Reason]] = []
        self.begun: Counter[str] = Counter()
        admission = Admission(
            envelope_path=(),
            mapper=router(),
            outlets={Route.SEGMENTIO: self.taking},
            letters=self.taking,
            tally=self.tally,
        )
        self.readmission = Readmission(admission, self.plan, begun=self._begun, told=self._told)
        self.letters = letters

    def _begun(self, planned: Planned) -> None:
        self.begun[planned.letter] += 1

    def _told(self, planned: Planned, outcome: Outcome, reason: Reason) -> None:
        self.ends.append((planned.letter, outcome, reason))

    def admit(self) -> list[Delivery]:
        """All letters are read."""
        self.readmission.admit(self.progress, list(self.letters), NOW_MS)
        return self.taking.deliveries


def accept(delivery: Delivery) -> None:
    delivery.ticket.settle(delivery.type, Outcome.DELIVERED, Reason.NONE)


def test_what_is_not_planned_stays_open() -> None:
    """So that the commit never says it was sent again."""
    rig = Rig(*(letter(offset, TRACK) for offset in range(4)), left=(1, 3))
    for delivery in rig.admit():
        accept(delivery)
    assert (rig.progress.watermark, rig.progress.runs()) == (1, [1, 1])
    assert [rig.progress.is_open(offset) for offset in range(4)] == [False, True, False, True]
    assert rig.ends == [(f"dead-0@{offset}", Outcome.DELIVERED, Reason.NONE) for offset in (0, 2)]
    assert (rig.tally.open_events, rig.tally.open_bytes, rig.readmission.outstanding) == (0, 0, {DEAD: set()})
    assert release(rig.progress, rig.tally) == 0


def test_a_letter_is_shown_as_the_record_that_it_was() -> None:
    """Its own position and time, the foreign headers, and one replay more."""
    [delivery] = Rig(letter(5, identify(plan="a"), origin=42, replays=1)).admit()
    record = delivery.ticket.record
    assert (record.topic, record.partition, record.offset, record.key) == ("events", 0, 42, b"key")
    assert (record.timestamp, delivery.ticket.arrived_ms) == (EPOCH_MS + 1_000, EPOCH_MS + 1_000)
    headers = dict(record.headers)
    assert (headers["source"], headers["pendo.dlq.replays"]) == (b"web", b"2")


def test_what_fails_again_is_the_event_of_its_own_record() -> None:
    """With the place in its array; the letter is done when the new one is safe."""
    rig = Rig(letter(5, [TRACK, TRACK | {"event": 5}], origin=42, index=1))
    assert rig.admit() == []
    [(parked, owner)] = rig.taking.parked
    headers = dict(parked.headers())
    assert (headers["__connect.errors.topic"], headers["__connect.errors.offset"]) == (b"events", b"42")
    assert (headers["pendo.dlq.event-index"], headers["pendo.dlq.replays"]) == (b"1", b"1")
    assert rig.progress.is_open(5)
    owner.settle(EventType.TRACK, Outcome.DEAD_LETTERED, Reason.INVALID_EVENT)
    assert rig.progress.watermark == 6
    assert rig.ends == [("dead-0@5", Outcome.DEAD_LETTERED, Reason.INVALID_EVENT)]


def test_what_somebody_else_has_sent_meanwhile_is_not_sent() -> None:
    """The plan was made before; the commit that a partition is taken on with tells."""
    rig = Rig(letter(5, TRACK), letter(6, TRACK))
    committed = Committed(5, OffsetMap(b"a-writer", 0, (1, 1)))
    rig.progress = Progress.restored(DEAD.topic, DEAD.partition, 5, committed.finished)
    [delivery] = rig.admit()
    assert rig.begun == {"dead-0@5": 1}
    accept(delivery)
    assert rig.readmission.outstanding == {DEAD: set()}
    assert [end[0] for end in rig.ends] == ["dead-0@5"]


def test_what_was_let_go_of_ends_nowhere() -> None:
    """A verdict that comes after the partition was given up settles nothing."""
    rig = Rig(letter(5, TRACK))
    [delivery] = rig.admit()
    release(rig.progress, rig.tally)
    accept(delivery)
    assert (rig.ends, rig.readmission.outstanding) == ([], {DEAD: {5}})


def test_only_the_one_event_of_an_array_goes() -> None:
    """The others were delivered, or have letters of their own."""
    events: list[dict[str, Any]] = [TRACK | {"messageId": f"m-{number}"} for number in range(3)]
    [delivery] = Rig(letter(5, events, index=1)).admit()
    assert (delivery.message_id, delivery.index) == ("m-1", 1)
