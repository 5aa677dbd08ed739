"""The gate: outage and misconfiguration close it, and it finds its way back without being told."""

from dataclasses import dataclass
from math import inf
from typing import Final

import pytest

from consumer.delivery import circuit
from consumer.delivery.bucket import Bucket
from consumer.delivery.doubt import TRIALS
from consumer.delivery.flood import ROUND, Flood
from consumer.delivery.gate import Gate, GateState
from consumer.delivery.lease import Hold, Lease
from consumer.delivery.limit import START, Limit
from consumer.delivery.schedule import MIN_PROBE_DELAY_S
from consumer.outcomes import Reason
from consumer.pendo.verdicts import ACCEPTED, NO_ANSWER, OPTED_OUT, Later, Locked, Refused, Stall, Verdict

REFUSED: Final = Refused(Reason.REFUSED, "Pendo answered 400")
CREDENTIALS: Final = Locked(Stall.CREDENTIALS)
ENDPOINT: Final = Locked(Stall.ENDPOINT)
ABOUT_ITSELF: Final = [ACCEPTED, OPTED_OUT, REFUSED]
MIN_EVENTS: Final = 10
LONG_S: Final = 60.0


@dataclass(frozen=True)
class Standing:
    """What else there is.

    Attributes:
        lanes: How many lanes hold open deliveries.
        left: Whether there is anything else to probe.
    """

    lanes: int
    left: bool

    def __len__(self) -> int:
        """How many lanes."""
        return self.lanes

    def untried(self, refused: int) -> bool:
        """Whether there is."""
        del refused
        return self.left


class Bench:
    """A gate, and requests made one by one.

    Attributes:
        gate: The gate.
        lease: The leave of its process.
    """

    def __init__(self, limit: int = 4, quota: float | None = None, random: float = 1.0) -> None:
        self.lease = Lease(10)
        self.gate = Gate(
            limit=Limit(limit),
            lease=self.lease,
            flood=Flood(0.5, MIN_EVENTS),
            bucket=Bucket(quota),
            max_probe_delay_s=LONG_S,
            random=lambda: random,
        )

    def answer(
        self, now: float, verdict: Verdict, lane: str = "a", *, took_s: float = 0.0, lanes: int = 100, left: bool = True
    ) -> bool:
        """A request goes and is answered."""
        self.gate.begin(now - took_s)
        return self.end(now, verdict, lane, began=now - took_s, lanes=lanes, left=left)

    def end(
        self, now: float, verdict: Verdict, lane: str = "a", *, began: float, lanes: int = 100, left: bool = True
    ) -> bool:
        """A request is answered that went earlier."""
        return self.gate.end(now, lane, verdict, began, Standing(lanes, left))

    def outage(self, start: float = 0.0) -> float:
        """Let enough lanes fail for long enough; returns the time by then."""
        for number in range(circuit.LANES):
            self.answer(start, NO_ANSWER, lane=str(number))
        self.answer(start + circuit.AFTER_S, NO_ANSWER)
        assert self.gate.state is GateState.CIRCUIT
        return start + circuit.AFTER_S

    def stall(self, now: float) -> None:
        """Let the credential be wrong."""
        for number in range(1 + TRIALS):
            self.answer(now, CREDENTIALS, lane=f"stalling {number}")
        assert self.gate.stall is Stall.CREDENTIALS

    def flood(self, now: float) -> None:
        """Let enough events be refused."""
        for _ in range(MIN_EVENTS):
            self.answer(now, REFUSED)
        assert self.gate.state is GateState.FLOOD

    def waits(self, now: float) -> tuple[float, float]:
        """How long a failed head and a ready one wait."""
        return self.gate.wait_s(now, ready=False), self.gate.wait_s(now, ready=True)


@pytest.fixture
def bench() -> Bench:
    """A gate of four requests at once."""
    return Bench()


# ── open ──


