"""Custom handlers: functions of your own that change an event or filter it, for what rules cannot say.

Names like `package.module:function` come in, functions come out; what they raise becomes a dead letter's reason. A
handler is handed a copy of the event, so that it may change it in place.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import orjson

from consumer.errors import ConfigError, RejectedError
from consumer.mapping.encode import draft
from consumer.mapping.rules.parts import Fields
from consumer.outcomes import Reason

Handler = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Takes a Segment event as decoded JSON; returns the event that is to go on, or None to filter it."""

KEY = "mapping.handlers"


def load_handler(name: str) -> Handler:
    """Import `package.module:function`.

    Raises:
        ConfigError: There is no such module or function, or importing it fails.
    """
    module_name, _, function_name = name.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever a foreign module does when it is imported
        raise ConfigError([f"{KEY}: {module_name} cannot be imported: {type(error).__name__}: {error}"]) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ConfigError([f"{KEY}: {module_name} has no function {function_name}"])
    handler: Handler = function
    return handler


def guard(name: str, handler: Handler) -> Callable[[Fields], Fields | None]:
    """Hand a handler a copy, and see to it that what it returns is an event of the same type in JSON.

    The result raises `RejectedError` with the reason `handler_error`, which quotes nothing of the event.
    """

    def apply(fields: Fields) -> Fields | None:
        try:
            came = draft(fields)
            result = handler(orjson.loads(came))
            text = None if result is None else draft(result)
        except Exception as error:
            raise RejectedError(Reason.HANDLER_ERROR, f"the handler {name} failed: {type(error).__name__}") from error
        if text is None or text == came:
            return None if text is None else fields
        changed = orjson.loads(text)
        if not isinstance(changed, dict) or changed.get("type") != fields.get("type"):
            raise RejectedError(Reason.HANDLER_ERROR, f"the handler {name} returned no event of the same type")
        return changed

    return apply
