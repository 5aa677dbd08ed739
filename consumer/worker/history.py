"""The history: how fast, how old, and since when, over the last minute. One look a second, in bounded memory.

Counts that only grow come in; rates and ages of the last while go out. It is handed the time, and asks nobody.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import time
from typing import Any, Final

LOOK_S: Final = 1.0
LOOKS: Final = 60
"""A minute."""
RATE_LOOKS: Final = 10
"""Long enough to be calm, short enough to see that something has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen at one moment.

    Attributes:
        received: Events so far.
        delivered: Events so far that Pendo has, those merged included.
        settled: Events so far that came to their end, whichever.
        parked: Those of them that became dead letters.
        ages: Delivered events so far by bucket of their age.
        states: What holds at the moment: states of gates, why nothing is sent, what is not ready.
    """

    received: int
    delivered: int
    settled: int
    parked: int
    ages: Sequence[int]
    states: Iterable[Hashable]


class History:
    """The last minute.

    Attributes:
        started_ms: When this process was built, milliseconds since the epoch.
    """

    def __init__(self, look: Callable[[], Look], clock: Callable[[], float] = time) -> None:
        self._look = look
        self._clock = clock
        self.started_ms = int(clock() * 1000)
        self._looks: deque[tuple[float, Look]] = deque(maxlen=LOOKS + 1)
        self._since_ms: dict[Hashable, int] = {}

    async def run(self) -> None:
        """Look once a second, for ever."""
        while True:
            self.observe()
            await asyncio.sleep(LOOK_S)

    def observe(self) -> None:
        """Look once."""
        now_s, look = self._clock(), self._look()
        self._looks.append((now_s, look))
        self._since_ms = {state: self._since_ms.get(state, int(now_s * 1000)) for state in look.states}

    def since_ms(self, state: Hashable) -> int | None:
        """Since when something holds, milliseconds since the epoch; None when it does not, as far as seen."""
        return self._since_ms.get(state)

    def to_json(self) -> dict[str, Any]:
        """Events a second over ten seconds; over the last minute each second's deliveries, ends, letters, and ages."""
        looks = self._looks
        if not looks:
            still = {"received": 0.0, "delivered": 0.0, "settled": 0.0}
            return still | {"ended": 0, "parked": 0, "seconds": [], "ages": []}
        now_s, newest = looks[-1]
        then_s, older = looks[max(0, len(looks) - 1 - RATE_LOOKS)]
        took_s = max(now_s - then_s, LOOK_S)
        seconds = [each.delivered for _, each in looks]
        oldest = looks[0][1]
        return {
            "received": round((newest.received - older.received) / took_s, 2),
            "delivered": round((newest.delivered - older.delivered) / took_s, 2),
            "settled": round((newest.settled - older.settled) / took_s, 2),
            "ended": newest.settled - oldest.settled,
            "parked": newest.parked - oldest.parked,
            "seconds": [after - before for before, after in pairwise(seconds)],
            "ages": [new - old for new, old in zip(newest.ages, oldest.ages, strict=True)],
        }
