"""An oracle that cannot fail proves nothing: each forged piece of evidence must be found, and an honest one pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos import log
from tests.chaos.log import (
    GONE,
    NOBODY,
    OK,
    RESET,
    Evidence,
    Fault,
    FaultKind,
    Kind,
    Letter,
    Produced,
    Request,
    Requests,
)
from tests.chaos.oracle import judge
from tests.chaos.traffic import ALL_TRAITS, fields_digest, traits_of

ODD = [Kind.POISON, Kind.BROKEN, Kind.TOMBSTONE, Kind.ANONYMOUS, Kind.FILTERED]


def _request(message: int, at_s: float, *, sender: int = 0, mask: int = 0, **changed: float) -> Request:
    _, fields = fields_digest(traits_of(message // log.SAME_VALUES, mask))
    request = Request(message, sender, OK, at_s, at_s + 0.05, message, fields, mask, applied=True)
    return replace(request, **changed)  # type: ignore[arg-type]


class Story:
    """An honest run: four visitors, a kill of process 0 at 2.0 s that repeats one event, and all odd kinds of records.

    Records: 0..39 tracks of four visitors in turn, 40 and 41 identifies, 42 a group, 43 a repeat of 39, then the odd.
    """

    def __init__(self) -> None:
        self.produced = Produced()
        self.requests: list[Request] = []
        for number in range(40):
            self.record(Kind.TRACK, visitor=number % 4)
            self.requests.append(_request(number, number * 0.1, sender=0 if number < 20 else 1))
        for number, kind in ((40, Kind.IDENTIFY), (41, Kind.IDENTIFY), (42, Kind.GROUP)):
            self.record(kind, visitor=0, account=7, mask=ALL_TRAITS)
            self.requests.append(_request(number, number * 0.1, sender=1, mask=ALL_TRAITS))
        self.record(Kind.TRACK, visitor=3, message=39)
        self.letters: list[Letter] = []
        for kind in ODD:
            number = self.record(kind, visitor=1)
            if kind in (Kind.POISON, Kind.BROKEN):
                self.letters.append(Letter(0, number, "refused" if kind is Kind.POISON else "undecodable"))
        # In flight at the kill: once by the process that was killed, once by the one that took over.
        self.requests.append(_request(19, 2.1, sender=1))
        self.requests[19] = _request(19, 1.9, ended_s=2.01)
        self.kill = Fault(kind=FaultKind.KILL, began_s=2.0, ended_s=3.0, sender=0)
        self.changes: dict[str, object] = {}

    def record(self, kind: Kind, *, visitor: int, message: int | None = None, account: int = 0, mask: int = 0) -> int:
        """One more record in partition 0; its digest is its message's number."""
        number = len(self.produced)
        self.produced.add(
            kind,
            visitor=visitor,
            time=number if message is None else message,
            message=message,
            account=account,
            mask=mask,
            digest=number if message is None else message,
        )
        self.produced.acknowledged(number, 0, number)
        return number

    def evidence(self) -> Evidence:
        """What the oracle gets."""
        evidence = Evidence(
            produced=self.produced,
            requests=Requests(b"".join(request.pack() for request in self.requests)),
            letters=self.letters,
            faults=[self.kill],
            committed={0: len(self.produced)},
            ends={0: len(self.produced)},
            exits={1: 0},
            scrapes=1,
            fresh=[42],
            wanted=(FaultKind.KILL,),
        )
        return replace(evidence, **self.changes)  # type: ignore[arg-type]

    def problems(self) -> set[str]:
        """What the oracle finds."""
        return set(judge(self.evidence()).problems)


def test_an_honest_run_passes_and_its_figures_are_right() -> None:
    """One duplicate for one request in flight at the kill; a repeat of Segment's own is left out."""
    findings = judge(Story().evidence())
    assert findings.problems == {}
    assert findings.counts["delivered"] == 43
    assert findings.counts["suppressed: repeat"] == 1
    assert findings.counts["dead-lettered"] == 2
    assert findings.counts["skipped or filtered"] == 3
    assert findings.duplicates == {"SIGKILL": 1}
    assert [(kill.in_flight, kill.repeated, kill.clean) for kill in findings.hits] == [(1, 1, True)]


def _lose(story: Story) -> None:
    del story.requests[30]


def _lose_though_sent(story: Story) -> None:
    story.requests[30] = replace(story.requests[30], status=GONE, applied=False)


def _lose_a_state(story: Story) -> None:
    """The later one of two: nothing newer says what it says."""
    del story.requests[41]


def _lose_a_link(story: Story) -> None:
    """A newer group of the account says all of its traits, but not that this visitor belongs to it."""
    del story.requests[42]
    number = story.record(Kind.GROUP, visitor=2, account=7, mask=ALL_TRAITS)
    story.requests.append(_request(number, 6.0, sender=1, mask=ALL_TRAITS))


