"""A loop of asyncio's whose clock jumps from timer to timer: an hour's outage passes in milliseconds.

A coroutine goes in; what it returns comes out, the same each time. Whenever nothing can run before the next timer, a
check may look at the whole. It knows nothing of what runs in it, and there is no real network in here.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

QuietCheck = Callable[[float | None], None]
"""Is told when the next timer fires (None: never); raises when something is wrong."""


class _JumpingSelector(selectors.SelectSelector):
    """Where the loop would wait for the next timer, the time has come at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000.0
        self.check: QuietCheck | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing stands ready when the loop allows itself to wait."""
        if timeout is None or timeout > 0:
            if self.check is not None:
                self.check(None if timeout is None else self.now_s + timeout)
            assert timeout is not None, "everything waits, and nothing will ever happen"
            self.now_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now_s

    def jump(self, seconds: float) -> None:
        """The process is stopped for so long: when it goes on, all that came due meanwhile is due at once."""
        self._jumping.now_s += seconds

    def check_when_quiet(self, check: QuietCheck | None) -> None:
        """Call this at every moment at which nothing can run before the next timer."""
        self._jumping.check = check


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; tasks that are left over are cancelled, also when a check raised."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            return runner.run(main)
        finally:
            loop.check_when_quiet(None)
