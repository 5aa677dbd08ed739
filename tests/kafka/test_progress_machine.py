"""Progress, offset map and tickets against a model: whatever happens, nothing unfinished is committed past.

The model is the log, what a broker holds as the group's commit, and which records are truly done. Processes come and
go: ours, which reads, settles, loses and gets back its partition and crashes, and another one in between.
"""

from dataclasses import dataclass, field
from itertools import accumulate

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket, release
from consumer.kafka.offset_map import MAX_TEXT_BYTES, decode, encode, writer_of
from consumer.kafka.progress import Progress
from consumer.outcomes import EventType, Outcome, Reason

OTHER = b"an-other"


@dataclass
class Raw:
    """A record."""

    offset: int
    topic: str = "t"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = b"value"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Delivery(RuleBasedStateMachine):
    """One partition from end to end, beside sets of plain integers."""

    late = Bundle("late")

    def __init__(self) -> None:
        super().__init__()
        self.log: dict[int, int] = {}
        self.log_begin = self.log_end = 0
        self.broker: tuple[int, str] | None = None
        self.done: set[int] = set()
        self.processes = 0
        self._new_process()

    def _new_process(self) -> None:
        self.processes += 1
        self.tag = self.processes.to_bytes(8, "big")
        self.tally = Tally()
        self.kept: Progress | None = None
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        """Restore, as the worker does it; the model then knows which offsets are to start, and which never again."""
        self.open: dict[int, Ticket] = {}
        self.finished: set[int] = set()
        self.unread: set[int] = set()
        if self.broker is None:
            self.progress: Progress | None = Progress("t", 0, self.log_begin)
            self.progress.last_read = self.log_begin - 1
        else:
            offset, metadata = self.broker
            found = decode(metadata, offset)
            assert found is not None
            self.progress = Progress.restored("t", 0, offset, found)
            for index, length in enumerate(found.runs):
                (self.finished if index % 2 else self.unread).update(range(offset, offset + length))
                offset += length
            self.progress.last_read = self.broker[0] - 1
            self._pass_over(self.progress)
            self.progress.last_read = max(self.progress.last_read, self.log_begin - 1)
        self.committed_in_epoch = -1

    def _pass_over(self, progress: Progress) -> None:
        """What retention took is passed over, and every offset that is lost with it is counted."""
        assert progress.next_offset is not None
        lost = {offset for offset in self.unread if offset < self.log_begin}
        never_read = max(0, self.log_begin - progress.next_offset)
        assert progress.skip_to(self.log_begin) == len(lost) + never_read
        self.unread -= lost
        assert progress.next_offset >= self.log_begin

    @rule(records=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=15))
    def produce(self, records: list[tuple[int, int]]) -> None:
        """Records of one to three events, with gaps between, as compaction leaves them."""
        for events, gap in records:
            self.log[self.log_end + gap] = events
            self.log_end += gap + 1

    @precondition(lambda self: self.progress is not None)
    @rule(count=st.integers(1, 20))
    def poll(self, count: int) -> None:
        """Read on: what is known as finished, or open, does not start again, and everything else does."""
        progress = self.progress
        assert progress is not None
        if progress.last_read + 1 < self.log_begin:
            self._pass_over(progress)
            progress.last_read = self.log_begin - 1
        for offset in [o for o in sorted(self.log) if o > progress.last_read][:count]:
            self._admit(progress, offset)
            progress.last_read = offset

    def _admit(self, progress: Progress, offset: int) -> None:
        ticket = Ticket(Raw(offset), progress, self.tally, 0)
        started = progress.start(offset, ticket)
        assert started == (offset not in self.finished and offset not in self.open)
        self.unread = {other for other in self.unread if other > offset}
        if started:
            ticket.admit(self.log[offset])
            self.tally.received[EventType.TRACK] += self.log[offset]
            self.open[offset] = ticket

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Any open event ends, in any order; a partition that is kept while it is nobody's, too."""
        self.settle_one(data.draw(st.sampled_from(sorted(self.open))))

    def settle_one(self, offset: int) -> None:
        """One event of this record ends."""
        ticket = self.open[offset]
        ticket.settle(EventType.TRACK, Outcome.DELIVERED, Reason.NONE)
        if ticket.open == 0:
            del self.open[offset]
            self.finished.add(offset)
            self.done.add(offset)

    @rule(ticket=consumes(late))
    def settle_late(self, ticket: Ticket) -> None:
        """A verdict of what was released changes nothing."""
        before = (self.tally.settled.total(), self.tally.open_events, self.tally.open_bytes)
        ticket.settle(EventType.TRACK, Outcome.DELIVERED, Reason.NONE)
        assert (self.tally.settled.total(), self.tally.open_events, self.tally.open_bytes) == before

    @precondition(lambda self: self.progress is not None)
    @rule(fate=st.sampled_from(["confirmed", "unknown", "lost"]))
    def commit(self, fate: str) -> None:
        """Write watermark and map: it is confirmed, done without our knowing it, or not done."""
        progress = self.progress
        assert progress is not None
        watermark = progress.watermark
        assert watermark is not None
        assert watermark >= self.committed_in_epoch, "never backwards within an epoch"
        runs = progress.runs()
        text = encode(watermark, runs, self.tag)
        found = decode(text, watermark)
        assert len(text) <= MAX_TEXT_BYTES
        assert found is not None
        assert list(found.runs) == runs
        ends = list(accumulate(runs, initial=watermark))
        mapped = {offset for begin, end in zip(ends[1::2], ends[2::2], strict=True) for offset in range(begin, end)}
        beyond = {offset for offset in self.finished if offset >= watermark}
        assert beyond <= mapped, "what is finished never comes again once this is committed"
        if fate != "lost":
            self.broker = (watermark, text)
            self.committed_in_epoch = watermark
        if fate == "confirmed":
            progress.committed = watermark

    @precondition(lambda self: self.progress is not None)
    @rule()
    def revoke(self) -> None:
        """What is open is kept: it may come back."""
        self.kept, self.progress = self.progress, None

    @precondition(lambda self: self.progress is None)
    @rule(data=st.data())
    def another_process_has_it(self, data: st.DataObject) -> None:
        """It goes on from the commit, finishes some of what it reads, and commits."""
        offset, metadata = self.broker or (self.log_begin, encode(self.log_begin, (), OTHER))
        theirs = Progress.restored("t", 0, offset, decode(metadata, offset))
        theirs.skip_to(self.log_begin)
        tally = Tally()
        for other in sorted(self.log):
            ticket = Ticket(Raw(other), theirs, tally, 0)
            if other >= offset and theirs.start(other, ticket):
                ticket.admit(1)
                if data.draw(st.booleans()):
                    ticket.settle(EventType.TRACK, Outcome.DELIVERED, Reason.NONE)
                    self.done.add(other)
        watermark = theirs.watermark
        assert watermark is not None
        self.broker = (watermark, encode(watermark, theirs.runs(), OTHER))

    @precondition(lambda self: self.progress is None)
    @rule(target=late)
    def reassign(self) -> object:
        """Ours again: the same epoch goes on if the last commit is ours, else a new one begins at it."""
        assert self.kept is not None
        kept, self.kept = self.kept, None
        if self.broker is not None and writer_of(self.broker[1]) == self.tag:
            self.progress = kept
            return multiple()
        return self._release(kept)

    @precondition(lambda self: self.progress is None)
    @rule(target=late)
    def reassign_after_it_was_somebody_elses(self) -> object:
        """It was released meanwhile: a new epoch, though the commit may still be ours."""
        assert self.kept is not None
        kept, self.kept = self.kept, None
        return self._release(kept)

    def _release(self, progress: Progress) -> object:
        tickets = list(self.open.values())
        events = sum(ticket.open for ticket in tickets)
        assert release(progress, self.tally) == events
        assert all(ticket.released for ticket in tickets)
        self._begin_epoch()
        return multiple(*tickets)

    @rule()
    def crash(self) -> None:
        """A new process knows nothing but what the broker holds."""
        self._new_process()

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """Retention takes the log's beginning; what was read ahead of it stays open here."""
        self.log_begin = data.draw(st.integers(self.log_begin, self.log_end))
        for offset in [offset for offset in self.log if offset < self.log_begin]:
            del self.log[offset]

    @precondition(lambda self: len(self.log) > 1)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        """A newer record of its key has taken one out; the last always stays."""
        del self.log[data.draw(st.sampled_from(sorted(self.log)[:-1]))]

    @invariant()
    def nothing_unfinished_is_committed(self) -> None:
        """Neither passed by the offset, nor called finished by the map."""
        if self.broker is None:
            return
        offset, metadata = self.broker
        unfinished = {o for o in self.log if o not in self.done}
        assert all(o >= offset for o in unfinished)
        found = decode(metadata, offset)
        assert found is not None
        for index, length in enumerate(found.runs):
            assert not (index % 2 and unfinished & set(range(offset, offset + length)))
            offset += length

    @invariant()
    def the_watermark_waits_for_what_is_open(self) -> None:
        """And for what was open at the restore and is not read again yet; it stands nowhere else."""
        progress = self.progress or self.kept
        assert progress is not None
        waits_for = [*self.open, *self.unread]
        assert progress.watermark == (min(waits_for) if waits_for else progress.next_offset)
        assert progress.open_offsets == len(waits_for)
        assert progress.open_records_count == len(self.open)
        assert progress.unread == bool(self.unread)

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        """Received is settled, released or open; bytes are those of what is open."""
        progress = self.progress or self.kept
        assert progress is not None
        really_open = sum(ticket.open for ticket in progress.open_records())
        assert self.tally.unaccounted(really_open) == 0
        assert self.tally.open_events == really_open
        assert self.tally.open_bytes == sum(ticket.held_bytes for ticket in self.open.values())

    def teardown(self) -> None:
        """However it went: a process that is left alone finishes everything that the log still holds."""
        self._new_process()
        self.poll(len(self.log) + 1)
        for offset, ticket in list(self.open.items()):
            while ticket.open:
                ticket.settle(EventType.TRACK, Outcome.DELIVERED, Reason.NONE)
            self.done.add(offset)
        assert set(self.log) <= self.done
        assert self.progress is not None
        watermark = self.progress.watermark
        assert watermark is not None
        assert all(offset < watermark for offset in self.log)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_machine_comes_to_restores_in_which_a_map_tells_what_is_finished() -> None:
    """Else it would prove nothing of them: here by hand, 1, 3 and 4 of six are finished before the crash."""
    machine = Delivery()
    machine.produce([(1, 0)] * 6)
    machine.poll(6)
    for offset in (4, 1, 3):
        machine.settle_one(offset)
    machine.commit("unknown")
    machine.crash()
    assert (machine.unread, machine.finished) == ({0, 2}, {1, 3, 4})
    machine.poll(6)
    assert set(machine.open) == {0, 2, 5}
    machine.nothing_unfinished_is_committed()
    machine.the_watermark_waits_for_what_is_open()
    machine.every_event_is_accounted_for()
    machine.teardown()
