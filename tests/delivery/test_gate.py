"""The gate: outage and misconfiguration close it, and it finds its way back without being told."""

from math import inf

import pytest

from consumer.delivery.gate import CIRCUIT_AFTER_S, CIRCUIT_LANES, MIN_PROBE_DELAY_S, Gate, GateState
from consumer.outcomes import Reason
from consumer.pendo.verdicts import ACCEPTED, NO_ANSWER, OPTED_OUT, Later, Locked, Refused, Stall, Verdict


def _gate(limit: int = 4) -> Gate:
    return Gate(limit=limit, max_probe_delay_s=60, random=lambda: 1.0)


def _answer(gate: Gate, now: float, verdict: Verdict, lane: str = "a", lanes: int = 100) -> bool:
    gate.begin(now)
    return gate.end(now, lane, verdict, lanes=lanes)


def _outage(gate: Gate, start: float = 0.0) -> float:
    """Let enough lanes fail for long enough; returns the time by then."""
    for number in range(CIRCUIT_LANES):
        _answer(gate, start, NO_ANSWER, lane=str(number))
    _answer(gate, start + CIRCUIT_AFTER_S, NO_ANSWER)
    assert gate.state is GateState.CIRCUIT
    return start + CIRCUIT_AFTER_S


def test_no_more_requests_than_the_limit() -> None:
    """Beyond it only an answer makes room."""
    gate = _gate(limit=2)
    gate.begin(0)
    assert gate.wait_s(0, ready=False) == 0
    gate.begin(0)
    assert gate.wait_s(0, ready=False) == inf
    gate.end(0, "a", ACCEPTED, lanes=2)
    assert gate.wait_s(0, ready=False) == 0


def test_a_few_failing_lanes_are_no_outage() -> None:
    """Nine bad visitors among many, for however long, do not close the route."""
    gate = _gate()
    for second in range(1000):
        _answer(gate, second, NO_ANSWER, lane=str(second % (CIRCUIT_LANES - 1)))
    assert gate.state is GateState.OPEN


def test_a_success_in_between_is_no_outage() -> None:
    """As long as anybody gets through, lanes retry by themselves."""
    gate = _gate()
    for second in range(1000):
        _answer(gate, second, ACCEPTED if second % 9 == 0 else NO_ANSWER, lane=str(second))
    assert gate.state is GateState.OPEN


def test_all_failing_for_long_is_an_outage() -> None:
    """Ten lanes, or all there are when they are fewer."""
    gate = _gate()
    _outage(gate)
    lonely = _gate()
    _answer(lonely, 0, NO_ANSWER, lanes=1)
    assert _answer(lonely, CIRCUIT_AFTER_S, NO_ANSWER, lanes=1)
    assert lonely.state is GateState.CIRCUIT


@pytest.mark.parametrize("verdict", [ACCEPTED, OPTED_OUT, Refused(Reason.REFUSED, "400")])
def test_an_answer_about_the_request_itself_opens_the_circuit(verdict: Verdict) -> None:
    """Whoever refuses one event is there."""
    gate = _gate()
    now = _outage(gate)
    assert _answer(gate, now + 1, verdict)
    assert gate.state is GateState.OPEN
    assert gate.wait_s(now + 1, ready=False) == 0


def test_probes_go_one_at_a_time_and_further_and_further_apart() -> None:
    """At least a second, at most the maximum."""
    gate = _gate()
    now = _outage(gate)
    delays = []
    for _ in range(9):
        wait_s = gate.wait_s(now, ready=False)
        delays.append(wait_s)
        now += wait_s
        gate.begin(0)
        assert gate.wait_s(now, ready=False) == inf
        gate.end(now, "a", NO_ANSWER, lanes=100)
    assert delays[0] == MIN_PROBE_DELAY_S
    assert delays == sorted(delays)
    assert delays[-1] == 60


