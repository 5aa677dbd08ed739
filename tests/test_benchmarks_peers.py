"""The comparison with peers: its pure parts, and one run of two contestants."""

from dataclasses import replace
from typing import Final

import orjson
import pytest

from benchmarks.peers.__main__ import main
from benchmarks.peers.building import tool_versions
from benchmarks.peers.chart import chart
from benchmarks.peers.contestants import ENTRIES, USUAL, Contestant
from benchmarks.peers.drain import Kill
from benchmarks.peers.events import sequenced_events
from benchmarks.peers.judging import Outcome, Report, judge
from benchmarks.peers.options import Case, Latency, Part, cases_of, contestants_of, options_from, runs_of
from benchmarks.peers.page import to_json, to_page, to_tables
from benchmarks.peers.setting import Setting
from benchmarks.peers.standings import Standings, figures_of
from benchmarks.peers.tree import Sample, Tree, cpu_at, descendants
from tests.support.tools import tool

CASE: Final = Case(Part.PLAIN, Latency.LOGNORMAL, 1_000)
SETTING: Final = Setting(bootstrap="127.0.0.1:1", topic="t", group="g", events=9, base="https://127.0.0.1:2")


def report(**more: object) -> Report:
    """A hundred requests a second for ten seconds, each held for one."""
    usual = Report(
        requests=1_000,
        distinct=1_000,
        repeats=0,
        in_flight=0,
        max_in_flight=100,
        overtaken=0,
        side_by_side=0,
        hottest_held_s=10.0,
        first_arrival=100.0,
        last_answer=111.0,
        cpu_s=1.0,
        arrivals=[number / 100 for number in range(1_000)],
        held=[1.0] * 1_000,
    )
    return replace(usual, **more)  # type: ignore[arg-type] # a test names the fields it means


def outcome(**more: object) -> Outcome:
    """Of a program that took half a core, and a whole one before the first arrival."""
    samples = [Sample(float(at), max(0, at - 90) - max(0, at - 100) / 2, float(at)) for at in range(90, 130)]
    return replace(judge(report(), samples, 1_000, 200), **more)  # type: ignore[arg-type] # likewise


def test_an_outcome_counts_from_the_first_arrival_to_the_last_answer() -> None:
    """What was taken by the start, or after the end, is left out; rates are those of the middle."""
    found = outcome()
    assert (found.events, found.missing, found.seconds) == (1_000, 0, 11.0)
    assert found.cpu_us == pytest.approx(5_500)
    assert found.steady_cpu_us == pytest.approx(5_000)
    assert found.cores == pytest.approx(0.5)
    assert found.per_s == pytest.approx(100)
    assert found.of_limit == pytest.approx(0.5)
    assert found.of_hottest == pytest.approx(1.1)
    assert found.rss_mib == 111
    assert found.ordered
    assert not found.endpoint_is_the_limit


def test_order_by_luck_is_no_order() -> None:
    """Two requests of one user at once: which of them is first is the network's choice."""
    assert not outcome(side_by_side=1).ordered
    assert not outcome(overtaken=1).ordered


def test_too_little_is_not_judged() -> None:
    """A contestant that never started has no figures, not strange ones."""
    with pytest.raises(ValueError, match="too few"):
        judge(report(requests=0, arrivals=[], held=[]), [], 9, 200)


def test_cpu_between_two_samples_is_even() -> None:
    """And outside of them it is what the nearest one says."""
    samples = [Sample(1.0, 10.0, 0.0), Sample(2.0, 20.0, 0.0)]
    assert [cpu_at(samples, at) for at in (0.0, 1.0, 1.5, 2.0, 9.0)] == [10, 10, 15, 20, 20]


def test_a_tree_is_seen_from_outside() -> None:
    """Our own: it has taken something, and holds something; the first process of all is above us."""
    tree = Tree(1)
    tree.look()
    assert tree.samples[0].rss_mib > 0
    assert tree.samples[0].cpu_s > 0
    assert 1 not in descendants(1)