def test_no_more_requests_than_the_limit() -> None:
    """Beyond it only an answer makes room."""
    bench = Bench(limit=2)
    bench.gate.begin(0)
    assert bench.waits(0) == (0, 0)
    bench.gate.begin(0)
    assert bench.waits(0) == (inf, inf)
    bench.end(0, ACCEPTED, began=0)
    assert bench.waits(0) == (0, 0)


def test_the_limit_grows_only_when_it_was_reached() -> None:
    """One request at a time teaches nothing about sixteen."""
    lonely, busy = Bench(limit=100), Bench(limit=100)
    for second in range(1, 10):
        lonely.answer(second, ACCEPTED, took_s=1)
        for _ in range(busy.gate.limit.value - busy.gate.in_flight):
            busy.gate.begin(second)
        busy.end(second, ACCEPTED, began=second - 1)
    assert lonely.gate.limit.value == START
    assert busy.gate.limit.value > START


@pytest.mark.parametrize("verdict", [NO_ANSWER, Later(None, throttled=True)])
def test_trouble_lowers_the_limit(verdict: Verdict) -> None:
    """Whether Pendo cannot, or would rather not."""
    bench = Bench(limit=100)
    for second in range(1, 10):
        bench.answer(second, verdict, took_s=1, lane="a", lanes=100)
    assert bench.gate.limit.value < START


@pytest.mark.parametrize("verdict", [*ABOUT_ITSELF, CREDENTIALS])
def test_what_is_no_trouble_does_not_lower_the_limit(verdict: Verdict) -> None:
    """Whoever refuses an event has had time for it."""
    bench = Bench(limit=100)
    for second in range(1, 10):
        bench.answer(second, verdict, took_s=1)
    assert bench.gate.limit.value == START


def test_the_quota_is_kept_in_every_state() -> None:
    """Probes count as well."""
    bench = Bench(quota=0.01)
    assert bench.waits(1000) == (0, 0)
    bench.answer(1000, ACCEPTED)
    assert bench.waits(1000) == (100, 100)
    bench.answer(1000, ENDPOINT)
    assert bench.waits(1000 + LONG_S) == (140, 140)


def test_answers_and_acceptances_are_counted(bench: Bench) -> None:
    """For the poison clock, that must know whether others pass; being asked to slow down is an answer too."""
    for verdict in (ACCEPTED, REFUSED, OPTED_OUT, NO_ANSWER, Later(1, throttled=True), ACCEPTED, ENDPOINT):
        bench.answer(0, verdict)
    assert (bench.gate.answered, bench.gate.accepted) == (7, 2)


@pytest.mark.parametrize("verdict", ABOUT_ITSELF)
def test_the_latest_request_that_passed_is_known_by_its_beginning(bench: Bench, verdict: Verdict) -> None:
    """An answer that comes late says only how things stood when its request went."""
    bench.answer(10, ACCEPTED, took_s=2)
    bench.answer(11, verdict, took_s=9)
    assert bench.gate.passed_at == 8
    bench.answer(12, verdict, took_s=1)
    assert bench.gate.passed_at == 11


@pytest.mark.parametrize("verdict", [NO_ANSWER, CREDENTIALS, ENDPOINT])
def test_what_is_no_answer_about_the_request_is_no_pass(bench: Bench, verdict: Verdict) -> None:
    """Else the next 403 would be taken for the record's own."""
    bench.answer(10, verdict)
    assert bench.gate.passed_at == -inf


def test_a_forbidden_record_is_no_proof_that_the_credential_is_good(bench: Bench) -> None:
    """It was answered as a wrong credential would be: neither a pass, nor the end of an outage."""
    forbidden = Refused(Reason.FORBIDDEN, "Pendo answered 403")
    now = bench.outage()
    assert not bench.answer(now + 1, forbidden)
    assert bench.gate.state is GateState.CIRCUIT
    assert bench.gate.passed_at == -inf


# ── the lease ──


