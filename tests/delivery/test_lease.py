"""The lease: a process that may have lost its partitions sends nothing, until it knows better."""

import pytest

from consumer.delivery.lease import TERM_SHARE, Hold, Lease

SESSION_S = 10.0
TERM_S = TERM_SHARE * SESSION_S


@pytest.fixture
def lease() -> Lease:
    """A lease whose process has ticked at 100."""
    lease = Lease(SESSION_S)
    lease.tick(100)
    return lease


def test_before_the_first_tick_it_allows_whatever_the_clock_says() -> None:
    """The loop's clock begins anywhere."""
    assert Lease(SESSION_S).allows(1e9)


@pytest.mark.parametrize("why", list(Hold))
def test_a_hold_forbids_until_it_is_gone(lease: Lease, why: Hold) -> None:
    """Each by itself."""
    other = next(hold for hold in Hold if hold is not why)
    lease.held |= {why, other}
    assert not lease.allows(100)
    lease.held.discard(other)
    assert not lease.allows(100)
    lease.held.discard(why)
    assert lease.allows(100)


def test_ticks_keep_it(lease: Lease) -> None:
    """As long as the loop runs, nobody need commit for it."""
    for beat in range(1000):
        assert not lease.tick(100 + beat * TERM_S)
        assert lease.allows(100 + beat * TERM_S)


def test_whoever_runs_first_after_a_standstill_learns_it(lease: Lease) -> None:
    """A sender may run before the task that ticks."""
    assert lease.allows(100 + TERM_S)
    assert not lease.allows(100.001 + TERM_S)


def test_a_standstill_holds_until_a_commit(lease: Lease) -> None:
    """Said once, and no later tick heals it."""
    assert lease.tick(150)
    assert lease.held == {Hold.ASLEEP}
    assert not lease.tick(150.25)
    assert not lease.tick(151)
    assert not lease.allows(151)
    assert lease.confirm(151, 151.1)
    assert lease.held == set()
    assert lease.allows(151.1)


def test_a_commit_that_went_before_the_standstill_proves_nothing(lease: Lease) -> None:
    """Its answer lay in the socket all the while."""
    lease.tick(150)
    assert not lease.confirm(100, 150)
    assert lease.held == {Hold.ASLEEP}
    assert not lease.allows(150)


def test_a_commit_that_took_long_proves_only_its_beginning(lease: Lease) -> None:
    """The session runs from there."""
    lease.tick(150)
    assert lease.confirm(151, 151 + TERM_S)
    assert lease.allows(151 + TERM_S)
    assert not lease.allows(151.001 + TERM_S)


def test_a_commit_heals_a_standstill_that_nobody_saw_yet(lease: Lease) -> None:
    """Before the next tick."""
    assert not lease.allows(150)
    assert lease.confirm(149, 150)
    assert lease.allows(150)
    assert not lease.tick(150.25)


def test_a_slow_commit_does_not_shorten_it(lease: Lease) -> None:
    """The loop ran all the while: that the commit took nearly as long as the term is no standstill."""
    lease.tick(100 + TERM_S)
    lease.confirm(100.1, 100 + TERM_S)
    assert not lease.tick(101 + TERM_S)
    assert lease.held == set()


def test_a_commit_does_not_end_other_holds(lease: Lease) -> None:
    """An operator's pause is an operator's."""
    lease.held |= {Hold.PAUSED, Hold.REBALANCE, Hold.ASLEEP}
    assert lease.confirm(100, 100)
    assert lease.held == {Hold.PAUSED, Hold.REBALANCE}


def test_the_term_starts_anew_after_a_standstill(lease: Lease) -> None:
    """The next one is noticed as well."""
    lease.tick(150)
    lease.confirm(150, 150)
    assert not lease.tick(150.25)
    assert lease.tick(150.5 + TERM_S)
