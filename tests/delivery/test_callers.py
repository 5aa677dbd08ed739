"""Callers: what becomes of deliveries that share calls, told as stories with a Pendo that answers by a rule."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from consumer.delivery.flood import Flood
from consumer.delivery.gate import GateState
from consumer.delivery.linger import LINGER_S
from consumer.delivery.memory import Memory
from consumer.delivery.poison import Poison
from consumer.delivery.ticket import release
from consumer.errors import UnreachableError
from consumer.outcomes import Reason
from consumer.pendo.calls import Answer
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import ACCEPTED, OPTED_OUT, Later, Locked, Refused, Stall, Verdict
from tests.delivery.call_rig import Rig, Rule, Seen, accept, live
from tests.delivery.conftest import Engine

REFUSED = Refused(Reason.REFUSED, "Pendo answered 400")
MISSING = Refused(Reason.MISSING, "Pendo knows no such id")


def when(wrong: Callable[[Seen], bool], verdict: Verdict, status: int) -> Rule:
    """Answers so where something is wrong, else accepts."""
    return lambda seen: (Answer(verdict), status) if wrong(seen) else accept(seen)


def carries(*ids: str) -> Callable[[Seen], bool]:
    """Whether a call carries one of these."""
    return lambda seen: not set(ids).isdisjoint(seen.ids)


def test_writes_of_one_id_go_as_one() -> None:
    """The newest is delivered, the others are merged into it; each field has its newest value."""

    async def story(rig: Rig) -> None:
        rig.say("v", plan="free", name="Ann")
        rig.say("v", plan="pro")
        rig.say("v", logins=3)
        await rig.settled()
        assert [seen.values for seen in rig.pendo.seen] == [{"v": {"plan": "pro", "name": "Ann", "logins": 3}}]
        assert rig.outcomes() == {("delivered", ""): 1, ("merged", ""): 2}
        assert rig.bench.progress.watermark == 3

    live(story)


def test_a_call_that_fails_by_a_bug_ends_the_callers() -> None:
    """Its lanes would stand for ever."""

    async def story(rig: Rig) -> None:
        async def call(*_: object) -> tuple[Answer, int]:
            raise LookupError("a bug")

        rig.callers._call = call
        rig.say("v", plan="free")
        with pytest.raises(LookupError, match="a bug"):
            await rig._tasks

    live(story)


def test_an_older_event_does_not_win_by_coming_later() -> None:
    """By its own time, not by its arrival: and the newest is the one that counts as delivered."""

    async def story(rig: Rig) -> None:
        rig.say("v", at_ms=900, plan="new")
        rig.say("v", at_ms=800, plan="old", name="Ann")
        await rig.settled()
        assert rig.pendo.kept == {"v": {"plan": "new", "name": "Ann"}}

    live(story)


def test_many_ids_share_a_call_up_to_the_batch() -> None:
    """Twelve hundred ids are three calls."""

    async def story(rig: Rig) -> None:
        for number in range(1_200):
            rig.say(f"v{number}", plan="pro")
        await rig.settled()
        assert rig.pendo.sizes == [500, 500, 200]
        assert len(rig.pendo.kept) == 1_200

    live(story)


def test_a_call_waits_a_second_for_more() -> None:
    """What comes within it goes along."""

    async def story(rig: Rig) -> None:
        rig.say("a", plan="pro")
        await asyncio.sleep(0.9 * LINGER_S)
        rig.say("b", plan="pro")
        await rig.settled()
        assert [seen.ids for seen in rig.pendo.seen] == [["a", "b"]]
        assert rig.pendo.seen[0].at_s == pytest.approx(LINGER_S, abs=0.01)

    live(story)


def test_visitors_and_accounts_go_in_calls_of_their_own() -> None:
    """They have URLs of their own."""

    async def story(rig: Rig) -> None:
        for number in range(3):
            rig.say(f"v{number}", plan="pro")
            rig.say(f"a{number}", kind="account", tier=number)
        await rig.settled()
        assert [(seen.kind, seen.ids) for seen in rig.pendo.seen] == [
            ("visitor", ["v0", "v1", "v2"]),
            ("account", ["a0", "a1", "a2"]),
        ]

    live(story)


def test_what_was_passed_over_does_not_wait_a_second_time() -> None:
    """Accounts waited their second; visitors that came after it fill the call in which they could not go."""

    async def story(rig: Rig) -> None:
        rig.pendo.took_s = 3.0
        for number in range(7):
            rig.say(f"v{number}", plan="pro")
        rig.say("a0", kind="account", tier=1)
        rig.say("a1", kind="account", tier=1)
        await asyncio.sleep(2)
        for number in range(5):
            rig.say(f"w{number}", plan="pro")
        await rig.settled()
        assert [seen.ids for seen in rig.pendo.seen] == [
            ["v0", "v1", "v2", "v3", "v4"],
            ["v5", "v6", "w0", "w1", "w2"],
            ["a0", "a1"],
            ["w3", "w4"],
        ]
        times = [seen.at_s for seen in rig.pendo.seen]
        assert times[2] == pytest.approx(times[1] + 3.0, abs=0.01), "accounts have had their second"
        assert times[3] == pytest.approx(times[2] + 3.0 + LINGER_S, abs=0.01), "what came later has not"

    live(story, max_batch=5, engine=lambda: Engine(limit=1))


def test_each_id_is_settled_on_its_own_result() -> None:
    """A 200 can hide failures."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = lambda _: (Answer(ACCEPTED, {"b": MISSING, "c": REFUSED}), 200)
        for id_ in "abcd":
            rig.say(id_, plan="pro")
        await rig.settled()
        assert rig.outcomes() == {
            ("delivered", ""): 2,
            ("dead_lettered", "missing"): 1,
            ("dead_lettered", "refused"): 1,
        }
        assert [(letter.lane, letter.reason, letter.attempts) for letter in rig.box.letters] == [
            ("visitor:b", "missing", 1),
            ("visitor:c", "refused", 1),
        ]
        assert len(rig.pendo.seen) == 1

    live(story)


