"""The benchmarks run: in small, and without looking at the time."""

from dataclasses import replace

import orjson
import pytest

from benchmarks import (
    answers,
    calls,
    chaos,
    crashes,
    engine,
    events,
    fuzz,
    growth,
    handovers,
    lateness,
    machine,
    mapping,
    memory,
    outages,
    pipe,
    results,
    scaling,
    soak,
    starting,
    throughput,
)
from benchmarks.figures import Figure, Row, to_markdown, to_text
from benchmarks.handovers import Handover, Handovers
from benchmarks.journal import Journal
from benchmarks.outages import Outage
from benchmarks.parties import Cost, Party
from benchmarks.percentiles import median_and_p99
from benchmarks.processes import Journal as Summary
from benchmarks.processes import PartyError, endpoint
from benchmarks.sink import Latency, request_end
from benchmarks.soak import Holding, Soak
from benchmarks.table import table
from consumer.outcomes import EventType, Reason
from consumer.segment.decode import decode
from tests.scaling.test_measures import Story as ScalingStory
from tests.scaling.verdict import verdict


def _quiet(_: str) -> None:
    """Nobody watches."""


def test_the_engine_is_measured() -> None:
    """The rig is built from the service's parts by hand, and must not fall behind them."""
    figures = engine.run(1_200, 1, _quiet)
    assert figures.events == 1_200
    assert len(figures.shares) == len(engine.CONCURRENCIES) * 2
    assert all(share.whole_us > 0 for share in figures.shares)
    assert "orjson.loads alone" in engine.report(figures)
    aims = [figure.aim for figure in engine.figures(figures)]
    assert sum(aim != "" for aim in aims) == len(engine.CONCURRENCIES)


def test_the_cost_of_rules_is_measured() -> None:
    """Those that change nothing, and those that change the event."""
    costs = mapping.run(300, 3, _quiet)
    assert costs.changing_us > 0
    assert len(mapping.figures(costs)) == 3
    assert "20 rules" in mapping.report(costs)


def test_fuzzed_events_end_as_requests_and_as_reasons() -> None:
    """Both, or the events were too odd or too good to tell anything; what raises is counted and shown."""
    found = fuzz.run(300, _quiet)
    assert (found.exceptions, found.shown) == (0, [])
    assert found.ends["request"] > 0
    assert found.ends[Reason.UNDECODABLE] > 0
    assert found.ends.total() > 300 * found.routers / 2
    found.exceptions = 1
    assert [figure.met for figure in fuzz.figures(found)] == [False]


async def test_fuzzed_answers_end_as_responses_and_as_none() -> None:
    """Both, or they were too odd or too good to tell anything; what raises is counted and shown."""
    found = await answers.run(1000, _quiet)
    assert (found.exceptions, found.shown) == (0, [])
    assert found.ends.keys() == {"answer", "connection"}
    assert min(found.ends.values()) > 100
    assert found.ends.total() == 1000
    found.exceptions = 1
    assert [figure.met for figure in answers.figures(found)] == [False]


def test_growth_is_measured_from_few_to_many() -> None:
    """Each pair has a figure; more partitions and keys than the rig has by default are no trouble."""
    found = growth.run(0.005, 1, _quiet)
    assert [one.what for one in found] == list(growth.PAIRS)
    assert all(one.small_us > 0 for one in found)
    assert len(growth.figures(found)) == len(growth.PAIRS)


def test_an_hour_without_pendo_passes_on_the_virtual_clock() -> None:
    """Nothing is lost, nothing dead-lettered, and it heals."""
    outage = outages.virtual_hour(outages.HOUR_S, 50)
    assert (outage.lost, outage.dead_letters) == (0, 0)
    assert all(figure.met for figure in outages.figures([outage]))


@pytest.mark.parametrize(
    ("buffer", "end"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 18),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 41),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST", 41),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", None),
        (b"POST / HTTP/1.1\r\nConte", None),
    ],
)
def test_the_endpoint_finds_where_a_request_ends(buffer: bytes, end: int | None) -> None:
    """However its bytes arrive."""
    assert request_end(buffer) == end


async def test_the_endpoint_tells_what_it_remembers() -> None:
    """Over HTTP, from its own process: a new one remembers nothing."""
    async with endpoint(Latency.STEADY, journal=True) as sink:
        journal = await sink.journal()
        assert (journal.requests, journal.in_flight) == (0, 0)
        assert await sink.arrivals() == ([], [])
        assert await sink.late_ms() == []
        await sink.answer(503)
        assert await sink.requests() == 0