@pytest.mark.parametrize("why", list(Hold))
def test_a_held_gate_lets_nothing_through(bench: Bench, why: Hold) -> None:
    """Whatever its state."""
    bench.lease.held.add(why)
    assert bench.waits(0) == (inf, inf)
    now = bench.outage()
    assert bench.waits(now + LONG_S) == (inf, inf)
    bench.lease.held.discard(why)
    assert bench.waits(now + LONG_S) == (0, 0)


def test_a_process_that_stood_still_lets_nothing_through(bench: Bench) -> None:
    """Before anybody has ticked."""
    bench.lease.tick(0)
    assert bench.waits(8) == (0, 0)
    assert bench.waits(8.001) == (inf, inf)


# ── circuit ──


def test_a_few_failing_lanes_are_no_outage(bench: Bench) -> None:
    """Nine bad visitors among many, for however long, do not close the route."""
    for second in range(1000):
        bench.answer(second, NO_ANSWER, lane=str(second % (circuit.LANES - 1)))
    assert bench.gate.state is GateState.OPEN


@pytest.mark.parametrize("verdict", ABOUT_ITSELF)
def test_a_success_in_between_is_no_outage(bench: Bench, verdict: Verdict) -> None:
    """As long as anybody gets through, lanes retry by themselves."""
    for second in range(1000):
        bench.answer(second, verdict if second % 9 == 0 else NO_ANSWER, lane=str(second))
        assert bench.gate.state is not GateState.CIRCUIT


def test_trouble_of_a_few_seconds_is_no_outage(bench: Bench) -> None:
    """However many fail: each lane's own delay is enough."""
    for number in range(100):
        bench.answer(number * circuit.AFTER_S / 100, NO_ANSWER, lane=str(number))
    assert bench.gate.state is GateState.OPEN


def test_all_failing_for_long_is_an_outage(bench: Bench) -> None:
    """Ten lanes, or all there are when they are fewer."""
    bench.outage()
    lonely = Bench()
    lonely.answer(0, NO_ANSWER, lanes=1)
    assert lonely.answer(circuit.AFTER_S, NO_ANSWER, lanes=1)
    assert lonely.gate.state is GateState.CIRCUIT


@pytest.mark.parametrize("verdict", ABOUT_ITSELF)
def test_an_answer_about_the_request_itself_opens_the_circuit(bench: Bench, verdict: Verdict) -> None:
    """Whoever refuses one event is there."""
    now = bench.outage()
    assert bench.answer(now + 1, verdict)
    assert bench.gate.state is GateState.OPEN
    assert bench.waits(now + 1) == (0, 0)


def test_probes_go_one_at_a_time_and_further_and_further_apart(bench: Bench) -> None:
    """At least a second, at most the maximum."""
    now = bench.outage()
    delays = []
    for _ in range(9):
        wait_s = bench.gate.wait_s(now, ready=False)
        delays.append(wait_s)
        now += wait_s
        bench.gate.begin(now)
        assert bench.waits(now) == (inf, inf)
        bench.end(now, NO_ANSWER, began=now)
    assert delays[0] == MIN_PROBE_DELAY_S
    assert delays == sorted(delays)
    assert delays[-1] == LONG_S


def test_probes_are_jittered() -> None:
    """Pods that lost Pendo at the same moment do not come back at the same moment."""
    waits = set()
    for random in (0.0, 0.5, 1.0):
        bench = Bench(random=random)
        now = bench.outage()
        for _ in range(9):
            now += bench.gate.wait_s(now, ready=False)
            bench.answer(now, NO_ANSWER)
        waits.add(bench.gate.wait_s(now, ready=False))
    assert waits == {LONG_S / 2, LONG_S * 3 / 4, LONG_S}


def test_chance_never_brings_probes_nearer_than_a_second() -> None:
    """However the jitter falls."""
    bench = Bench(random=0.0)
    assert bench.gate.wait_s(bench.outage(), ready=False) == MIN_PROBE_DELAY_S


def test_the_second_outage_is_probed_from_the_beginning(bench: Bench) -> None:
    """What the first one's delay had grown to is forgotten when it is over."""
    now = bench.outage()
    for _ in range(9):
        now += bench.gate.wait_s(now, ready=False)
        bench.answer(now, NO_ANSWER)
    bench.answer(now, ACCEPTED)
    now = bench.outage(now)
    assert bench.gate.wait_s(now, ready=False) == MIN_PROBE_DELAY_S