def test_failures_that_no_list_explains_are_found_by_halves() -> None:
    """Pendo counts one failure and names none: the others lose nothing by it."""

    def untold(seen: Seen) -> tuple[Answer, int]:
        return Answer(ACCEPTED, failures=int("v5" in seen.ids)), 200

    async def story(rig: Rig) -> None:
        rig.pendo.rule = untold
        for number in range(16):
            rig.say(f"v{number}", plan="pro")
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 15, ("dead_lettered", "refused"): 1}
        assert [letter.lane for letter in rig.box.letters] == ["visitor:v5"]
        assert len(rig.pendo.seen) <= 2 * 4 + 1

    live(story)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_wrong_id_costs_the_others_nothing(status: int) -> None:
    """Pendo refuses the whole call: halves find the one, in as many steps as five hundred can be halved."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("v123"), REFUSED, status)
        for number in range(500):
            rig.say(f"v{number}", plan="pro")
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 499, ("dead_lettered", "refused"): 1}
        assert [letter.lane for letter in rig.box.letters] == ["visitor:v123"]
        assert len(rig.pendo.seen) <= 2 * 9 + 1
        assert rig.pendo.seen[-1].at_s < LINGER_S + 2 * 9 * 0.06, "halves wait for nobody"

    live(story)


def test_a_refused_merge_is_tried_in_parts_the_oldest_first() -> None:
    """Only the wrong one is a dead letter."""

    def wrong(seen: Seen) -> tuple[Answer, int]:
        return Answer(ACCEPTED, {"v": REFUSED} if "bad" in seen.values.get("v", {}) else {}), 200

    async def story(rig: Rig) -> None:
        rig.pendo.rule = wrong
        rig.say("v", plan="free")
        bad = rig.say("v", bad=1)
        rig.say("v", plan="pro")
        rig.say("w", plan="pro")
        await rig.settled()
        assert [seen.values["v"] for seen in rig.pendo.seen] == [
            {"plan": "pro", "bad": 1},
            {"plan": "free"},
            {"bad": 1},
            {"plan": "pro"},
        ]
        assert [letter.record for letter in rig.box.letters] == [bad.ticket.record]
        assert rig.outcomes() == {("delivered", ""): 3, ("dead_lettered", "refused"): 1}
        assert rig.pendo.kept["v"] == {"plan": "pro"}
        rig.say("v", name="Ann")
        rig.say("v", name="Bea")
        await rig.settled()
        assert rig.pendo.seen[-1].values == {"v": {"name": "Bea"}}, "later writes go together again"

    live(story)


def test_what_comes_while_a_cell_is_on_its_way_goes_with_the_next() -> None:
    """Order for each id: never two writes of it at once."""

    async def story(rig: Rig) -> None:
        rig.pendo.took_s = 5.0
        rig.say("v", plan="free")
        await asyncio.sleep(2)
        rig.say("v", plan="pro")
        rig.say("v", plan="max")
        await rig.settled()
        assert [seen.values for seen in rig.pendo.seen] == [{"v": {"plan": "free"}}, {"v": {"plan": "max"}}]
        assert rig.pendo.seen[1].at_s >= rig.pendo.seen[0].at_s + 5

    live(story)


def test_a_call_that_is_too_much_is_halved_and_calls_grow_back() -> None:
    """408: Pendo stops after five minutes and wants fewer."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(lambda seen: len(seen.ids) > 100, Later(), 408)
        for number in range(500):
            rig.say(f"v{number}", plan="pro")
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 500}
        assert max(rig.pendo.sizes[1:]) == 250
        rig.pendo.rule = accept
        for turn in range(40):
            for number in range(500):
                rig.say(f"v{number}", plan=turn)
            await rig.settled()
        assert rig.pendo.sizes[-1] == 500

    live(story)