def test_requests_on_the_wire_when_the_gate_closes_are_no_probes() -> None:
    """A hundred stragglers that fail do not push the first probe a minute away."""
    gate = _gate(limit=200)
    for _ in range(100):
        gate.begin(0)
    for number in range(100):
        gate.end(0, str(number), Locked(Stall.CREDENTIALS), lanes=100)
    assert gate.wait_s(0, ready=False) <= MIN_PROBE_DELAY_S


def test_a_wrong_credential_stalls_at_once_and_heals_by_a_probe() -> None:
    """One 403 is enough to stop, one acceptance to go on."""
    gate = _gate()
    assert _answer(gate, 0, Locked(Stall.CREDENTIALS))
    assert (gate.state, gate.stall) == (GateState.STALLED, Stall.CREDENTIALS)
    assert gate.wait_s(0, ready=False) >= MIN_PROBE_DELAY_S
    assert not _answer(gate, 1, Locked(Stall.CREDENTIALS))
    assert _answer(gate, 3, ACCEPTED)
    assert (gate.state, gate.stall) == (GateState.OPEN, None)


def test_trouble_does_not_heal_a_stall() -> None:
    """A 500 says nothing about the credential."""
    gate = _gate()
    _answer(gate, 0, Locked(Stall.ENDPOINT))
    _answer(gate, 1, NO_ANSWER)
    assert gate.stall is Stall.ENDPOINT


def test_a_changed_credential_is_tried_at_once() -> None:
    """Whatever the delay has grown to."""
    gate = _gate()
    for second in range(10):
        _answer(gate, second, Locked(Stall.CREDENTIALS))
    assert gate.wait_s(10, ready=False) > 30
    gate.probe_now()
    assert gate.wait_s(10, ready=False) == 0


def test_one_lanes_429_does_not_close_the_route_two_do() -> None:
    """Until the longest `Retry-After` has passed."""
    gate = _gate()
    _answer(gate, 0, Later(5, throttled=True), lane="a")
    _answer(gate, 0, Later(9, throttled=True), lane="a")
    assert gate.wait_s(0, ready=False) == 0
    _answer(gate, 1, Later(5, throttled=True), lane="b")
    assert gate.wait_s(1, ready=False) == 8
    assert gate.wait_s(9, ready=False) == 0
    assert gate.state is GateState.OPEN


def test_being_asked_to_slow_down_is_no_outage() -> None:
    """Somebody who rate limits is there."""
    gate = _gate()
    for second in range(100):
        _answer(gate, second, Later(None, throttled=True), lane=str(second))
    assert gate.state is GateState.OPEN


def test_a_paused_gate_lets_nothing_through() -> None:
    """Whatever its state."""
    gate = _gate()
    gate.paused = True
    assert gate.wait_s(0, ready=False) == inf


def test_a_head_that_is_ready_need_not_wait_for_the_probes_delay() -> None:
    """On a quiet topic one failing visitor opens the circuit; the next visitor's event is tried within a second."""
    gate = _gate()
    now = _outage(gate)
    for _ in range(8):
        now += gate.wait_s(now, ready=False)
        gate.begin(now)
        gate.end(now, "a", NO_ANSWER, lanes=1)
    assert gate.wait_s(now, ready=False) > 30
    assert gate.wait_s(now, ready=True) == MIN_PROBE_DELAY_S


def test_a_stall_is_not_hurried_by_what_is_ready() -> None:
    """Whatever head goes, the credential is as wrong as before."""
    gate = _gate()
    for second in range(10):
        _answer(gate, second, Locked(Stall.CREDENTIALS))
    assert gate.wait_s(10, ready=True) > 30


def test_the_answer_that_opens_the_circuit_may_say_when_to_come_back() -> None:
    """Its `Retry-After` holds for the first probe too."""
    gate = _gate()
    _answer(gate, 0, Later(120), lanes=1)
    _answer(gate, CIRCUIT_AFTER_S, Later(120), lanes=1)
    assert gate.state is GateState.CIRCUIT
    assert gate.wait_s(CIRCUIT_AFTER_S, ready=False) == 120
