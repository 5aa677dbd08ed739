"""The parts of an event that must have a certain shape: its name, traits and properties.

In come an event's fields, out comes the part, checked. It must not know Pendo's routes.
"""

from typing import Any

from consumer.errors import RejectedError
from consumer.mapping.ids import kind
from consumer.outcomes import Reason


def event_name(fields: dict[str, Any]) -> str:
    """Return a track event's name.

    Raises:
        RejectedError: It is no text, or blank.
    """
    name = fields.get("event")
    if not isinstance(name, str):
        raise RejectedError(Reason.INVALID_EVENT, f"event is {kind(name)}, not text")
    if not name.strip():
        raise RejectedError(Reason.INVALID_EVENT, "event is blank")
    return name


def optional_text(fields: dict[str, Any], key: str) -> str | None:
    """Return a text that may be absent; blank is absent.

    Raises:
        RejectedError: It is neither text nor null.
    """
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise RejectedError(Reason.INVALID_EVENT, f"{key} is {kind(value)}, not text")
    return value if value.strip() else None


def traits(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Return the traits; null is absent.

    Raises:
        RejectedError: They are no object.
    """
    value = fields.get("traits")
    if value is None or isinstance(value, dict):
        return value
    raise RejectedError(Reason.INVALID_TRAITS, f"traits is {kind(value)}, not an object")


def context_traits(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Return the traits from where RudderStack puts them; None when there are none."""
    context = fields.get("context")
    found = context.get("traits") if isinstance(context, dict) else None
    return found if found and isinstance(found, dict) else None


def properties(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Return the properties; null is absent.

    Raises:
        RejectedError: They are no object.
    """
    value = fields.get("properties")
    if value is None or isinstance(value, dict):
        return value
    raise RejectedError(Reason.INVALID_PROPERTIES, f"properties is {kind(value)}, not an object")