def test_after_an_outage_the_limit_starts_slowly() -> None:
    """What was learned before may be wrong, and it may grow fast again."""
    bench = Bench(limit=1000)
    bench.gate.limit.value = 500
    now = bench.outage()
    bench.answer(now + 1, ACCEPTED)
    assert bench.gate.limit.value == START


def test_a_head_that_is_ready_need_not_wait_for_the_probes_delay(bench: Bench) -> None:
    """On a quiet topic one failing visitor opens the circuit; the next visitor's event is tried within a second."""
    now = bench.outage()
    for _ in range(8):
        now += bench.gate.wait_s(now, ready=False)
        bench.answer(now, NO_ANSWER, lanes=1)
    assert bench.gate.wait_s(now, ready=False) > 30
    assert bench.gate.wait_s(now, ready=True) == MIN_PROBE_DELAY_S


def test_the_answer_that_opens_the_circuit_may_say_when_to_come_back(bench: Bench) -> None:
    """Its `Retry-After` holds for the first probe too."""
    bench.answer(0, Later(120), lanes=1)
    bench.answer(circuit.AFTER_S, Later(120), lanes=1)
    assert bench.gate.state is GateState.CIRCUIT
    assert bench.gate.wait_s(circuit.AFTER_S, ready=False) == 120


def test_a_ready_head_keeps_retry_after_too(bench: Bench) -> None:
    """Pendo has asked the endpoint's callers to stay away, not one visitor; once it answers that is over."""
    bench.answer(0, Later(120), "a", lanes=2)
    bench.answer(circuit.AFTER_S, Later(120), "b", lanes=2)
    assert bench.waits(circuit.AFTER_S) == (120, 120)
    bench.answer(circuit.AFTER_S + 120, ACCEPTED)
    now = bench.outage(circuit.AFTER_S + 120)
    assert bench.waits(now) == (MIN_PROBE_DELAY_S, MIN_PROBE_DELAY_S)


def test_retry_after_holds_though_others_answer_later_without_it(bench: Bench) -> None:
    """Requests were on the wire when the circuit opened; what comes of the last of them is not all that was said."""
    now = bench.outage()
    bench.gate.begin(now)
    bench.answer(now, Later(60), "a")
    bench.end(now, NO_ANSWER, "b", began=now)
    assert bench.waits(now) == (60, 60)


def test_one_visitors_retry_after_does_not_hold_the_others_on_a_quiet_topic(bench: Bench) -> None:
    """It opens the circuit when it is the only one that there is; the next visitor's event may show that it is none."""
    bench.answer(0, Later(300), "bad", lanes=1)
    bench.answer(circuit.AFTER_S, Later(300), "bad", lanes=1)
    assert bench.waits(circuit.AFTER_S) == (300, MIN_PROBE_DELAY_S)


def test_while_two_lanes_are_told_to_slow_down_nothing_goes(bench: Bench) -> None:
    """Neither a probe of an outage nor a trial in a doubt."""
    for begin in (bench.outage, lambda: bench.answer(0, CREDENTIALS)):
        begin()
        for lane in "ab":
            bench.answer(circuit.AFTER_S, Later(50, throttled=True), lane)
        assert min(bench.waits(circuit.AFTER_S)) == 50


# ── throttle ──


def test_one_lanes_429_does_not_close_the_route_two_do(bench: Bench) -> None:
    """Until the longest `Retry-After` has passed."""
    bench.answer(0, Later(5, throttled=True), lane="a")
    bench.answer(0, Later(9, throttled=True), lane="a")
    assert bench.waits(0) == (0, 0)
    bench.answer(1, Later(5, throttled=True), lane="b")
    assert bench.waits(1) == (8, 8)
    assert bench.waits(9) == (0, 0)
    assert bench.gate.state is GateState.OPEN


