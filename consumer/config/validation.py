"""From raw values by dotted key to settings, with a plain sentence for every value that is wrong.

Pydantic judges; its messages are put into words that name no Python type and quote no value.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from consumer.config.keys import KEYS, SECRETS
from consumer.config.settings import Settings

_WORDS: Final[Mapping[str, str]] = {
    "string_type": "must be text; write it in quotes",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "tuple_type": "must be a list, or text with commas",
    "dict_type": "must be a mapping of names to values",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
"""By pydantic's type of error; what is not here says it well enough itself."""


def validate(values: Mapping[str, Any]) -> tuple[Settings, dict[str, str]]:
    """The settings that the values give, with defaults in place of those that are wrong; and what is wrong, by key."""
    try:
        return Settings.model_validate(_nested(values)), {}
    except ValidationError as error:
        wrong = dict(_worded(details, values) for details in reversed(error.errors(include_url=False)))
    good = {key: value for key, value in values.items() if key not in wrong}
    return Settings.model_validate(_nested(good)), wrong


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        section = root
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = value
    return root


def _worded(details: ErrorDetails, values: Mapping[str, Any]) -> tuple[str, str]:
    key, item = _place(details["loc"])
    if values[key] is None:
        return key, "has no value; give it one, or remove the key"
    if details["type"] == "value_error":
        return key, item + str(details["ctx"]["error"])
    if details["type"] == "string_type" and key in SECRETS:
        return key, "must be text; write it in quotes, or give it as a file"
    return key, item + _WORDS.get(details["type"], details["msg"].replace("Input should be", "must be"))


def _place(location: tuple[int | str, ...]) -> tuple[str, str]:
    """The dotted key, and which part of its value."""
    depth = next(n for n in range(1, len(location) + 1) if ".".join(map(str, location[:n])) in KEYS)
    key, rest = ".".join(map(str, location[:depth])), location[depth:]
    return key, f"item {rest[0] + 1}: " if rest and isinstance(rest[0], int) else ""
