"""Pendo's bulk deletion: a call of up to 500 ids comes in, the store has them deleted, now or later.

At most one call a second, asynchronous, and irreversible: Pendo's documentation.
"""

from typing import Final

from consumer.sandbox.simulator_checks import RefusedError, normal_id
from consumer.sandbox.simulator_faults import Failures
from consumer.sandbox.simulator_log import Outcomes
from consumer.sandbox.simulator_store import Kind, Store

MAX_IDS: Final = 500


def lanes_of(kind: Kind, call: object) -> tuple[str, ...]:
    """Whom a call is about; nothing in it can make this fail."""
    ids = call.get(f"{kind}s") if isinstance(call, dict) else None
    return tuple(f"{kind}:{id_}" for given in (ids if isinstance(ids, list) else []) if (id_ := normal_id(given)))


def take(store: Store, kind: Kind, call: object, failures: Failures | None = None) -> Outcomes:
    """Have them deleted, and say what became of each id; where a fault fails, nobody is.

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
    outcomes: dict[str, str] = {**dict.fromkeys(normal, "deleted"), **(failures or {})}
    store.delete(kind, [id_ for id_, outcome in outcomes.items() if outcome == "deleted"])
    return outcomes