def test_a_timeout_halves_the_calls_that_follow() -> None:
    """A batch that is too large for its timeout would time out for ever."""

    def slow(seen: Seen) -> tuple[Answer, int]:
        if len(seen.ids) > 60:
            raise UnreachableError("timeout", "no answer in time")
        return accept(seen)

    async def story(rig: Rig) -> None:
        rig.pendo.rule = slow
        for number in range(500):
            rig.say(f"v{number}", plan="pro")
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 500}
        assert rig.callers.requests["timeout"] <= 1 + 2 + 4 + 8

    live(story)


def test_an_outage_on_a_quiet_topic_does_not_make_calls_small() -> None:
    """A few ids timed out, as everything did: the backlog behind them goes in full calls."""

    def away(seen: Seen) -> tuple[Answer, int]:
        if seen.at_s < 8:
            raise UnreachableError("timeout", "no answer in time")
        return accept(seen)

    async def story(rig: Rig) -> None:
        rig.pendo.rule = away
        for turn in range(4):
            for number in range(3):
                rig.say(f"v{turn}-{number}", plan="pro")
            await asyncio.sleep(2)
        await rig.settled(120)
        calls = len(rig.pendo.seen)
        assert max(rig.pendo.sizes) > 2, "they went together"
        for number in range(500):
            rig.say(f"w{number}", plan="pro")
        await rig.settled()
        assert rig.pendo.sizes[calls:] == [500]

    live(story)


def test_calls_that_are_never_full_and_too_slow_fill_up_and_are_halved() -> None:
    """Two hundred new ids a second, and Pendo takes no more than ninety in time: what waits makes calls full."""

    def slow(seen: Seen) -> tuple[Answer, int]:
        if len(seen.ids) > 90:
            raise UnreachableError("timeout", "no answer in time")
        return accept(seen)

    async def story(rig: Rig) -> None:
        rig.pendo.rule = slow
        for turn in range(60):
            for number in range(200):
                rig.say(f"v{turn}-{number}", plan="pro")
            await asyncio.sleep(1)
        await rig.settled(60)
        assert rig.outcomes() == {("delivered", ""): 12_000}
        assert rig.callers.requests["timeout"] < 60

    live(story)