def test_the_journal_counts_repeats_and_how_long_a_key_was_held() -> None:
    """From the bytes alone."""
    journal, body = Journal(), b'{"userId":"u1","messageId":"m1"}'
    journal.arrived(body, 1.0)
    journal.arrived(body, 2.0)
    journal.answered(body, journal.arrivals[0])
    found = journal.summary()
    assert (found["requests"], found["distinct"], found["repeats"]) == (2, 1, 1)
    assert (found["in_flight"], found["max_in_flight"]) == (1, 2)
    assert found["hottest_held_s"] >= 0
    assert list(journal.held) == [1.0, 2.0]


def test_the_journal_reads_the_time_in_a_stamped_event() -> None:
    """An event that was made at the clock's zero is as old as the clock."""
    journal = Journal()
    [record] = [record for record, _ in zip(events.stamped_events(lambda: 0), range(1), strict=False)]
    journal.arrived(record.value, 0.0)
    assert journal.late_ms[0] > 0


def test_identify_events_are_of_one_kilobyte_with_ten_traits() -> None:
    """As the figure for memory has them."""
    for record in events.identify_events(20):
        assert len(record.value) == events.LARGE_BYTES
        assert len(orjson.loads(record.value)["traits"]) == events.TRAITS
        assert decode(record.value)
    assert {len(record.value) for record in events.page_events(20)} == {events.LARGE_BYTES}


def test_state_events_are_identifies_and_groups_of_some_visitors() -> None:
    """Of six traits each; without groups when none are wanted."""
    made = [orjson.loads(record.value) for record in events.state_events(500, 20)]
    assert {each["type"] for each in made} == {"identify", "group"}
    assert {len(each["traits"]) for each in made} == {6}
    assert len({each["userId"] for each in made}) == 20
    assert {record.type for record in events.state_events(50, 20, groups=0.0)} == {EventType.IDENTIFY}


def test_calls_become_figures() -> None:
    """The cost an event beside a POST, and the number of calls."""
    good = calls.Calls(
        drained=9,
        drain_us=18.0,
        drain_calls=3,
        events=9,
        steady_us=50.0,
        steady_calls=3,
        post_us=90.0,
        backlog=9,
        backlog_calls=60,
    )
    assert [figure.met for figure in calls.figures(good)] == [True, None, True]
    bad = replace(good, drain_us=18.9, backlog_calls=61)
    assert [figure.met for figure in calls.figures(bad)] == [False, None, False]


def test_skewed_events_have_a_hottest_key() -> None:
    """By Zipf's law with its exponent of 1.1, some 15 % of ten thousand keys' events are of the first."""
    keys = [record.key for record in events.track_events(4_000, skew=1.1)]
    assert 0.1 < keys.count(b"user-00000") / len(keys) < 0.2


def test_ratios_compare_within_one_round() -> None:
    """Median over rounds of whole ÷ floor, not of medians from different moods of the machine."""
    rounds = [
        {
            Party.READ: Cost(events=10, seconds=1, cpu_s=0.1 * mood),
            Party.POST: Cost(events=10, seconds=2, cpu_s=0.9 * mood),
            Party.SERVICE: Cost(events=10, seconds=4, cpu_s=1.2 * mood),
        }
        for mood in (1, 2, 3)
    ]
    ratio = pipe.ratio_of(64, rounds)
    assert ratio.cpu == pytest.approx(1.2)
    assert ratio.rate == pytest.approx(0.5)
    whole = pipe.Pipe(Latency.CONSTANT, 10, (), (ratio,))
    assert "1.20" in pipe.report(whole)
    assert [figure.met for figure in pipe.figures(whole)] == [False]


def test_littles_law_is_taken_between_start_and_tail() -> None:
    """128 of 256 slots are busy while requests of one second arrive 128 times a second."""
    arrivals = [number / 128 for number in range(1_000)]
    drain = throughput.drain_of(_summary(last_answer=arrivals[-1] + 1), arrivals, [1.0] * 1_000)
    assert drain.steady == pytest.approx(0.5)
    assert drain.whole < 0.5
    assert [figure.met for figure in throughput.uniform_figures(drain)] == [False]
    assert [figure.met for figure in throughput.zipf_figures(drain)] == [False]


def _summary(last_answer: float) -> Summary:
    return Summary(
        requests=1_000,
        distinct=1_000,
        repeats=0,
        in_flight=0,
        max_in_flight=128,
        hottest_held_s=5.0,
        first_arrival=0.0,
        last_answer=last_answer,
        now=9.0,
        cpu_s=8.0,
    )


def test_an_endpoint_that_is_the_limit_itself_is_called_so() -> None:
    """Or its figure would be taken for the service's."""
    drain = throughput.drain_of(_summary(last_answer=8.1), [number / 128 for number in range(1_000)], [1.0] * 1_000)
    assert "LIMIT" in throughput.uniform_figures(drain)[0].note


def test_a_pause_is_the_longest_time_between_arrivals_around_a_handover() -> None:
    """What lies before and after does not count; without any arrival all of it is a pause."""
    assert handovers.longest_pause_s([0, 9, 10, 12, 13, 20], since=8, until=14) == 2
    assert handovers.longest_pause_s([], since=8, until=14) == 6