def _repeat_without_cause(story: Story) -> None:
    story.requests.append(_request(10, 1.5))
    story.changes["faults"] = [replace(story.kill, began_s=1.95)]


def _repeat_many(story: Story) -> None:
    """More than three for the one in flight, and more than was delivered just before."""
    for number in range(2, 19):
        story.requests.append(_request(number, 2.1 + number * 0.1, sender=1))


def _repeat_at_a_graceful_handover(story: Story) -> None:
    """Process 5 ended in order, so the partitions of process 1 moved on; what it had delivered is delivered again."""
    story.requests.append(_request(34, 3.6, sender=2))
    story.changes["faults"] = [story.kill, Fault(kind=FaultKind.TERM, began_s=3.3, ended_s=3.5, sender=5)]


def _send_without_a_lease(story: Story) -> None:
    """Process 0 awakes at 3.2 s and goes on where it stood, though process 1 has its partition."""
    story.requests += [_request(number, 3.2 + number / 100, status=500, applied=False) for number in range(20, 24)]
    freeze = Fault(kind=FaultKind.STOP_LONG, began_s=2.0, ended_s=3.2, sender=0)
    story.changes["faults"] = [story.kill, freeze]


def _swap(story: Story) -> None:
    """The second of two of one visitor first."""
    story.requests[24], story.requests[28] = _request(24, 2.8, sender=1), _request(28, 2.4, sender=1)


def _swap_at_a_handover(story: Story) -> None:
    """No excuse: the later one was sent before the earlier one."""
    story.requests[16], story.requests[20] = _request(16, 2.4, sender=1), _request(20, 1.99, ended_s=2.01)


def _side_by_side(story: Story) -> None:
    story.requests[24] = _request(24, 2.4, sender=1, ended_s=2.85)


def _change_a_payload(story: Story) -> None:
    story.requests[30] = replace(story.requests[30], digest=999)


def _change_a_trait(story: Story) -> None:
    story.requests[40] = replace(story.requests[40], fields=999)


def _invent_a_trait(story: Story) -> None:
    story.requests[40] = replace(story.requests[40], mask=ALL_TRAITS | 1 << 15)


def _strip_what_nothing_newer_set(story: Story) -> None:
    story.requests[41] = _request(41, 4.1, sender=1, mask=0b1111)


def _forget_a_letter(story: Story) -> None:
    del story.letters[0]


def _give_a_wrong_reason(story: Story) -> None:
    story.letters[0] = replace(story.letters[0], reason="exhausted")


def _bury_a_good_event(story: Story) -> None:
    story.letters.append(Letter(0, 5, "exhausted"))


def _bury_nothing(story: Story) -> None:
    story.letters.append(Letter(1, 5, "refused"))


def _accept_poison(story: Story) -> None:
    story.requests.append(_request(44, 5.0, sender=1))


def _send_what_is_not_for_pendo(story: Story) -> None:
    story.requests.append(_request(48, 5.0, sender=1))


def _send_what_nobody_produced(story: Story) -> None:
    story.requests.append(_request(4_000, 5.0, sender=1))


def _send_from_nobody(story: Story) -> None:
    story.requests[30] = replace(story.requests[30], sender=NOBODY)


def _stand_still(story: Story) -> None:
    story.requests[42] = _request(42, 40.0, sender=1, mask=ALL_TRAITS)


def _commit_too_little(story: Story) -> None:
    story.changes["committed"] = {0: 20}


def _exit_badly(story: Story) -> None:
    story.changes["exits"] = {1: 1}


def _die(story: Story) -> None:
    story.changes["died"] = ["process 1 ended with 1"]


def _lose_count(story: Story) -> None:
    story.changes["unaccounted"] = 1


def _no_fault(story: Story) -> None:
    story.changes["faults"] = []
    del story.requests[-1]


def _kill_nobody(story: Story) -> None:
    """Nothing was in flight, nothing repeated, nothing released."""
    story.requests[19] = _request(19, 1.9)
    del story.requests[-1]


def _no_fresh_event(story: Story) -> None:
    story.changes["fresh"] = []


def _ask_nobody(story: Story) -> None:
    story.changes["scrapes"] = 0