def test_a_lane_that_has_passed_since_its_429_does_not_help_to_close_the_route(bench: Bench) -> None:
    """A visitor's limit that is over is not the route's."""
    bench.answer(0, Later(100, throttled=True), lane="a")
    bench.answer(1, ACCEPTED, lane="a")
    bench.answer(2, Later(100, throttled=True), lane="b")
    assert bench.waits(2) == (0, 0)


def test_probes_too_wait_until_the_route_is_open(bench: Bench) -> None:
    """A flood is no reason to ask more often than Pendo wants."""
    bench.flood(0)
    bench.answer(1, Later(50, throttled=True), lane="a")
    bench.answer(1, Later(50, throttled=True), lane="b")
    bench.answer(2, ACCEPTED, lane="c")
    assert bench.gate.wait_s(2, ready=True) == 49


def test_being_asked_to_slow_down_is_no_outage(bench: Bench) -> None:
    """Somebody who rate limits is there."""
    for second in range(100):
        bench.answer(second, Later(None, throttled=True), lane=str(second))
    assert bench.gate.state is GateState.OPEN


# ── doubt ──


def test_one_403_is_a_doubt_and_one_trial_goes(bench: Bench) -> None:
    """At once, with a head that is ready; the suspect itself waits a second."""
    assert not bench.answer(5, CREDENTIALS)
    assert (bench.gate.doubt.active, bench.gate.stall, bench.gate.state) == (True, None, GateState.OPEN)
    assert bench.gate.probing
    assert bench.waits(5) == (MIN_PROBE_DELAY_S, 0)
    bench.gate.begin(5)
    assert bench.waits(5 + LONG_S) == (inf, inf)


def test_the_trial_need_not_wait_for_what_is_in_flight(bench: Bench) -> None:
    """Requests that went before the doubt say nothing about the credential now; theirs come in meanwhile."""
    bench.gate.begin(0)
    bench.answer(5, CREDENTIALS)
    assert bench.gate.in_flight == 1
    assert bench.gate.wait_s(5, ready=True) == 0


@pytest.mark.parametrize("verdict", ABOUT_ITSELF)
def test_a_trial_that_passes_ends_the_doubt(bench: Bench, verdict: Verdict) -> None:
    """Then the credential is good, and the route goes on as if nothing had been."""
    bench.answer(5, CREDENTIALS)
    assert not bench.answer(6, verdict, lane="b")
    assert not bench.gate.doubt.active
    assert bench.gate.state is GateState.OPEN
    assert bench.waits(6) == (0, 0)


def test_the_next_doubt_is_as_patient_as_the_first(bench: Bench) -> None:
    """Single forbidden records, met one after another, never add up to a stall."""
    for second in range(0, 100, 2):
        bench.answer(second, CREDENTIALS)
        bench.answer(second, CREDENTIALS, lane="b")
        assert bench.gate.doubt.active
        bench.answer(second + 1, ACCEPTED, lane="c")
        assert bench.gate.stall is None


def test_an_older_requests_pass_does_not_end_the_doubt(bench: Bench) -> None:
    """It may have gone before the credential was withdrawn."""
    bench.gate.begin(4)
    bench.answer(5, CREDENTIALS)
    bench.end(6, ACCEPTED, "b", began=4)
    assert bench.gate.doubt.active
    assert bench.waits(5) == (MIN_PROBE_DELAY_S, 0)
    bench.gate.begin(6)
    assert bench.waits(6 + LONG_S) == (inf, inf)


def test_an_older_requests_answer_is_not_the_trials(bench: Bench) -> None:
    """While the trial is out nothing else goes, and only the trials' 403 count."""
    for _ in range(2 * TRIALS):
        bench.gate.begin(4)
    bench.answer(5, CREDENTIALS)
    bench.gate.begin(6)
    for _ in range(2 * TRIALS):
        bench.end(7, CREDENTIALS, "old", began=4)
    assert bench.gate.doubt.active
    assert bench.waits(7 + LONG_S) == (inf, inf)
    bench.end(8, CREDENTIALS, "trial", began=6)
    assert bench.gate.doubt.active
    assert bench.waits(8) == (0, 0)