def test_events_carry_their_number_among_those_of_their_user() -> None:
    """From zero, without a gap; and are of some 600 bytes."""
    seen: dict[bytes | None, list[int]] = {}
    for record in sequenced_events(2_000, skew=1.1):
        event = orjson.loads(record.value)
        seen.setdefault(record.key, []).append(event["properties"]["sequence"])
        assert b'"sequence":' in record.value
        assert 500 < len(record.value) < 700
    assert all(numbers == list(range(len(numbers))) for numbers in seen.values())
    assert max(map(len, seen.values())) > 100


def test_everything_is_run_without_arguments() -> None:
    """And only such a run writes the page by itself."""
    options = options_from([])
    assert options.contestants == USUAL
    assert options.keep
    assert {case.part for case in cases_of(options)} == set(Part)
    runs = list(runs_of(options))
    assert len(runs) == 2 * 3 * len(USUAL) + 2 * 3 * 3 + 1 + len(USUAL) - 2


def test_what_is_run_can_be_chosen() -> None:
    """By contestant, part, latency, rounds and events."""
    asked = "service bare --latency 5ms --part plain --rounds 2 --events 100"
    options = options_from(asked.split())
    assert not options.keep
    assert [(run.round, run.contestant, run.case) for run in runs_of(options)] == [
        (1, "bare", Case(Part.PLAIN, Latency.FIXED, 100)),
        (1, "service", Case(Part.PLAIN, Latency.FIXED, 100)),
        (2, "service", Case(Part.PLAIN, Latency.FIXED, 100)),
        (2, "bare", Case(Part.PLAIN, Latency.FIXED, 100)),
    ]
    named = options_from(["mq-bridge", "bare"])
    assert contestants_of(Case(Part.TLS, Latency.FIXED, 9), named) == ["bare", "mq-bridge"]
    assert contestants_of(Case(Part.ZIPF, Latency.LOGNORMAL, 9), named) == ["mq-bridge"]


@pytest.mark.parametrize("wrong", ["nobody", "--rounds 0", "--latency 6ms"])
def test_what_makes_no_sense_is_refused(wrong: str) -> None:
    """Before anything is built."""
    with pytest.raises(SystemExit):
        options_from(wrong.split())


def test_a_setting_survives_the_way_into_a_process() -> None:
    assert Setting.from_arguments([SETTING.to_json()]) == SETTING
    assert SETTING.url.startswith(SETTING.base + "/")


def standings(**service: object) -> Standings:
    """The service beside bare and Confluent, which took twice as much; mq-bridge was not to be had."""
    found = Standings()
    for part in (Part.PLAIN, Part.TLS):
        for latency in Latency:
            case = Case(part, latency, 1_000)
            found.open(case, Contestant.BARE).outcomes += [outcome(cpu_us=200.0), outcome(cpu_us=100.0)]
            found.open(case, Contestant.SERVICE).outcomes += [outcome(cpu_us=30.0, of_limit=0.98, **service)]
            found.open(case, Contestant.CONFLUENT).outcomes += [outcome(per_s=50.0)]
            found.open(case, Contestant.MQ_BRIDGE).failure = "not to be had here: no wheel | nothing"
    zipf = Case(Part.ZIPF, Latency.LOGNORMAL, 1_000)
    found.open(zipf, Contestant.SERVICE).outcomes.append(outcome(of_hottest=1.01, **service))
    killed = Case(Part.KILLS, Latency.LOGNORMAL, 1_000)
    found.open(killed, Contestant.SERVICE).kills.append(Kill(in_flight=200, repeats=300, missing=0))
    return found