def test_a_repeated_5xx_splits_a_call_only_while_others_pass() -> None:
    """One id that makes its call fail is found; the others go on."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("v7"), Later(), 500)
        for number in range(100):
            rig.say(f"v{number}", plan="pro")
        await asyncio.sleep(60)
        rig.say("w", plan="pro")
        for turn in range(200):
            rig.say("w", plan=turn)
            await asyncio.sleep(10)
        await rig.settled()
        assert rig.pendo.kept.keys() == {f"v{number}" for number in range(100)} - {"v7"} | {"w"}
        assert [(letter.lane, letter.reason) for letter in rig.box.letters] == [("visitor:v7", "exhausted")]

    live(story)


def test_what_fails_takes_no_others_into_its_calls() -> None:
    """A poison id amid steady traffic: whoever comes later is delivered at once, and its first neighbours soon."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("bad"), Later(), 500)
        rig.say("bad", plan="pro")
        for number in range(40):
            rig.say(f"first{number}", plan="pro")
        await asyncio.sleep(LINGER_S + 0.1)
        for turn in range(60):
            for number in range(3):
                rig.say(f"later{turn}-{number}", plan="pro")
            await asyncio.sleep(0.5)
        failed = [seen for seen in rig.pendo.seen if "bad" in seen.ids]
        assert not any(id_.startswith("later") for seen in failed for id_ in seen.ids)
        assert next(seen.at_s for seen in failed if len(seen.ids) == 1) < 20
        assert rig.pendo.kept.keys() >= {f"first{number}" for number in range(40)}

    live(story)


def test_an_outage_splits_nothing_and_gives_nothing_up() -> None:
    """All calls fail: they stay whole, the circuit opens, and afterwards all is delivered in few calls."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(lambda _: True, Later(), 503)
        for number in range(500):
            rig.say(f"v{number}", plan="pro")
        await asyncio.sleep(3_600)
        assert rig.gate.state is GateState.CIRCUIT
        assert len(rig.pendo.seen) <= 3_600, "probes are a second apart at least"
        assert set(rig.pendo.sizes[-10:]) == {1}, "a probe carries one id"
        rig.pendo.rule = accept
        calls = len(rig.pendo.seen)
        await rig.settled(300)
        assert rig.outcomes() == {("delivered", ""): 500}
        assert len(rig.pendo.seen) - calls <= 3

    live(story)


def test_one_forbidden_id_is_found_and_the_others_go() -> None:
    """403 on a call: the credential, or one of its ids."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("v7"), Locked(Stall.CREDENTIALS), 403)
        for number in range(20):
            rig.say(f"v{number}", plan="pro")
        await asyncio.sleep(0.5)
        for turn in range(100):
            rig.say("w", plan=turn)
            await asyncio.sleep(2)
        await rig.settled(600)
        assert [(letter.lane, letter.reason) for letter in rig.box.letters] == [("visitor:v7", "forbidden")]
        assert rig.pendo.kept.keys() == {f"v{number}" for number in range(20)} - {"v7"} | {"w"}

    live(story)


def test_one_forbidden_id_in_a_large_call_is_no_flood() -> None:
    """It is one refusal, not five hundred."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("v7"), Locked(Stall.CREDENTIALS), 403)
        for number in range(500):
            rig.say(f"v{number}", plan="pro")
        states = set()
        for turn in range(200):
            rig.say(f"w{turn}", plan="pro")
            await asyncio.sleep(1)
            states.add(rig.gate.state)
        await rig.settled(600)
        assert GateState.FLOOD not in states
        assert [(letter.lane, letter.reason) for letter in rig.box.letters] == [("visitor:v7", "forbidden")]

    live(story)


def test_a_forbidden_id_on_a_quiet_topic_is_found_when_all_others_of_its_call_have_passed() -> None:
    """Nobody else comes; who is left of a call that met 403 is the one that it was about."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("v7"), Locked(Stall.CREDENTIALS), 403)
        rig.say("v6", plan="pro")
        rig.say("v7", plan="pro")
        await rig.settled(20)
        assert [(letter.lane, letter.reason) for letter in rig.box.letters] == [("visitor:v7", "forbidden")]
        assert rig.gate.stall is None

    live(story)


