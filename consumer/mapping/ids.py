"""What Pendo takes as an id of a visitor or an account.

In comes any JSON value, out comes the id as text, or what is wrong with it. It must not know which field it was.
"""

from typing import Any, Final

PLACEHOLDERS: Final = frozenset({"::", "VISITOR-UNIQUE-ID", "ACCOUNT-UNIQUE-ID"})
"""Text that Pendo documents as invalid, and the examples in its snippet: they say that there is no id."""

_NO_ID: Final = PLACEHOLDERS | {""}

EXACT_LIMIT: Final = 2.0**63
"""Integers beyond 64 bits are decoded as floats, with their last digits lost."""

VISITOR_PREFIX: Final = "_PENDO_T_"
"""Pendo's mark of an anonymous visitor; Segment's device-mode integration puts it before the anonymousId."""


def pendo_id(value: Any) -> str | None:  # noqa: ANN401 - JSON of any shape
    """Return the id as Pendo will know it, or None for what it does not take.

    Pendo turns numbers into text and refuses nothing, blank text, booleans, objects and lists.
    """
    if isinstance(value, str):
        return None if value.strip() in _NO_ID else value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and abs(value) < EXACT_LIMIT:
        return str(int(value)) if value.is_integer() else str(value)
    return None


def is_absent(value: Any) -> bool:  # noqa: ANN401 - JSON of any shape
    """Tell whether a value says "no id": null, blank text or a placeholder, in contrast to one of a wrong type."""
    return value is None or (isinstance(value, str) and pendo_id(value) is None)


def flaw(value: Any) -> str:  # noqa: ANN401 - JSON of any shape
    """Say why `pendo_id` refuses the value, without quoting it."""
    if isinstance(value, str):
        return "is a placeholder" if value.strip() else "is blank"
    if isinstance(value, float):
        return "is a number beyond 64 bits, whose digits are lost"
    return f"is {kind(value)}; Pendo takes text or a number"


def kind(value: Any) -> str:  # noqa: ANN401 - JSON of any shape
    """Name the JSON type of a value, with its article."""
    if value is None:
        return "null or missing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"