def test_aims_are_told_from_what_was_run() -> None:
    """The least CPU of the rounds; a peer that was not to be had has no ratio."""
    figures = figures_of(standings())
    assert [figure.value for figure in figures] == ["0.30"] * 4 + ["0.980", "1.010", "2.00", "1.50"]
    assert all(figure.met for figure in figures)
    assert figures_of(Standings()) == []


def test_no_aim_is_met_by_what_loses_events_or_their_order() -> None:
    """However fast it is."""
    for flaw in ({"missing": 1}, {"overtaken": 1}):
        assert [figure.met for figure in figures_of(standings(**flaw))][:7] == [False] * 7


def test_a_peer_that_was_not_to_be_had_says_so_in_its_row() -> None:
    """In the table, on the page and in JSON."""
    found = standings()
    figures, about = figures_of(found), {"cores": "2"}
    assert "not to be had here: no wheel | nothing" in to_tables(found, figures)
    page = to_page(found, figures, about)
    assert "not to be had here: no wheel / nothing" in page
    assert "- cores: 2" in page
    assert f"| mq-bridge | {ENTRIES[Contestant.MQ_BRIDGE].version()} |" in page
    read = orjson.loads(to_json(found, figures, about))
    assert read["versions"]["service"] == ENTRIES[Contestant.SERVICE].version()
    assert len(read["standings"]) == len(list(found))


def test_broken_order_and_a_busy_endpoint_are_called_so() -> None:
    """Or a figure would be taken for what it is not."""
    found = Standings()
    found.open(CASE, Contestant.BENTHOS).outcomes.append(outcome(overtaken=7, side_by_side=8, endpoint_busy=0.95))
    text = to_tables(found, [])
    assert "broken: 7 overtaken, 8 side by side" in text
    assert "LIMIT" in text


@pytest.mark.parametrize("contestant", Contestant)
def test_every_contestant_has_a_version_and_its_settings_told(contestant: Contestant) -> None:
    """Read from the file that pins it."""
    entry = ENTRIES[contestant]
    assert entry.about
    assert entry.version() != "unknown"


def test_the_page_names_what_ran_the_peers() -> None:
    """The broker's version at least, whatever else is on the machine."""
    assert tool_versions()["Apache Kafka"][0].isdigit()


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_two_contestants_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A small topic over TLS, judged by the endpoint: everything came once, the service's in order."""
    tool("go", "golang-go")
    asked = "bare service --part tls --latency 5ms --rounds 1 --events 1000 --json"
    monkeypatch.setattr("sys.argv", ["bench-peers", *asked.split()])
    main()
    found = orjson.loads(capsysbinary.readouterr().out)
    outcomes = {one["contestant"]: one["outcomes"][0] for one in found["standings"]}
    assert [outcomes[name]["events"] for name in ("bare", "service")] == [1_000] * 2
    assert [outcomes["service"][name] for name in ("missing", "repeats", "overtaken", "side_by_side")] == [0] * 4
    assert all(one["cpu_us"] > 0 for one in outcomes.values())


def test_the_picture_has_a_bar_for_each_who_was_measured_and_says_who_broke_the_order() -> None:
    """The longest fills the room; whoever has no outcome has no bar."""

    def standing(name: str, latency: str, cpu_us: float, overtaken: int = 0) -> dict[str, object]:
        outcome = {"cpu_us": cpu_us, "rss_mib": 80.0, "overtaken": overtaken, "side_by_side": 0}
        return {"case": {"part": "plain", "latency": latency}, "contestant": name, "outcomes": [outcome]}

    failed = {"case": {"part": "plain", "latency": "5ms"}, "contestant": "confluent", "outcomes": []}
    found = [standing("service", "5ms", 30.0), standing("mq-bridge", "5ms", 60.0, overtaken=1), failed]
    svg = chart({"standings": [*found, standing("bare", "lognormal", 100.0, overtaken=1)]})
    assert svg.count("<rect") == 4
    assert "60, order broken" in svg
    assert "100, order broken" not in svg
    assert "confluent" not in svg