@pytest.mark.parametrize("neighbours", [20, 500])
def test_one_forbidden_id_amid_steady_traffic_is_found_and_holds_up_nobody_for_long(neighbours: int) -> None:
    """New ids come all the time and stand before it in line: that no call's first id is known must not matter."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("v7"), Locked(Stall.CREDENTIALS), 403)
        for number in range(neighbours):
            rig.say(f"v{number}", plan="pro")
        for turn in range(180):
            for number in range(5):
                rig.say(f"w{turn}-{number}", plan="pro")
            await asyncio.sleep(0.5)
            assert rig.gate.stall is None
        await rig.settled(5)
        assert [(letter.lane, letter.reason) for letter in rig.box.letters] == [("visitor:v7", "forbidden")]
        found_s = next(seen.at_s for seen in reversed(rig.pendo.seen) if "v7" in seen.ids)
        assert found_s < 45

    live(story)


@pytest.mark.parametrize("calls", range(1, 36))
def test_a_key_that_is_withdrawn_while_a_forbidden_id_is_looked_for_convicts_nobody_else(calls: int) -> None:
    """At whichever call it happens: what met 403 together with others is not convicted for that."""

    async def story(rig: Rig) -> None:
        def refused(seen: Seen) -> bool:
            return len(rig.pendo.seen) >= calls or "v7" in seen.ids

        rig.pendo.rule = when(refused, Locked(Stall.CREDENTIALS), 403)
        for number in range(16):
            rig.say(f"v{number}", plan="free")
            rig.say(f"v{number}", plan="pro")
        for turn in range(100):
            rig.say(f"w{turn}", plan="pro")
            await asyncio.sleep(0.3)
        rig.pendo.rule = when(carries("v7"), Locked(Stall.CREDENTIALS), 403)
        for turn in range(300):
            rig.say(f"x{turn}", plan="pro")
            await asyncio.sleep(1)
        await rig.settled(60)
        assert {letter.lane for letter in rig.box.letters} == {"visitor:v7"}

    live(story, engine=lambda: Engine(max_delay_s=5))


def test_who_met_403_beside_a_forbidden_id_is_not_convicted_by_a_key_that_is_withdrawn_then() -> None:
    """Two are left of the search, and others have just passed: the key goes while each is on its way alone."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("v7"), Locked(Stall.CREDENTIALS), 403)
        rig.say("v6", plan="pro")
        rig.say("v7", plan="pro")
        while rig.pendo.sizes != [2]:
            await asyncio.sleep(0.01)
        rig.say("w", plan="pro")
        while rig.pendo.sizes != [2, 1, 2]:
            await asyncio.sleep(0.01)
        rig.pendo.took_s = 5.0
        while rig.pendo.sizes != [2, 1, 2, 1, 1]:
            await asyncio.sleep(0.01)
        rig.pendo.took_s = 0.05
        rig.say("w", plan="max")
        await asyncio.sleep(2)
        assert rig.pendo.kept["w"] == {"plan": "max"}
        rig.pendo.rule = when(lambda _: True, Locked(Stall.CREDENTIALS), 403)
        await asyncio.sleep(60)
        assert not rig.box.letters
        assert rig.gate.stall is Stall.CREDENTIALS
        rig.pendo.rule = accept
        await rig.settled(120)

    live(story)


def say(rig: Rig, turn: int, *, wrong: bool) -> None:
    """One more write of a busy account."""
    if wrong:
        rig.say("v", bad=turn)
    else:
        rig.say("v", plan=turn)


@pytest.mark.parametrize("place", [0, 1, 399, 998, 999])
def test_one_wrong_write_of_a_thousand_is_found_by_halves_without_a_second_each_time(place: int) -> None:
    """A busy account with a wrong event must not fall behind for good."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = lambda seen: (Answer(ACCEPTED, {"v": REFUSED} if "bad" in seen.values["v"] else {}), 200)
        for turn in range(1_000):
            say(rig, turn, wrong=turn == place)
        await rig.settled()
        [letter] = rig.box.letters
        assert letter.record.offset == place
        assert rig.pendo.kept == {"v": {"plan": 999 if place < 999 else 998}}
        assert len(rig.pendo.seen) <= 2 + 2 * 10
        assert rig.pendo.seen[-1].at_s < LINGER_S + len(rig.pendo.seen) * (rig.pendo.took_s + 0.01)
        assert rig.outcomes()["delivered", ""] + rig.outcomes()["merged", ""] == 999

    live(story, engine=lambda: Engine(max_lane=5_000))


def test_several_wrong_writes_of_one_id_are_each_a_dead_letter_of_their_own() -> None:
    """And all others of it are written, the newest last."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = lambda seen: (Answer(ACCEPTED, {"v": REFUSED} if "bad" in seen.values["v"] else {}), 200)
        wrong = {3, 4, 17, 60}
        for turn in range(64):
            say(rig, turn, wrong=turn in wrong)
        await rig.settled()
        assert {letter.record.offset for letter in rig.box.letters} == wrong
        assert rig.pendo.kept == {"v": {"plan": 63}}
        assert len(rig.pendo.seen) <= len(wrong) * 2 * 6 + 1

    live(story)


