"""The account: which of an event's values names it, when not Segment's own `groupId`.

Paths come in, a function from fields to fields goes out: for a group it sets `groupId`, for what becomes a track event
`properties.groupId`, from where Pendo reads it.
"""

from collections.abc import Iterable
from typing import Any

from consumer.mapping.ids import pendo_id
from consumer.mapping.rules.parts import Change, Fields, read_path
from consumer.outcomes import EventType


def change_account(type_: EventType, paths: Iterable[str]) -> Change:
    """Build what sets the account from the first path that holds an id which Pendo takes; else all stays as it is."""
    reads = [read_path(path, type_) for path in paths]

    def account(fields: Fields) -> Any:  # noqa: ANN401 - text or a number
        for read in reads:
            value = read(fields)
            if value is not None and pendo_id(value) is not None:
                return value
        return None

    def on_group(fields: Fields) -> Fields:
        value = account(fields)
        return fields if value is None or value == fields.get("groupId") else {**fields, "groupId": value}

    def on_event(fields: Fields) -> Fields:
        value = account(fields)
        if value is None:
            return fields
        properties = fields.get("properties")
        if not isinstance(properties, dict | None) or (properties and properties.get("groupId") == value):
            return fields
        return {**fields, "properties": {**(properties or {}), "groupId": value}}

    return on_group if type_ is EventType.GROUP else on_event
