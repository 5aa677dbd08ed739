"""An operator's hand: what is a position, and what is said of acts that cannot be done."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from consumer.delivery.lease import Hold, Lease
from consumer.delivery.routes import Routes
from consumer.kafka.cluster import Cluster
from consumer.kafka.letterbox import Letterbox
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, parse_position
from consumer.outcomes import EventType
from consumer.pendo.requests import Route
from consumer.worker.hand import Act, Hand, Result
from consumer.worker.partitions import Partitions
from tests.delivery.conftest import Bench, Box, Engine


class Owned:
    """As much of the partitions as a hand looks at."""

    def __init__(self, owned: Mapping[Partition, Progress]) -> None:
        self.owned = dict(owned)


class Stand:
    """A hand on a pod that has one partition and sends nothing."""

    def __init__(self) -> None:
        self.bench = Bench()
        engine = Engine(lease=Lease(30))
        self.lease = engine.lease
        self.box = Box()
        self.senders = engine.senders(self._never, self.box)
        self.letterbox = Letterbox("dead", {}, Cluster({}))
        self.routes = Routes({Route.SEGMENTIO: self.senders}, self.letterbox, engine.lease)
        owned = Owned({Partition("t", 0): self.bench.progress})
        self.hand = Hand(self.routes, cast("Partitions", owned))

    async def _never(self, _: bytes) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
async def stand() -> Stand:
    """A stand, in the running loop."""
    return Stand()


@pytest.mark.parametrize(
    ("text", "partition", "offset"),
    [
        ("t-0@42", Partition("t", 0), 42),
        ("a-b.c_d-12@0", Partition("a-b.c_d", 12), 0),
        ("x@y-3@7", Partition("x@y", 3), 7),
    ],
)
def test_a_position_is_read(text: str, partition: Partition, offset: int) -> None:
    """A topic may hold dashes."""
    assert parse_position(text) == (partition, offset)


@pytest.mark.parametrize(
    "text", ["", "t", "t-0", "t@1", "t-x@1", "-0@1", "t-0@", "t-0@-1", "t-0@1.5", "t-²@1", "t-0 @1"]
)
def test_what_is_no_position_says_what_one_is(text: str) -> None:
    """Before anything is asked of a pod."""
    with pytest.raises(ValueError, match="TOPIC-PARTITION@OFFSET"):
        parse_position(text)


async def test_pausing_twice_and_resuming_twice_is_harmless(stand: Stand) -> None:
    """Said, and counted."""
    assert stand.hand.resume("ada").message == "was not paused by an operator"
    assert stand.hand.pause("ada").message.startswith("paused")
    assert stand.hand.pause("ada").message == "was paused already"
    assert stand.lease.held == {Hold.OPERATOR}
    assert stand.hand.resume("ada").message == "resumed"
    assert stand.lease.held == set()
    assert stand.hand.acts == {(Act.PAUSE, Result.DONE): 2, (Act.RESUME, Result.DONE): 2}


async def test_a_resume_does_not_undo_the_files_pause(stand: Stand) -> None:
    """It is somebody else's."""
    stand.routes.hold(Hold.PAUSED)
    stand.hand.pause("ada")
    assert stand.hand.resume("ada").message == "resumed, but delivery.paused in the file still holds it"
    assert stand.lease.held == {Hold.PAUSED}


async def test_a_skip_of_what_is_not_ours_or_not_open_changes_nothing_and_says_why(stand: Stand) -> None:
    """With this pod's partitions."""
    foreign = stand.hand.skip("other-3@1", "ada")
    assert (foreign.done, foreign.message) == (False, "this pod does not read that partition; it has t-0")
    for offset in (0, 5):
        assert "is not open here" in stand.hand.skip(f"t-0@{offset}", "ada").message
    assert stand.hand.acts == {(Act.SKIP, Result.REFUSED): 3}


async def test_a_skip_dead_letters_what_is_open_of_a_record(stand: Stand) -> None:
    """And only that record's."""
    delivery, other = stand.bench.delivery("ann"), stand.bench.delivery("ann")
    stand.senders.add(delivery)
    stand.senders.add(other)
    assert stand.hand.skip("t-0@0", "ada").message == "1 dead-lettered as `operator`"
    again = stand.hand.skip("t-0@0", "ada")
    assert (again.done, again.message) == (
        False,
        "only its dead letter is waited for: look at the dead-letter topic",
    )
    [lane] = list(stand.senders.lanes)
    assert lane.queue == [other]
    assert [(letter.reason, letter.type) for letter, _ in stand.letterbox._letters] == [("operator", EventType.TRACK)]
    assert {tuple(sample.labels): sample.value for sample in stand.hand.samples()} == {
        ("skip", "done"): 1,
        ("skip", "refused"): 1,
    }


async def test_somebody_without_a_token_is_counted(stand: Stand) -> None:
    """A knock at the door."""
    stand.hand.unauthorized(Act.PAUSE)
    assert stand.hand.acts == {(Act.PAUSE, Result.UNAUTHORIZED): 1}
