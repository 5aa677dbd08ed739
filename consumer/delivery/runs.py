"""Runs: in which order the groups of one account may go, beside the lanes of their visitors.

Open groups of one account with equal traits, next to each other in the order of arrival, form a run. Inside a run they
go side by side; the runs go one after another. A group only ever waits for earlier arrivals, so there is no deadlock.
It does not know what is sent, nor whose lane a waiting group heads.
"""

from collections import deque
from typing import Generic, TypeVar

Waiting = TypeVar("Waiting")


class Run(Generic[Waiting]):
    """Open groups of one account with equal traits.

    Attributes:
        account: The account's id.
        state_hash: Of the traits.
        count: How many of its groups are open.
        waiting: Who heads a lane, and waits until this run is the account's first.
    """

    __slots__ = ("account", "count", "state_hash", "waiting")

    def __init__(self, account: str, state_hash: int) -> None:
        self.account = account
        self.state_hash = state_hash
        self.count = 0
        self.waiting: list[Waiting] = []


class Runs(Generic[Waiting]):
    """The runs of all accounts."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[str, deque[Run[Waiting]]] = {}

    def join(self, account: str, state_hash: int) -> Run[Waiting]:
        """A group arrived: it stands in its account's last run when the traits are equal, else in a new one."""
        runs = self._runs.get(account)
        if runs is None:
            runs = self._runs[account] = deque()
        if not runs or runs[-1].state_hash != state_hash:
            runs.append(Run(account, state_hash))
        run = runs[-1]
        run.count += 1
        return run

    def may_go(self, run: Run[Waiting]) -> bool:
        """Whether the run is its account's first."""
        return self._runs[run.account][0] is run

    def leave(self, run: Run[Waiting]) -> list[Waiting]:
        """A group got its verdict; returns who waited for that."""
        run.count -= 1
        runs = self._runs[run.account]
        while runs and runs[0].count == 0:
            runs.popleft()
        if not runs:
            del self._runs[run.account]
            return []
        woken, runs[0].waiting = runs[0].waiting, []
        return woken

    def rebuild(self) -> None:
        """After counts fell by a release: forget runs without groups. Who waited asks again."""
        for account, runs in list(self._runs.items()):
            self._runs[account] = standing = deque(run for run in runs if run.count)
            for run in standing:
                run.waiting = []
            if not standing:
                del self._runs[account]