@pytest.mark.parametrize(
    ("forge", "found"),
    [
        (_lose, "lost"),
        (_lose_though_sent, "lost"),
        (_lose_a_state, "lost"),
        (_lose_a_link, "lost"),
        (_repeat_without_cause, "unexplained duplicate"),
        (_repeat_many, "too many duplicates after a SIGKILL"),
        (_repeat_at_a_graceful_handover, "duplicate at a graceful handover"),
        (_send_without_a_lease, "sent without a lease"),
        (_swap, "order violation"),
        (_swap_at_a_handover, "order violation"),
        (_side_by_side, "order violation"),
        (_side_by_side, "overlap in a lane"),
        (_change_a_payload, "wrong payload"),
        (_change_a_trait, "wrong payload"),
        (_invent_a_trait, "wrong payload"),
        (_strip_what_nothing_newer_set, "wrong payload"),
        (_forget_a_letter, "missing dead letter"),
        (_give_a_wrong_reason, "wrong reason"),
        (_bury_a_good_event, "needless dead letter"),
        (_bury_nothing, "dead letter of nothing"),
        (_accept_poison, "poison accepted"),
        (_send_what_is_not_for_pendo, "delivered though not for Pendo"),
        (_send_what_nobody_produced, "unknown request"),
        (_send_from_nobody, "unknown request"),
        (_stand_still, "no progress"),
        (_commit_too_little, "lag at the end"),
        (_exit_badly, "bad exit"),
        (_die, "ended by itself"),
        (_lose_count, "unaccounted"),
        (_no_fault, "proves nothing"),
        (_kill_nobody, "proves nothing"),
        (_no_fresh_event, "bad run"),
        (_ask_nobody, "bad run"),
    ],
)
def test_each_forgery_is_found(forge: Callable[[Story], None], found: str) -> None:
    """And the run is called a failure."""
    story = Story()
    forge(story)
    assert found in story.problems()


def test_an_older_state_may_be_left_out_when_a_newer_one_said_it_all() -> None:
    """The first of two identifies of one visitor with the same fields."""
    story = Story()
    del story.requests[40]
    findings = judge(story.evidence())
    assert findings.ok
    assert findings.counts["suppressed: stale"] == 1


def _leave_out_and_repeat(story: Story, *, again: bool) -> None:
    """Process 0 left out an old identify and delivered what followed; process 1, which did not know, sends both."""
    old = story.record(Kind.IDENTIFY, visitor=0, mask=0b1)
    story.produced.time[old] = 0
    later = story.record(Kind.TRACK, visitor=0)
    story.requests.append(_request(later, 4.5, sender=0))
    story.requests.append(_request(old, 6.0, sender=1, mask=0b1))
    if again:
        story.requests.append(_request(later, 6.1, sender=1))
    story.changes["faults"] = [story.kill, replace(story.kill, began_s=5.0, ended_s=5.5)]


def test_a_state_that_was_left_out_may_come_when_what_followed_is_repeated() -> None:
    """In its turn: the later one comes once more behind it. Else it is a violation."""
    story = Story()
    _leave_out_and_repeat(story, again=True)
    findings = judge(story.evidence())
    assert not {"order violation"} & set(findings.problems)
    assert findings.counts["left out, then repeated with what followed"] == 1
    story = Story()
    _leave_out_and_repeat(story, again=False)
    assert "order violation" in story.problems()


def test_a_state_may_lose_fields_that_something_newer_set() -> None:
    """It is delivered with the rest."""
    story = Story()
    story.requests[40] = _request(40, 4.0, sender=1, mask=0b1111)
    findings = judge(story.evidence())
    assert findings.ok
    assert findings.counts["lost fields to newer events"] == 1


@pytest.mark.parametrize("same", [False, True])
def test_an_older_state_after_a_newer_one_is_found_once_newest_wins(
    monkeypatch: pytest.MonkeyPatch, *, same: bool
) -> None:
    """As soon as any field was left out, there is a memory, and then no older value may follow a newer one.

    The same values may: groups of one account with equal traits go side by side.
    """
    monkeypatch.setattr(log, "SAME_VALUES", 1000 if same else 1)
    story = Story()
    story.requests[40], story.requests[41] = (
        _request(40, 4.2, sender=1, mask=0b1),
        _request(41, 4.0, sender=1, mask=ALL_TRAITS),
    )
    assert ("newest does not win" in story.problems()) is not same