def test_handovers_become_figures() -> None:
    """Repeats are summed up, pauses are medians beyond the bare group's."""
    done = tuple(Handover(kind, repeats, pause) for kind in ("join", "leave", "stop") for repeats, pause in [(0, 2.0)])
    lines = Handovers(done, {"join": (0.5,), "leave": (1.5,)}, 0, 0)
    assert [figure.met for figure in handovers.repeat_figures(lines)] == [True] * 3
    assert [figure.met for figure in handovers.pause_figures(lines)] == [False, True]


def test_a_run_of_scaling_becomes_figures() -> None:
    """Whatever the verdict finds misses the first; a pause and a share miss their own."""
    run = ScalingStory().run()
    good = verdict(run)
    assert [figure.met for figure in scaling.figures(run, good)] == [True] * 7
    measures = replace(
        good.measures, out=replace(good.measures.out, pause_s=3.1), shares={0: 0.1, 1: 0.3, 2: 0.3, 3: 0.3}
    )
    bad = replace(good, measures=measures, problems=["partition 3 belongs to nobody"])
    missed = [figure.what for figure in scaling.figures(run, bad) if not figure.met]
    assert [what.split(": ")[1][:5] for what in missed] == ["lost ", "longe", "least"]


def test_weights_compare_the_last_third_with_the_middle_one() -> None:
    """The first third is the start, and may grow."""
    weight = memory.weight_of(9, 9.0, [1, 2, 3, 100, 100, 100, 110, 110, 110])
    assert weight.growth == pytest.approx(0.1)
    assert [figure.met for figure in memory.figures(memory.Memory(weight, weight, weight))] == [False] * 3


def test_whatever_grows_in_a_soak_misses_its_figure() -> None:
    """Descriptors as well as memory, and so does what was lost."""
    held = Holding(100.0, 40.0, 5.0, 80.0)
    still = Soak(seconds=9.0, events=9, lost=0, cycles=1, middle=held, last=held)
    leaking = replace(still, last=held._replace(descriptors=60.0))
    assert leaking.growth == pytest.approx([0, 0.5, 0, 0])
    found = [soak.figures(one)[0].met for one in (still, leaking, replace(still, lost=1))]
    assert found == [True, False, False]


def test_percentiles_are_samples() -> None:
    """The nearest, and of one sample that one."""
    assert median_and_p99(range(100)) == (50, 99)
    assert median_and_p99([7.0]) == (7.0, 7.0)


def test_the_verdict_of_chaos_is_found_among_what_was_printed() -> None:
    """The last line that is one; without one there is none."""
    verdict = {"ok": True, "produced": 9, "lost": 0, "order_violations": 0, "at_handover": 2, "duplicates": 3}
    expected = chaos.Chaos(ok=True, produced=9, lost=0, order_violations=0, at_handover=2, duplicates=3)
    found = chaos.verdict_in(["seed 1", orjson.dumps(verdict | {"more": []}).decode(), "bye"])
    assert found == expected
    assert [figure.met for figure in chaos.figures(found)] == [True]
    broken = chaos.verdict_in([orjson.dumps(verdict | {"ok": False, "problems": {"lost": ["message 7"]}}).decode()])
    assert broken is not None
    assert [(figure.met, figure.note) for figure in chaos.figures(broken)] == [
        (False, "2 at a handover, 3 duplicates, lost")
    ]
    assert chaos.verdict_in(["1", "{}", "bye"]) is None


def test_a_row_that_fails_says_so_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come in the order of the table, whatever was asked for first."""

    async def broken(_: results.Extent, __: results.Say) -> list[Figure]:
        raise PartyError("it ended\nwith a long story")

    async def fine(_: results.Extent, __: results.Say) -> list[Figure]:
        return [Figure(what="fine", case="", aim="", value="1", met=True)]

    monkeypatch.setattr(results, "ROWS", {"broken": broken, "fine": fine, "other": fine})
    rows = results.measure(["fine", "broken"], results.Extent(), _quiet)
    assert [row.name for row in rows] == ["broken", "fine"]
    assert [(figure.what, figure.met, figure.note) for row in rows for figure in row.figures] == [
        ("broken", False, "it ended"),
        ("fine", True, ""),
    ]


def test_the_results_name_the_machines_shape_and_every_figure(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Date, cores, processor, Python; a table that Markdown understands. A row measured anew takes its own place."""
    file = tmp_path_factory.mktemp("results") / "RESULTS.md"
    monkeypatch.setattr(results, "FILE", file)
    outage = Outage("a | b", events=1, lost=1, dead_letters=0, healed_s=0.0)
    about = machine.shape() | {"scale": "1"}
    results.keep([Row(name="outages", about=about, figures=outages.figures([outage]))])
    text = file.read_text()
    assert all(f"{name} {value}" in text for name, value in machine.shape().items() if name != "date")
    assert "| a / b |" in text
    assert "| NO |" in text
    fine = Figure(what="w", case="c", aim="", value="1", met=True)
    results.keep([Row(name="engine", about=about | {"scale": "2"}, figures=[fine])])
    assert "scale 1: outages\n" in (text := file.read_text())
    assert "scale 2: engine\n" in text
    assert "- 1 of 2 not" in text
    assert text.index("| w |") < text.index("| a / b |")
    results.keep([Row(name="outages", about=about, figures=[fine])])
    assert "- 0 of 2 not" in file.read_text()


