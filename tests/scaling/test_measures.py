"""What a run of scaling comes to: an honest one passes with the right figures, and each forged one is found."""

from array import array
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.log import OK, Evidence, Fault, FaultKind, Kind, Produced, Request, Requests
from tests.scaling.measures import longest_pause_s, measure
from tests.scaling.record import Look, Marks, Options, Scaling, Span
from tests.scaling.report import to_text
from tests.scaling.run import grace_s
from tests.scaling.verdict import verdict

RECORDS, PARTITIONS, VISITORS = 350, 4, 40


def _arrival_s(number: int) -> float:
    """Ten records come a second: one member delivers five, four deliver twenty; two pauses of two seconds."""
    if number < 50:
        return number * 0.2
    if number < 190:
        return 12 + (number - 50) * 0.05
    if 250 <= number < 270:
        return 27 + (number - 250) * 0.01
    return number * 0.1 + 0.01


def _sender(number: int) -> int:
    partition = number % VISITORS % PARTITIONS
    if number < 50:
        return 0
    return partition if number < 250 else 1 + partition // 2


class Story:
    """Alone until 10 s, four until 25 s, two until 35 s."""

    def __init__(self) -> None:
        self.produced = Produced()
        self.requests: list[Request] = []
        for number in range(RECORDS):
            self.produced.add(Kind.TRACK, visitor=number % VISITORS, time=number, digest=number)
            self.produced.acknowledged(number, number % VISITORS % PARTITIONS, number)
            self.request(number, _arrival_s(number), _sender(number))
        self.marks = Marks(began_s=0.0, out_s=10.0, rested_s=20.0, in_s=25.0, quiet_s=35.0, settled_s=36.0)
        self.marks.starts = {0: Span(-2.0, -1.0)} | {number: Span(10.0, 11.0 + number / 3) for number in (1, 2, 3)}
        self.marks.ends = {0: Span(25.0, 25.5), 3: Span(25.0, 25.2)}
        self.marks.owners = {0: [1], 1: [1], 2: [2], 3: [2]}
        self.looks = [Look(10.0, 50.0, PARTITIONS), Look(12.0, 66.0, PARTITIONS), Look(21.0, 1.0, PARTITIONS)]

    def request(self, number: int, at_s: float, sender: int) -> None:
        """One that Pendo takes."""
        self.requests.append(Request(number, sender, OK, at_s, at_s + 0.005, number, 0, 0, applied=True))

    def run(self) -> Scaling:
        """As it is judged."""
        ends = {
            partition: sum(each == partition for each in self.produced.partition) for partition in range(PARTITIONS)
        }
        taken = [
            Fault(kind=FaultKind.TERM, began_s=span.began_s, ended_s=span.ended_s, sender=number)
            for number, span in self.marks.ends.items()
        ]
        evidence = Evidence(
            produced=self.produced,
            requests=Requests(b"".join(request.pack() for request in self.requests)),
            letters=[],
            faults=taken,
            committed=ends,
            ends=ends,
            exits=dict.fromkeys(range(4), 0),
            scrapes=1,
            released=1,
            fresh=[300],
            wanted=(FaultKind.TERM,),
        )
        sent_s = array("d", (number * 0.1 for number in range(RECORDS)))
        options = Options(rate=10, partitions=PARTITIONS)
        return Scaling(options=options, evidence=evidence, sent_s=sent_s, marks=self.marks, looks=self.looks)


def test_an_honest_run_passes_and_its_figures_are_right() -> None:
    """Pauses are of the partition that waits longest; what heals a backlog is seen from the endpoint."""
    found = verdict(Story().run())
    assert found.problems == []
    measures = measure(Story().run())
    assert measures.out.pause_s == pytest.approx(2.15)
    assert measures.in_.pause_s == pytest.approx(2.03)
    assert measures.in_.usual_pause_s < 0.5
    assert measures.in_.age_s == pytest.approx(2.005)
    assert sorted(measures.ready_s) == pytest.approx([4 / 3, 5 / 3, 2.0])
    assert all(2 < first_s < 2.2 for first_s in measures.first_s)
    assert sorted(measures.exit_s) == pytest.approx([0.2, 0.5])
    assert measures.backlog_peak == pytest.approx(70, abs=2)
    assert measures.healed_s == pytest.approx(9, abs=0.5)
    assert (measures.shown_peak, measures.shown_after) == (66, 1)
    assert measures.rates == pytest.approx((5, 10, 10), abs=0.6)
    assert list(measures.shares.values()) == pytest.approx([0.25] * 4, abs=0.03)
    report = to_text(Story().run(), found)
    assert "all promises kept" in report
    assert "0 · 0 · 0" in report


def _lose(story: Story) -> None:
    del story.requests[77]


def _repeat_when_three_join(story: Story) -> None:
    story.request(49, 13.0, 1)


def _repeat_when_two_leave(story: Story) -> None:
    story.request(249, 27.0, 1)


def _overtake(story: Story) -> None:
    del story.requests[60]
    story.request(60, _arrival_s(100) + 0.02, 1)


def _lose_an_owner(story: Story) -> None:
    del story.marks.owners[2]


def _own_twice(story: Story) -> None:
    story.marks.owners[2] = [1, 2]


def _own_alone(story: Story) -> None:
    story.marks.owners = {partition: [1] for partition in range(PARTITIONS)}


def _outlive_the_grace(story: Story) -> None:
    story.marks.ends[3] = Span(25.0, 25.0 + grace_s())


def _stay_behind(story: Story) -> None:
    story.looks.append(Look(22.0, 65.0, PARTITIONS))


def _stand_still(story: Story) -> None:
    for index, request in enumerate(story.requests):
        if story.produced.partition[request.message] == 2 and request.arrived_s > 25:
            story.requests[index] = replace(request, arrived_s=42 + index / 100, ended_s=42.005 + index / 100)
    story.marks.ends[0] = Span(25.0, 41.0)


def _be_enough(story: Story) -> None:
    story.requests = [
        replace(each, arrived_s=each.message * 0.1, ended_s=each.message * 0.1) for each in story.requests
    ]


@pytest.mark.parametrize(
    ("forge", "problem"),
    [
        (_lose, "lost"),
        (_repeat_when_three_join, "sent twice"),
        (_repeat_when_two_leave, "sent twice"),
        (_overtake, "order violation"),
        (_lose_an_owner, "belongs to nobody"),
        (_own_twice, "belongs to [1, 2]"),
        (_own_alone, "not both"),
        (_outlive_the_grace, "grace period"),
        (_stay_behind, "did not fall"),
        (_stand_still, "stood still"),
        (_be_enough, "proves nothing"),
    ],
)
def test_a_forged_run_is_found(forge: Callable[[Story], None], problem: str) -> None:
    """Each in one way."""
    story = Story()
    forge(story)
    assert any(problem in each for each in verdict(story.run()).problems)


def test_a_pause_is_the_longest_time_without_an_arrival_in_a_span() -> None:
    """What lies before and after does not count; without any arrival all of it is a pause."""
    assert longest_pause_s([0, 9, 10, 12, 13, 20], Span(8, 14)) == 2
    assert longest_pause_s([9], Span(8, 14)) == 5
    assert longest_pause_s([], Span(8, 14)) == 6