def test_trials_that_meet_403_too_are_a_stall(bench: Bench) -> None:
    """One of them might be another forbidden record; two make it the credential."""
    bench.answer(5, CREDENTIALS)
    for number in range(1, TRIALS):
        assert not bench.answer(5 + number, CREDENTIALS, lane=str(number))
    assert bench.answer(9, CREDENTIALS, lane="last")
    assert (bench.gate.state, bench.gate.stall, bench.gate.doubt.active) == (
        GateState.STALLED,
        Stall.CREDENTIALS,
        False,
    )
    assert bench.waits(9) == (MIN_PROBE_DELAY_S, MIN_PROBE_DELAY_S)


def test_a_trial_that_meets_trouble_decides_nothing(bench: Bench) -> None:
    """Another one goes, as probes do: further and further apart."""
    bench.answer(0, CREDENTIALS)
    now, waits = 0.0, []
    for _ in range(8):
        bench.answer(now, NO_ANSWER, lane="b")
        assert bench.gate.doubt.active
        waits.append(bench.gate.wait_s(now, ready=True))
        now += waits[-1]
    assert waits == sorted(waits)
    assert waits[0] == MIN_PROBE_DELAY_S
    assert waits[-1] == LONG_S


def test_a_doubt_whose_trial_never_counted_does_not_hinder_the_next(bench: Bench) -> None:
    """The URL was found wrong meanwhile, by a request that went before."""
    bench.gate.begin(0)
    bench.answer(1, CREDENTIALS)
    bench.gate.begin(2)
    bench.end(3, ENDPOINT, "old", began=0)
    bench.end(4, ACCEPTED, "trial", began=2)
    bench.answer(5, ACCEPTED, lane="probe")
    assert bench.gate.state is GateState.OPEN
    bench.answer(6, CREDENTIALS)
    assert bench.gate.wait_s(6, ready=True) == 0


def test_an_older_requests_trouble_does_not_put_off_the_trial(bench: Bench) -> None:
    """There may be a hundred of them, and their answers take long."""
    bench.gate.begin(0)
    bench.answer(1, CREDENTIALS)
    bench.end(2, Later(LONG_S), "b", began=0)
    assert bench.gate.wait_s(2, ready=True) == 0


def test_an_outage_in_the_middle_of_a_doubt_leads_out_of_both(bench: Bench) -> None:
    """The circuit's probe is a trial as well."""
    bench.answer(0, CREDENTIALS)
    now = bench.outage()
    assert bench.gate.doubt.active
    assert bench.gate.wait_s(now, ready=True) == MIN_PROBE_DELAY_S
    assert bench.waits(now + LONG_S) == (0, 0)
    assert bench.answer(now + LONG_S, ACCEPTED, lane="b")
    assert (bench.gate.state, bench.gate.doubt.active) == (GateState.OPEN, False)
    assert bench.waits(now + LONG_S) == (0, 0)


def test_a_probe_that_meets_403_in_an_outage_is_a_stall(bench: Bench) -> None:
    """Nobody has passed for long: there is nothing to doubt."""
    now = bench.outage()
    assert bench.answer(now + 1, CREDENTIALS)
    assert bench.gate.stall is Stall.CREDENTIALS


# ── stall ──


def test_a_wrong_url_stalls_at_once(bench: Bench) -> None:
    """No record can be at fault for a page that answers."""
    assert bench.answer(0, ENDPOINT)
    assert (bench.gate.state, bench.gate.stall) == (GateState.STALLED, Stall.ENDPOINT)


def test_a_wrong_url_found_in_a_doubt_stalls_at_once(bench: Bench) -> None:
    """The doubt is over with it."""
    bench.answer(0, CREDENTIALS)
    assert bench.answer(1, ENDPOINT)
    assert (bench.gate.stall, bench.gate.doubt.active) == (Stall.ENDPOINT, False)