def test_a_wrong_key_stalls_and_nothing_is_given_up() -> None:
    """Until it is replaced."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(lambda _: True, Locked(Stall.CREDENTIALS), 403)
        for number in range(1_000):
            rig.say(f"v{number}", plan="pro")
        await asyncio.sleep(600)
        assert rig.gate.stall is Stall.CREDENTIALS
        assert not rig.box.letters
        rig.pendo.rule = accept
        rig.callers.probe_now()
        await rig.settled(120)
        assert rig.outcomes() == {("delivered", ""): 1_000}

    live(story)


def test_a_call_of_many_that_is_throttled_closes_the_route() -> None:
    """It is two lanes' 429: nothing goes until the time that Pendo asked for."""

    async def story(rig: Rig) -> None:
        throttled = when(lambda seen: seen.at_s < 5, Later(30.0, throttled=True), 429)
        rig.pendo.rule = throttled
        rig.say("a", plan="pro")
        rig.say("b", plan="pro")
        await asyncio.sleep(2)
        rig.say("c", plan="pro")
        await rig.settled(120)
        assert rig.pendo.seen[1].at_s >= rig.pendo.seen[0].at_s + 30
        assert rig.outcomes() == {("delivered", ""): 3}

    live(story)


def test_a_flood_in_one_call_goes_to_no_dead_letter() -> None:
    """Most ids of a call are refused: something is wrong with all of it, and it stays in Kafka."""

    async def story(rig: Rig) -> None:
        wrong = {f"v{number}": REFUSED for number in range(0, 500, 3)} | {f"v{n}": REFUSED for n in range(1, 500, 3)}
        rig.pendo.rule = lambda seen: (Answer(ACCEPTED, {i: wrong[i] for i in seen.ids if i in wrong}), 200)
        for number in range(500):
            rig.say(f"v{number}", plan="pro")
        await asyncio.sleep(30)
        assert rig.gate.state is GateState.FLOOD
        assert not rig.box.letters
        rig.pendo.rule = accept
        await rig.settled(300)
        assert rig.outcomes() == {("delivered", ""): 500}

    live(story, engine=lambda: Engine(flood=Flood(0.5, 200), max_delay_s=5))


def test_a_flood_that_begins_in_the_middle_of_an_answer_holds_for_all_of_it() -> None:
    """The first ids of it were refused before there was a flood: they stay in Kafka with the rest."""

    async def story(rig: Rig) -> None:
        for number in range(150):
            rig.say(f"good{number}", plan="pro")
        await rig.settled()
        rig.pendo.rule = lambda seen: (Answer(ACCEPTED, dict.fromkeys(seen.ids[40:], REFUSED)), 200)
        for number in range(400):
            rig.say(f"v{number}", plan="pro")
        await asyncio.sleep(LINGER_S + 0.1)
        assert rig.gate.state is GateState.FLOOD
        assert not rig.box.letters
        assert rig.outcomes() == {("delivered", ""): 190}

    live(story, engine=lambda: Engine(flood=Flood(0.5, 200), max_delay_s=5))


def test_calls_that_were_on_their_way_when_a_flood_began_do_not_end_it() -> None:
    """Each id of them is an answer: that some of each were accepted is no round of acceptances."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = lambda seen: (
            Answer(ACCEPTED, {id_: REFUSED for id_ in seen.ids if int(id_[1:]) % 5 < 3}),
            200,
        )
        for number in range(2_000):
            rig.say(f"v{number}", plan="pro")
        await asyncio.sleep(600)
        assert rig.gate.state is GateState.FLOOD
        assert len(rig.box.letters) <= 200, "before there were two hundred answers nothing could be said"

    live(story, max_batch=20, engine=lambda: Engine(flood=Flood(0.5, 200), max_delay_s=5))


def test_what_was_released_leaves_its_cell() -> None:
    """Somebody else may own its record; the rest goes again without it."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(lambda seen: seen.at_s < 3, Later(), 503)
        rig.say("v", plan="ours")
        other = rig.bench.progress
        rig.bench.progress = type(other)("t", 1, 0)
        kept = rig.say("v", name="Ann")
        await asyncio.sleep(LINGER_S + 0.01)
        release(other, rig.bench.tally)
        rig.callers.drop_released()
        await rig.settled()
        assert rig.pendo.seen[0].values == {"v": {"plan": "ours", "name": "Ann"}}
        assert rig.pendo.seen[-1].values == {"v": {"name": "Ann"}}
        assert kept.ticket.open == 0
        assert rig.bench.tally.released == 1
        assert rig.outcomes() == {("delivered", ""): 1}

    live(story)


