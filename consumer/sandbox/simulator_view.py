"""What a Pendo user sees: a visitor or an account comes in, what Pendo shows of it goes out.

What was answered with success is not all shown: events that are too old, properties that are too large or have odd
names, values that are ignored. The rules are Pendo's documentation, restated here and not taken from the service.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from consumer.sandbox.simulator_store import MAX_AGE_MS, METADATA_GROUP, Entity, Kind, Store, TrackEvent, now_ms

MAX_PROPERTIES_BYTES: Final = 512
TOO_LARGE: Final = "too large"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")


def view(store: Store, kind: Kind, id_: str) -> dict[str, Any] | None:
    """What is shown of one; None when Pendo does not know it."""
    entity = store.entities(kind).get(id_)
    if entity is None:
        return None
    return {
        "id": entity.id,
        "accounts": entity.accounts,
        "metadata": {METADATA_GROUP: entity.metadata, "agent": entity.agent, "custom": entity.custom},
        "events": [shown for event in store.events if _is_of(event, kind, entity) and (shown := _shown(event))],
    }


def _is_of(event: TrackEvent, kind: Kind, entity: Entity) -> bool:
    return (event.visitor if kind == "visitor" else event.account) == entity.id


def _shown(event: TrackEvent) -> dict[str, Any] | None:
    at_ms = _at_ms(event.timestamp)
    if at_ms is not None and now_ms() - at_ms > MAX_AGE_MS:
        return None
    large = len(orjson.dumps(event.properties)) > MAX_PROPERTIES_BYTES
    named = {name: value for name, value in event.properties.items() if is_displayed(name)}
    return {
        "name": event.name,
        "visitor": event.visitor,
        "account": event.account,
        "at_ms": at_ms,
        "properties": TOO_LARGE if large else named,
    }


def is_displayed(name: str) -> bool:
    """Whether a property of this name is shown."""
    return _NAME.fullmatch(name) is not None and not (name.startswith("__") and name.endswith("__"))


def _at_ms(timestamp: object) -> int | None:
    if isinstance(timestamp, int):
        return timestamp
    if not isinstance(timestamp, str):
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