def test_figures_are_told_in_text_and_in_markdown() -> None:
    """With a mark for what is missed."""
    figures = [Figure(what="w", case="c", aim="≤ 1", value="2", met=met) for met in (True, False, None)]
    assert [line.split("|")[5].strip() for line in to_markdown(figures).splitlines()[2:]] == ["yes", "NO", "-"]
    assert "NO" in to_text(figures)


def test_a_table_aligns_its_figures() -> None:
    """To the right, so that digits stand below digits."""
    assert table("t", ("", "n"), [("one", "1"), ("ten", "10")]).splitlines() == [
        "t",
        "        n",
        "  one   1",
        "  ten  10",
    ]


# What needs Apache Kafka: each row once, in small.


@pytest.mark.apache
@pytest.mark.timeout(180)
async def test_repeats_after_kills_are_counted() -> None:
    """With something in flight at the kill; nothing is lost."""
    found = await crashes.run(1, 300, 8, _quiet)
    assert found.lost == 0
    assert [kill.in_flight > 0 for kill in found.kills] == [True]
    assert len(crashes.figures(found)) == 1


@pytest.mark.apache
@pytest.mark.timeout(240)
async def test_handovers_are_watched() -> None:
    """One round: a join, a leave and a stop, and a bare group beside them."""
    found = await handovers.run(Latency.STEADY, 1, 2_000, _quiet)
    assert [handover.kind for handover in found.done] == ["join", "leave", "stop"]
    assert found.lost == 0
    assert all(pause >= 0 for pauses in found.bare_s.values() for pause in pauses)


@pytest.mark.apache
@pytest.mark.timeout(180)
async def test_throughput_is_measured_at_the_endpoint() -> None:
    """A small skewed topic."""
    drain = await throughput.run(400, throughput.SKEW, _quiet)
    assert drain.events == 400
    assert drain.hottest_held_s > 0


@pytest.mark.apache
@pytest.mark.timeout(180)
async def test_lateness_is_measured_beside_a_bare_consumer() -> None:
    """A second's worth of events after the warm-up."""
    late = await lateness.run(1, _quiet)
    assert late.events == lateness.PER_SECOND
    assert late.bare_median_ms > 0
    assert len(lateness.figures(late)) == 1


@pytest.mark.apache
@pytest.mark.timeout(180)
async def test_memory_is_weighed_with_pendo_down_and_while_draining() -> None:
    """The same events in both."""
    found = await memory.run(10_000, 2.0, _quiet)
    assert found.draining.max_mib > 0
    assert found.down.events > 0


@pytest.mark.apache
@pytest.mark.timeout(180)
async def test_a_soak_goes_through_its_troubles() -> None:
    """Pendo away, a guest that comes and goes, and nothing lost."""
    found = await soak.run(12.0, _quiet, cycle_s=3.0)
    assert found.lost == 0
    assert found.cycles > 0
    assert all(value > 0 for value in found.last)


@pytest.mark.apache
@pytest.mark.timeout(240)
async def test_real_outages_heal() -> None:
    """Pendo away, a wrong key, no dead-letter topic: nothing lost."""
    found = await outages.run_real(1.0, 20, _quiet)
    assert [(outage.lost, outage.dead_letters) for outage in found] == [(0, 0)] * 3


@pytest.mark.apache
async def test_calls_are_counted_and_weighed() -> None:
    """Few calls for many events, at a fraction of a request's cost."""
    found = await calls.run(3_000, 2.0, 3_000, _quiet)
    assert found.backlog_calls < 3_000 / 20
    assert found.drain_us > 0
    assert found.steady_us > 0
    assert found.post_us > 0


@pytest.mark.apache
@pytest.mark.timeout(180)
async def test_a_start_is_timed_until_it_is_ready_and_idleness_weighed() -> None:
    """Two starts, then a moment without an event."""
    found = await starting.run(2, 1.0, _quiet)
    assert len(found.ready_s) == 2
    assert all(ready_s > 0 for ready_s in found.ready_s)
    assert 0 <= found.idle_cpu < 1
    assert [figure.met is not None for figure in starting.figures(found)] == [True, True]
