"""What a Pendo user sees: a visitor or an account comes in, what Pendo shows of it goes out.

What was answered with success is not all shown: events that are too old, properties that are too large or have odd
names, values that are ignored. The rules are Pendo's documentation, restated here and not taken from the service.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from consumer.sandbox.simulator_store import MAX_AGE_MS, METADATA_GROUP, Kind, Store, TrackEvent

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
        "accounts": list(entity.accounts),
        "metadata": {METADATA_GROUP: dict(entity.metadata), "agent": dict(entity.agent), "custom": dict(entity.custom)},
        "events": [shown for shown in events(store) if shown[kind] == id_],
    }


def events(store: Store) -> Iterator[dict[str, Any]]:
    """All track events that are shown, in the order in which they came."""
    for event in store.events:
        at_ms = time_of(event)
        age_ms = event.received_ms - at_ms
        if age_ms <= MAX_AGE_MS and (age_ms >= 0 or store.file_future):
            yield _shown(event, at_ms)


def _shown(event: TrackEvent, at_ms: int) -> dict[str, Any]:
    named = {name: value for name, value in event.properties.items() if is_displayed(name)}
    return {
        "name": event.name,
        "visitor": event.visitor,
        "account": event.account,
        "at_ms": at_ms,
        "properties": TOO_LARGE if _is_large(event.properties) else named,
    }


def _is_large(properties: dict[str, Any]) -> bool:
    try:
        return len(orjson.dumps(properties)) > MAX_PROPERTIES_BYTES
    except (
        orjson.JSONEncodeError
    ):  # nested deeper than orjson writes, more than 254 levels: the brackets alone are more
        return True


def is_displayed(name: str) -> bool:
    """Whether a property of this name is shown."""
    return _NAME.fullmatch(name) is not None and not (name.startswith("__") and name.endswith("__"))


def time_of(event: TrackEvent) -> int:
    """When it happened, in milliseconds; without a time that can be read, when it came."""
    timestamp = event.timestamp
    if isinstance(timestamp, int) and not isinstance(timestamp, bool):
        return timestamp
    if not isinstance(timestamp, str):
        return event.received_ms
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return event.received_ms
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