def test_a_stall_says_what_to_mend_now(bench: Bench) -> None:
    """Somebody mended the URL, and the credential proves wrong as well."""
    bench.answer(0, ENDPOINT)
    assert bench.answer(1, CREDENTIALS)
    assert bench.gate.stall is Stall.CREDENTIALS


@pytest.mark.parametrize("verdict", ABOUT_ITSELF)
def test_a_stall_heals_by_a_probe(bench: Bench, verdict: Verdict) -> None:
    """One answer about a request itself, and all goes on."""
    bench.stall(0)
    assert not bench.answer(1, CREDENTIALS)
    assert bench.answer(3, verdict)
    assert (bench.gate.state, bench.gate.stall) == (GateState.OPEN, None)
    assert bench.waits(3) == (0, 0)


def test_a_request_from_before_the_stall_does_not_heal_it(bench: Bench) -> None:
    """It may have gone before the credential was withdrawn."""
    bench.gate.begin(0)
    bench.stall(1)
    assert not bench.end(2, ACCEPTED, began=0)
    assert bench.gate.stall is Stall.CREDENTIALS
    assert bench.waits(1) == (MIN_PROBE_DELAY_S, MIN_PROBE_DELAY_S)


def test_trouble_does_not_heal_a_stall(bench: Bench) -> None:
    """A 500 says nothing about the credential."""
    bench.answer(0, ENDPOINT)
    bench.answer(1, NO_ANSWER)
    assert bench.gate.stall is Stall.ENDPOINT


def test_a_stall_is_not_hurried_by_what_is_ready(bench: Bench) -> None:
    """Whatever head goes, the credential is as wrong as before."""
    for second in range(10):
        bench.answer(second, CREDENTIALS)
    assert bench.gate.wait_s(10, ready=True) > 30


def test_a_stall_in_an_outage_is_not_hurried_either(bench: Bench) -> None:
    """Though the outage alone would be."""
    now = bench.outage()
    for second in range(10):
        bench.answer(now + second, CREDENTIALS)
    assert bench.gate.wait_s(now + 10, ready=True) > 30


def test_a_changed_credential_is_tried_at_once(bench: Bench) -> None:
    """Whatever the delay has grown to."""
    for second in range(10):
        bench.answer(second, CREDENTIALS)
    assert bench.gate.wait_s(10, ready=False) > 30
    bench.gate.probe_now()
    assert bench.waits(10) == (0, 0)
    bench.answer(10, CREDENTIALS)
    assert bench.gate.wait_s(10, ready=False) == MIN_PROBE_DELAY_S


def test_a_changed_credential_is_tried_at_once_in_an_outage_too(bench: Bench) -> None:
    """Though a probe went this very moment, and whatever stands ready."""
    now = bench.outage()
    bench.gate.probe_now()
    assert bench.waits(now) == (0, 0)


def test_requests_on_the_wire_when_the_gate_closes_are_no_probes() -> None:
    """A hundred stragglers that fail do not push the first probe a minute away."""
    bench = Bench(limit=200)
    for _ in range(100):
        bench.gate.begin(0)
    for number in range(100):
        bench.end(0, ENDPOINT, str(number), began=0)
    assert bench.gate.wait_s(0, ready=False) <= MIN_PROBE_DELAY_S


# ── flood ──


def test_most_events_refused_is_a_flood(bench: Bench) -> None:
    """From then on one probe at a time, a second apart and more."""
    bench.flood(0)
    now, waits = 0.0, []
    for _ in range(9):
        waits.append(bench.gate.wait_s(now, ready=True))
        now += waits[-1]
        bench.gate.begin(now)
        assert bench.waits(now + LONG_S) == (inf, inf)
        bench.end(now, REFUSED, began=now)
    assert waits[0] == MIN_PROBE_DELAY_S
    assert waits == sorted(waits)
    assert waits[-1] == LONG_S


