"""What newer events have written is left out; what a letter has overtaken is sent once more."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, cast

from consumer.delivery.lane import Delivery
from consumer.delivery.memory import stamp_of
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.progress import Progress
from consumer.kafka.reading import Log
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request
from consumer.replays.newer import Newer, memory_for
from tests.delivery.conftest import FakeRecord
from tests.replays.conftest import EPOCH_MS, identify, letter, plan_of, router


class FakeLog:
    """A topic that grows."""

    def __init__(self) -> None:
        self.unread: list[FakeRecord] = []
        self.while_read: Callable[[], None] = lambda: None
        self._offset = 100

    def add(self, event: Any, offset: int | None = None, came_ms: int = 5_000) -> None:
        """A record arrives."""
        self._offset += 1
        at = self._offset if offset is None else offset
        self.unread.append(FakeRecord("events", 0, at, EPOCH_MS + came_ms, b"k", json.dumps(event).encode()))

    async def catch_up(self) -> AsyncIterator[FakeRecord]:
        """Records that were not read yet."""
        found, self.unread = self.unread, []
        for record in found:
            yield record
        self.while_read()
        self.while_read = lambda: None


class Rig:
    """A follower, with a topic and a memory of its own."""

    def __init__(self, *letters: FakeRecord) -> None:
        self.plan = plan_of(*letters, with_requests=True)
        self.memory = memory_for(self.plan)
        self.sent: list[Delivery] = []
        self.newer = Newer(router(), self.memory, self.plan, self.sent.append)
        self.log = FakeLog()
        self.newer._logs = cast("list[Log]", [self.log])

    def judged(self, number: int = 0) -> Request | Reason:
        """What of a letter would go out now."""
        planned = self.plan.all()[number]
        assert planned.request is not None
        record = FakeRecord("events", 0, 0, planned.came_ms)
        ticket = Ticket(record, Progress("events", 0), Tally(), planned.came_ms)
        return self.memory.judge(planned.request, stamp_of(planned.request, ticket))

    def deliver(self, number: int = 0, outcome: Outcome = Outcome.DELIVERED) -> None:
        """A letter came to its end."""
        self.newer.ended(self.plan.all()[number], outcome)

    def take(self) -> list[str]:
        """The messageIds that are to be sent once more; they are delivered at once."""
        taken, self.sent[:] = list(self.sent), []
        for delivery in taken:
            delivery.ticket.settle(EventType.IDENTIFY, Outcome.DELIVERED, Reason.NONE)
        return [delivery.message_id or "" for delivery in taken]


def fields(request: Request | Reason) -> Iterable[str]:
    assert isinstance(request, Request)
    assert request.state is not None
    return request.state.fields


async def test_what_newer_events_wrote_before_is_left_out() -> None:
    """Of the same visitor; older events, other visitors and facts change nothing."""
    rig = Rig(letter(0, identify(plan="old", color="red")))
    rig.log.add(identify("bea", at_ms=2_000, color="blue"))
    rig.log.add(identify(at_ms=500, color="blue"))
    rig.log.add({"type": "track", "event": "identify", "userId": "ann", "properties": {"color": "blue"}})
    rig.log.add(identify(at_ms=2_000, plan="new"))
    await rig.newer.catch_up()
    assert fields(rig.judged()) == ("color",)
    rig.log.add(identify(at_ms=3_000, color="blue"))
    await rig.newer.catch_up()
    assert rig.judged() is Reason.STALE


async def test_a_type_that_is_written_with_escapes_counts_too() -> None:
    """JSON has several ways to write a letter."""
    rig = Rig(letter(0, identify(plan="old")))
    rig.log.add(identify(at_ms=2_000, plan="new"))
    value = rig.log.unread[0].value or b""
    rig.log.unread[0].value = value.replace(b"identify", b"\\u0069dentify")
    await rig.newer.catch_up()
    assert rig.judged() is Reason.STALE


async def test_what_lies_in_a_letter_itself_has_set_nothing() -> None:
    """Neither the letter's own record, nor that of another that was not sent again."""
    rig = Rig(letter(0, identify(plan="old"), origin=50), letter(1, identify(at_ms=2_000, plan="newer"), origin=60))
    rig.log.add(identify(plan="old"), offset=50)
    rig.log.add(identify(at_ms=2_000, plan="newer"), offset=60)
    await rig.newer.catch_up()
    assert fields(rig.judged()) == ("plan",)


async def test_what_came_while_a_letter_was_on_the_wire_is_sent_once_more() -> None:
    """And what came meanwhile after that, until nothing came."""
    rig = Rig(letter(0, identify(plan="old")))
    rig.newer.begun(rig.plan.all()[0])
    rig.log.add(identify(at_ms=2_000, plan="new"))
    await rig.newer.catch_up()
    assert rig.take() == []
    rig.deliver()
    assert not rig.newer.settled
    await rig.newer.catch_up()
    rig.log.add(identify(at_ms=3_000, plan="newest"))
    await rig.newer.catch_up()
    assert rig.take() == ["ann-2000"]
    await rig.newer.catch_up()
    assert rig.take() == ["ann-3000"]
    await rig.newer.catch_up()
    assert (rig.take(), rig.newer.settled) == ([], True)


async def test_a_letter_that_was_not_delivered_has_overtaken_nothing() -> None:
    """Refused, or found stale."""
    for outcome in (Outcome.DEAD_LETTERED, Outcome.SUPPRESSED):
        rig = Rig(letter(0, identify(plan="old")))
        rig.newer.begun(rig.plan.all()[0])
        rig.log.add(identify(at_ms=2_000, plan="new"))
        await rig.newer.catch_up()
        rig.deliver(outcome=outcome)
        await rig.newer.catch_up()
        assert (rig.take(), rig.newer.settled) == ([], True)


async def test_of_several_newer_events_only_those_that_say_more_are_sent_once_more() -> None:
    """One that writes all that another wrote before stands for both."""
    rig = Rig(letter(0, identify(plan="old")))
    rig.newer.begun(rig.plan.all()[0])
    rig.log.add(identify(at_ms=2_000, plan="a"))
    rig.log.add(identify(at_ms=3_000, color="b"))
    rig.log.add(identify(at_ms=4_000, plan="c"))
    await rig.newer.catch_up()
    rig.deliver()
    await rig.newer.catch_up()
    assert rig.take() == ["ann-3000", "ann-4000"]


async def test_as_long_as_another_letter_of_the_same_is_open_nothing_is_sent_once_more() -> None:
    """It would overtake in turn; one that was let go of does not count."""
    rig = Rig(letter(0, identify(plan="old")), letter(1, identify(at_ms=1_500, plan="older")))
    for planned in rig.plan.all():
        rig.newer.begun(planned)
    rig.log.add(identify(at_ms=2_000, plan="new"))
    await rig.newer.catch_up()
    rig.deliver()
    await rig.newer.catch_up()
    assert rig.take() == []
    rig.newer.none_open()
    await rig.newer.catch_up()
    assert rig.take() == ["ann-2000"]


async def test_what_was_accepted_while_the_topic_was_read_is_looked_at_once_more() -> None:
    """The topic's end was asked for before: what came after that was not seen."""
    rig = Rig(letter(0, identify(plan="old")))
    rig.newer.begun(rig.plan.all()[0])
    rig.log.add(identify(at_ms=2_000, plan="new"))
    rig.log.while_read = rig.deliver
    await rig.newer.catch_up()
    assert rig.take() == []
    rig.log.add(identify(at_ms=3_000, color="late"))
    await rig.newer.catch_up()
    assert rig.take() == ["ann-2000", "ann-3000"]
