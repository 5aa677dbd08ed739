"""What Pendo should hold of visitors and accounts, by what was sent, and what it does hold.

Requests come in as they are mapped, with how new each is; of every field the newest value stands. Beside what Pendo
tells, it is said of each field whether it holds that. Nothing here asks anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from consumer.delivery.writes import Stamp
from consumer.kafka.records import position
from consumer.mapping.visibility import metadata_name, shown_value
from consumer.pendo.reading import Groups
from consumer.pendo.requests import Request, Route
from consumer.writing import Write


class Held(StrEnum):
    """Of one field."""

    HOLDS = "holds"
    DIFFERS = "differs"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Written:
    """The newest write of one field.

    Attributes:
        value: As it was sent.
        stamp: How new it is.
        position: Of the record that says so.
        arrived_ms: When that came to Kafka, milliseconds since the epoch.
    """

    value: Any
    stamp: Stamp
    position: str
    arrived_ms: int


Fields = dict[str, Written]
"""By name, as Pendo keeps it."""


def note(fields: Fields, write: Write) -> None:
    """Note what an event writes, where nothing newer is noted."""
    for name, value in values_of(write.request).items():
        shown = shown_value(value)
        known = fields.get(kept := metadata_name(name))
        if shown is not None and (known is None or write.stamp >= known.stamp):
            fields[kept] = Written(shown, write.stamp, position(write.record), write.record.timestamp)


def values_of(request: Request) -> Mapping[str, Any]:
    """The fields that an identify or a group carries; none of what is neither."""
    if request.state is None:
        return {}
    body = orjson.loads(request.body)
    values = body.get("values" if request.route is Route.METADATA else "traits")
    return values if isinstance(values, dict) else {}


def compare(fields: Mapping[str, Written], groups: Groups | None) -> dict[str, Held]:
    """Of each field whether Pendo holds the newest value, in whichever group.

    Args:
        fields: What should be there.
        groups: What is; None when Pendo does not know the id.
    """
    there = {} if groups is None else {name: values for name, values in groups.items() if name != "auto"}
    return {name: _held(written.value, name, there) for name, written in fields.items()}


def _held(value: Any, name: str, groups: Groups) -> Held:  # noqa: ANN401 - JSON of any shape
    found = [values[name] for values in groups.values() if name in values]
    if not found:
        return Held.MISSING
    return Held.HOLDS if any(_same(value, one) for one in found) else Held.DIFFERS


def _same(sent: Any, found: Any) -> bool:  # noqa: ANN401
    """Whether two values are one; Pendo may keep a date as milliseconds since the epoch."""
    if isinstance(sent, bool) is not isinstance(found, bool):
        return False
    if sent == found:
        return True
    return isinstance(sent, str) and isinstance(found, int | float) and _date_ms(sent) == found


def _date_ms(text: str) -> float | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000