@pytest.mark.parametrize("verdict", [OPTED_OUT, NO_ANSWER, Later(1, throttled=True), CREDENTIALS])
def test_only_acceptances_and_refusals_tell_a_flood(bench: Bench, verdict: Verdict) -> None:
    """Neither trouble nor a visitor's wish says anything about the events."""
    for second in range(MIN_EVENTS):
        bench.answer(second, REFUSED if second % 2 else verdict)
    assert not bench.gate.flood.active


def test_after_an_acceptance_probes_follow_each_other_without_a_pause(bench: Bench) -> None:
    """Still one at a time: a round decides in round trips, not in minutes."""
    bench.flood(0)
    for second in range(1, 6):
        bench.answer(second, REFUSED)
    bench.answer(6, ACCEPTED)
    assert bench.gate.state is GateState.FLOOD
    assert bench.waits(6) == (0, 0)
    bench.gate.begin(6)
    assert bench.waits(6) == (inf, inf)
    bench.end(6, REFUSED, began=6)
    assert bench.waits(6) == (0, 0)


def test_a_good_round_ends_the_flood(bench: Bench) -> None:
    """Then the route is open at once, and the caller is told."""
    bench.flood(0)
    changes = [bench.answer(1, ACCEPTED) for _ in range(ROUND)]
    assert changes == [False] * (ROUND - 1) + [True]
    assert bench.gate.state is GateState.OPEN
    assert bench.waits(1) == (0, 0)


def test_a_bad_round_goes_back_to_slow_probing(bench: Bench) -> None:
    """Beginning with a second: something has been accepted after all."""
    bench.flood(0)
    for second in range(1, 6):
        bench.answer(second, REFUSED)
    bench.answer(6, ACCEPTED)
    for _ in range(ROUND - 1):
        bench.answer(6, REFUSED)
    assert bench.gate.state is GateState.FLOOD
    assert bench.waits(6) == (MIN_PROBE_DELAY_S, MIN_PROBE_DELAY_S)


def test_when_nothing_is_left_to_probe_the_round_is_over(bench: Bench) -> None:
    """A quiet topic must not wait for twenty events that do not come."""
    bench.flood(0)
    assert bench.answer(1, ACCEPTED, left=False)
    assert bench.gate.state is GateState.OPEN


def test_a_flood_goes_on_after_an_outage_in_it(bench: Bench) -> None:
    """What is seen is the reason that must go first; the other comes back to light."""
    bench.flood(0)
    now = bench.outage()
    states = []
    for verdict in (REFUSED, ENDPOINT, REFUSED):
        now += 1
        assert bench.answer(now, verdict)
        states.append(bench.gate.state)
    assert states == [GateState.FLOOD, GateState.STALLED, GateState.FLOOD]


def test_the_next_flood_is_probed_from_the_beginning(bench: Bench) -> None:
    """What the first one's delay had grown to is forgotten when it is over, however short the last round was."""
    bench.flood(0)
    for second in range(1, 6):
        bench.answer(second, REFUSED)
    bench.answer(6, ACCEPTED, left=False)
    bench.flood(7)
    assert bench.waits(7) == (MIN_PROBE_DELAY_S, MIN_PROBE_DELAY_S)


def test_a_flood_that_is_taken_over_is_probed_at_once(bench: Bench) -> None:
    """What the delay of an outage had grown to before is nothing to it."""
    now = bench.outage()
    for _ in range(8):
        now += bench.gate.wait_s(now, ready=False)
        bench.answer(now, NO_ANSWER)
    bench.answer(now + 1, ACCEPTED)
    bench.gate.begin_flood()
    assert bench.waits(now + 1) == (0, 0)


@pytest.mark.parametrize("random", [0.0, 0.25])
def test_probes_of_a_flood_are_a_fair_sample(random: float) -> None:
    """Chance decides whether one that was set aside goes; but a trial is never a suspect while others are ready."""
    bench = Bench(random=random)
    assert bench.gate.chance == 1
    bench.flood(0)
    assert bench.gate.chance == random
    bench.answer(1, CREDENTIALS)
    assert bench.gate.chance == 1