def test_an_answer_that_came_while_its_sender_was_frozen_tells_it_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it wakes up its own deadline is over: it does not know that the newer state was accepted."""
    monkeypatch.setattr(log, "SAME_VALUES", 1)
    story = Story()
    story.requests[40], story.requests[41] = (
        _request(40, 4.2, sender=1, mask=0b1),
        _request(41, 4.0, sender=1, mask=ALL_TRAITS),
    )
    freeze = Fault(kind=FaultKind.STOP_SHORT, began_s=4.04, ended_s=9.5, sender=1)
    story.changes["faults"] = [story.kill, freeze]
    assert "newest does not win" not in story.problems()
    story.changes["faults"] = [story.kill, replace(freeze, ended_s=4.1)]
    assert "newest does not win" in story.problems()


@pytest.mark.parametrize("kind", [FaultKind.KILL, FaultKind.STOP_LONG])
def test_what_was_on_its_way_when_a_process_was_killed_or_frozen_is_the_faults(kind: FaultKind) -> None:
    """It arrives a moment after the signal, later on a busy machine; the process itself sends nothing more."""
    story = Story()
    story.requests[19] = _request(19, 2.001, ended_s=2.04)
    story.changes["faults"] = [replace(story.kill, kind=kind)]
    findings = judge(story.evidence())
    assert findings.duplicates == {kind: 1}


def test_an_answer_that_got_lost_excuses_the_second_delivery() -> None:
    """Pendo had kept the event and then cut the connection: nobody could know."""
    story = Story()
    story.requests.append(_request(30, 3.01, sender=1))
    story.requests[30] = replace(_request(30, 2.95, sender=1), status=RESET, ended_s=3.0)
    findings = judge(story.evidence())
    assert findings.ok
    assert findings.duplicates["answer lost"] == 1


def test_what_was_in_flight_at_a_handover_is_counted_apart() -> None:
    """The killed process's request was still being answered when the next process sent the visitor's next event."""
    story = Story()
    story.requests[16] = _request(16, 1.9, ended_s=2.06)
    story.requests[20] = _request(20, 2.05, sender=1)
    findings = judge(story.evidence())
    assert findings.ok
    assert findings.counts["in flight at a handover"] == 1


def test_silence_during_an_outage_is_no_lack_of_progress() -> None:
    """The same silence outside of one is: see above."""
    story = Story()
    story.requests[42] = _request(42, 40.0, sender=1, mask=ALL_TRAITS)
    outage = Fault(kind=FaultKind.OUTAGE, began_s=5.0, ended_s=36.0)
    story.changes["faults"] = [story.kill, outage]
    assert story.problems() == set()


class CallStory:
    """An honest run by calls: two identifies of one visitor in one call, the later one's fields over the earlier's.

    Records: 0 and 1 identifies, 2 a wrong one, 3 a group, 4 a track of the Track Events API.
    """

    def __init__(self) -> None:
        self.produced = Produced(by_calls=True)
        for number, (kind, mask) in enumerate(
            [(Kind.IDENTIFY, 0b11), (Kind.IDENTIFY, 0b1), (Kind.WRONG, 0), (Kind.GROUP, 0b1), (Kind.TRACK, 0)]
        ):
            self.produced.add(kind, visitor=1, time=number, account=7, mask=mask, digest=0)
            self.produced.acknowledged(number, 0, number)
        self.requests = {number: self.row(number, 1.0) for number in (1, 3, 4)}
        self.requests[0] = self.row(0, 1.0, mask=0b10)
        self.letters = [Letter(0, 2, "refused")]

    def row(self, message: int, at_s: float, *, mask: int | None = None) -> Request:
        """What a call, or a request, carries of one message."""
        mask = self.produced.mask[message] if mask is None else mask
        _, fields = fields_digest(traits_of(message, mask))
        return Request(message, 1, OK, at_s, at_s + 0.5, 0, fields, mask, applied=True)

    def problems(self) -> set[str]:
        """What the oracle finds, but for the lack of faults."""
        evidence = Evidence(
            produced=self.produced,
            requests=Requests(b"".join(request.pack() for request in self.requests.values())),
            letters=self.letters,
            faults=[],
            committed={0: 5},
            ends={0: 5},
            exits={1: 0},
            scrapes=1,
            fresh=[4],
            wanted=(),
        )
        return set(judge(evidence).problems) - {"proves nothing"}


def test_an_honest_run_by_calls_passes() -> None:
    """Side by side in one call is no overlap, and what a newer event wrote over need not have gone out."""
    assert CallStory().problems() == set()


def _lose_one_of_a_call(story: CallStory) -> None:
    del story.requests[1]


def _write_the_older_later(story: CallStory) -> None:
    story.requests[0] = story.row(0, 9.0)
    story.requests[5] = story.row(0, 9.5, mask=0b10)


def _call_beside_a_call(story: CallStory) -> None:
    story.requests[1] = story.row(1, 1.2)


def _take_what_is_wrong(story: CallStory) -> None:
    story.requests[2] = story.row(2, 3.0)


def _mix_up_values(story: CallStory) -> None:
    story.requests[3] = replace(story.requests[3], fields=1)


@pytest.mark.parametrize(
    ("forge", "found"),
    [
        (_lose_one_of_a_call, "lost"),
        (_write_the_older_later, "newest does not win"),
        (_call_beside_a_call, "overlap in a lane"),
        (_take_what_is_wrong, "poison accepted"),
        (_mix_up_values, "wrong payload"),
    ],
)
def test_each_forgery_of_a_run_by_calls_is_found(forge: Callable[[CallStory], None], found: str) -> None:
    """And nothing else hides it."""
    story = CallStory()
    forge(story)
    assert found in story.problems()
