"""The report: of rebalances only those of the last minutes are told."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.delivery.tally import Tally
from consumer.worker import report
from consumer.worker.report import MAX_REBALANCES, RECENT_S, Report


class Rig:
    """A report whose clock and rebalances a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        self.partitions = SimpleNamespace(rebalances=0)
        monkeypatch.setattr(report, "monotonic", lambda: self.now_s)
        nothing: Any = SimpleNamespace()
        self.report = Report(Tally(), nothing, nothing, cast("Any", self.partitions), nothing, list)

    def recent(self) -> int:
        """Rebalances as told."""
        return int(self.partitions.rebalances) - self.report._rebalances_before()

    def rebalance(self, times: int = 1) -> None:
        """So many, one after another."""
        for _ in range(times):
            self.partitions.rebalances += 1
            self.recent()


def test_the_first_join_counts_until_it_is_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every other."""
    rig = Rig(monkeypatch)
    assert rig.recent() == 0
    rig.rebalance()
    assert rig.recent() == 1
    rig.now_s += RECENT_S + 1
    assert rig.recent() == 0


def test_what_is_longer_ago_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each falls out five minutes after it was."""
    rig = Rig(monkeypatch)
    rig.recent()
    for _ in range(6):
        rig.now_s += RECENT_S / 4
        rig.rebalance()
    assert rig.recent() == 5
    rig.now_s += RECENT_S / 2 + 1
    assert rig.recent() == 2


def test_a_storm_without_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is one all the same."""
    rig = Rig(monkeypatch)
    rig.rebalance(10 * MAX_REBALANCES)
    assert rig.recent() >= MAX_REBALANCES
    assert len(rig.report._rebalances) <= MAX_REBALANCES
