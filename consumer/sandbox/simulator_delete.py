"""Pendo's bulk deletion: a call of up to 500 ids comes in, the store has them deleted, now or later.

At most one call a second, asynchronous, and irreversible: Pendo's documentation.
"""

from typing import Final

from consumer.sandbox.simulator_checks import RefusedError, normal_id
from consumer.sandbox.simulator_store import Kind, Store

MAX_IDS: Final = 500


class Pace:
    """So many a second, and not one more."""

    def __init__(self, per_s: float | None) -> None:
        self._per_s = per_s
        self._began_s = float("-inf")
        self._came = 0

    def keep(self, now_s: float) -> float | None:
        """Count one; seconds to wait when it came too early, None when it did not."""
        if self._per_s is None:
            return None
        window_s = max(1.0, 1.0 / self._per_s)
        if now_s - self._began_s >= window_s:
            self._began_s, self._came = now_s, 0
        self._came += 1
        return self._began_s + window_s - now_s if self._came > max(1.0, self._per_s) else None


def lanes_of(kind: Kind, call: object) -> tuple[str, ...]:
    """Whom a call is about; nothing in it can make this fail."""
    ids = call.get(f"{kind}s") if isinstance(call, dict) else None
    return tuple(f"{kind}:{id_}" for given in (ids if isinstance(ids, list) else []) if (id_ := normal_id(given)))


def take(store: Store, kind: Kind, call: object) -> None:
    """Have them deleted.

    Raises:
        RefusedError: The call is not what it must be.
    """
    ids = call.get(f"{kind}s") if isinstance(call, dict) else None
    if not isinstance(ids, list) or not ids:
        raise RefusedError(400, f"the body has no list of {kind}s")
    if len(ids) > MAX_IDS:
        raise RefusedError(400, f"more than {MAX_IDS} ids")
    normal = [id_ for given in ids if (id_ := normal_id(given))]
    if len(normal) < len(ids):
        raise RefusedError(400, "an id is invalid")
    store.delete(kind, normal)
