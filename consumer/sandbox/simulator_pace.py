"""So many requests a second: moments come in, the time to wait goes out for what came too early."""

import math
from collections import deque


class Pace:
    """So many in any second, whenever it begins; of less than one a second one in as many seconds as that makes."""

    def __init__(self, per_s: float | None) -> None:
        most = max(1, math.floor(per_s)) if per_s else 0
        self._window_s = most / per_s if per_s else 0.0
        self._taken: deque[float] = deque(maxlen=most)

    def wait_s(self, now_s: float) -> float:
        """Take one, or return how long to wait until one is taken again: what is not taken does not count."""
        taken = self._taken
        if not taken.maxlen:
            return 0.0
        if len(taken) == taken.maxlen and (left_s := taken[0] + self._window_s - now_s) > 0:
            return left_s
        taken.append(now_s)
        return 0.0


def retry_after(wait_s: float) -> dict[str, str]:
    """The header: whole seconds, none too few, for a client that keeps to it must pass."""
    return {"Retry-After": str(math.ceil(wait_s))}
