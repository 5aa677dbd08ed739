"""JSON text of decoded JSON.

In comes what `orjson.loads` gave, out come bytes of equal value. It must not know what the value means.
"""

import json
from typing import Any

import orjson

from consumer.errors import RejectedError
from consumer.outcomes import Reason


def encode(value: Any) -> bytes:  # noqa: ANN401 - JSON of any shape
    """Encode a decoded JSON value, to be kept.

    Raises:
        RejectedError: The value is nested too deeply.
    """
    # orjson's result stays in the buffer it grew in, up to thirteen times its size; requests are held by the thousand.
    return memoryview(draft(value)).tobytes()


def draft(value: Any, *, sort_keys: bool = False) -> bytes:  # noqa: ANN401 - JSON of any shape
    """Encode a decoded JSON value, to be looked at and let go.

    orjson reads 1,024 levels but writes 254; the standard library writes what lies between, as far as the stack goes.

    Raises:
        RejectedError: The value is nested too deeply.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else 0)
    except orjson.JSONEncodeError:
        return _encode_deep(value, sort_keys=sort_keys)


def _encode_deep(value: Any, *, sort_keys: bool) -> bytes:  # noqa: ANN401 - JSON of any shape
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys)
    except RecursionError as error:
        raise RejectedError(Reason.UNDECODABLE, "nested too deeply to be written again") from error
    return text.encode()