def test_what_is_left_of_a_refused_cell_is_not_convicted_with_it() -> None:
    """It may have been the part that was released meanwhile."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = lambda seen: (Answer(ACCEPTED, {"v": REFUSED} if "bad" in seen.values["v"] else {}), 200)
        rig.say("v", bad=1)
        other = rig.bench.progress
        rig.bench.progress = type(other)("t", 1, 0)
        rig.say("v", name="Ann")
        await asyncio.sleep(LINGER_S + 0.01)
        release(other, rig.bench.tally)
        rig.callers.drop_released()
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 1}
        assert not rig.box.letters

    live(story)


def test_an_opted_out_id_is_nobodys_failure() -> None:
    """451 on a call is about one of its ids."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("b"), OPTED_OUT, 451)
        for id_ in "abcd":
            rig.say(id_, plan="pro")
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 3, ("suppressed", "opted_out"): 1}

    live(story)


def test_what_changes_nothing_is_left_out_but_not_beside_what_does() -> None:
    """Back and forth within one cell: the last word must go out though Pendo had it before."""

    async def story(rig: Rig) -> None:
        rig.say("v", plan="pro")
        await rig.settled()
        rig.say("v", plan="pro")
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 1, ("suppressed", "unchanged"): 1}
        rig.say("v", plan="free")
        rig.say("v", plan="pro")
        await rig.settled()
        assert rig.pendo.kept == {"v": {"plan": "pro"}}
        assert len(rig.pendo.seen) == 2

    live(story, engine=lambda: Engine(memory=Memory(ids=10, message_ids=10, suppress_unchanged=True)))


def test_a_repeat_of_what_was_delivered_or_merged_is_suppressed() -> None:
    """Both count as delivered: Pendo has them."""

    async def story(rig: Rig) -> None:
        rig.say("v", identity=1, plan="free")
        rig.say("v", identity=2, plan="pro")
        await rig.settled()
        rig.say("v", identity=1, plan="free")
        rig.say("v", identity=2, plan="pro")
        await rig.settled()
        assert rig.outcomes() == {("delivered", ""): 1, ("merged", ""): 1, ("suppressed", "repeat"): 2}
        assert len(rig.pendo.seen) == 1

    live(story)


def test_a_deletion_goes_once_a_second_and_leaves_a_line_without_the_id() -> None:
    """Pendo takes one call a second; what cannot be undone is written down, by position."""

    async def story(rig: Rig) -> None:
        for number in range(12):
            rig.say(f"secret{number}")
        with capture_logs() as lines:
            await rig.settled()
        assert rig.pendo.sizes == [5, 5, 2]
        times = [seen.at_s for seen in rig.pendo.seen]
        assert all(b - a >= 0.99 for a, b in pairwise(times))
        audit = [line for line in lines if "delete" in line["event"]]
        assert [line["visitors"] for line in audit] == [5, 5, 2]
        assert audit[0]["positions"][0] == "t-0@0"
        assert "secret" not in str(audit)
        assert rig.outcomes() == {("delivered", ""): 12}

    live(story, Route.BULKDELETE, max_batch=5, engine=lambda: Engine(quota=1.0))


def test_a_lane_that_blocks_is_given_up_alone() -> None:
    """Its event fails while others pass, and nothing behind it is finished: relief does not take its neighbours."""

    async def story(rig: Rig) -> None:
        rig.pendo.rule = when(carries("bad"), Later(), 500)
        rig.say("bad", plan="pro")
        for turn in range(100):
            for number in range(5):
                rig.say(f"v{number}", plan=turn)
            await asyncio.sleep(3)
        await rig.settled()
        assert [(letter.lane, letter.reason) for letter in rig.box.letters] == [("visitor:bad", "exhausted")]

    live(story, engine=lambda: Engine(poison=Poison(60, 3), max_delay_s=5))
