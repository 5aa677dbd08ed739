"""What Pendo's Segment endpoint and its Track Events API take: a decoded body comes in, a refusal or nothing goes out.

Every rule is from Pendo's documentation; what the documentation leaves open is a switch. This module keeps nothing
and knows nothing of HTTP but the status of a refusal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from consumer.sandbox.simulator_switches import Switches

# Pendo names no limit; one mebibyte is far above Segment's 32 KB an event.
MAX_BODY_BYTES: Final = 1024 * 1024

# Pendo: these are no ids. The last two are the snippet's examples.
INVALID_IDS: Final = frozenset({"", "::", "VISITOR-UNIQUE-ID", "ACCOUNT-UNIQUE-ID"})

_DIGEST_BYTES: Final = 8


class RefusedError(Exception):
    """The request is not taken.

    Attributes:
        status: Of the answer.
        headers: Of the answer, beyond what every one has.
        body: Of the answer.
    """

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None, body: str = "") -> None:
        self.status = status
        self.headers = headers or {}
        self.body = body
        super().__init__(why)


@dataclass(slots=True)
class Facts:
    """What a body says about itself, read without judging it: for the log, for faults, and for lanes.

    Attributes:
        message_id: Segment's `messageId`.
        type: The event's type.
        visitor: The visitor's id, if it is one that Pendo takes.
        account: Of a group its `groupId`, of a track `properties.groupId`; on the Track Events API its `accountId`.
        state: For a group a digest of its traits, else None.
        lanes: Of a call: whom it is about, `visitor:ID` or `account:ID`.
    """

    message_id: str | None = None
    type: str | None = None
    visitor: str | None = None
    account: str | None = None
    state: bytes | None = None
    lanes: tuple[str, ...] = ()


def normal_id(value: object) -> str | None:
    """Return an id as Pendo keeps it, or None when Pendo does not take it.

    Pendo turns numbers into text; booleans, objects, blanks and placeholders are no ids.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return None if not text.strip() or text in INVALID_IDS else text


def decode(body: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the body's JSON, or None when it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def facts_of(event: object) -> Facts:
    """Read what an event says about itself; nothing in it can make this fail."""
    if not isinstance(event, dict):
        return Facts()
    facts = Facts(_text(event.get("messageId")), _text(event.get("type")), normal_id(event.get("userId")))
    if facts.type == "group":
        facts.account = normal_id(event.get("groupId"))
        facts.state = _digest(event.get("traits"))
    elif facts.type == "track":
        facts.account = normal_id(_object(event.get("properties")).get("groupId"))
    return facts


def track_facts_of(event: object) -> Facts:
    """Read what a body of the Track Events API says about itself; it has no `messageId`."""
    if not isinstance(event, dict):
        return Facts()
    return Facts(
        type=_text(event.get("type")),
        visitor=normal_id(event.get("visitorId")),
        account=normal_id(event.get("accountId")),
    )


def check_track_event(event: object, switches: Switches) -> None:
    """Refuse a body that the Track Events API would not take.

    Raises:
        RefusedError: With the status of the answer and what is wrong.
    """
    if not isinstance(event, dict):
        raise RefusedError(400, "the body is no JSON object")
    if event.get("type") != "track":
        raise RefusedError(400, "type is not track")
    _check_name(event)
    _check_id(event, "visitorId")
    if type(event.get("timestamp")) is not int:
        raise RefusedError(400, "timestamp is no integer")
    _check_object(event, "properties")
    if not isinstance(event.get("context"), dict) and (switches.require_context or event.get("context") is not None):
        raise RefusedError(400, "context is no object")
    if switches.refuse_invalid_account and "accountId" in event and normal_id(event["accountId"]) is None:
        raise RefusedError(400, "accountId is invalid")


def check_event(event: object, switches: Switches) -> None:
    """Refuse an event that Pendo would not take.

    Raises:
        RefusedError: With the status of the answer and what is wrong.
    """
    if not isinstance(event, dict):
        raise RefusedError(400, "the body is no JSON object")
    match event.get("type"):
        case "identify":
            _check_visitor(event)
            _check_object(event, "traits")
        case "group":
            _check_visitor(event)
            _check_id(event, "groupId")
            _check_object(event, "traits")
        case "track":
            _check_visitor(event)
            _check_track(event, switches)
        case _:
            if switches.unsupported_status >= 400:  # noqa: PLR2004 - HTTP: from here on it is a refusal
                raise RefusedError(switches.unsupported_status, "the type is none of identify, group, track")


def _check_visitor(event: dict[str, Any]) -> None:
    _check_id(event, "userId")


def _check_id(event: dict[str, Any], field: str) -> None:
    if normal_id(event.get(field)) is None:
        raise RefusedError(400, f"{field} is missing or invalid")


def _check_object(event: dict[str, Any], field: str) -> None:
    if not isinstance(event.get(field), dict | None):
        raise RefusedError(400, f"{field} is no object")


def _check_name(event: dict[str, Any]) -> None:
    name = event.get("event")
    if not isinstance(name, str) or not name.strip():
        raise RefusedError(400, "event is missing or no text")


def _check_track(event: dict[str, Any], switches: Switches) -> None:
    _check_name(event)
    _check_object(event, "properties")
    account = _object(event.get("properties")).get("groupId")
    if switches.refuse_invalid_account and account is not None and normal_id(account) is None:
        raise RefusedError(400, "properties.groupId is invalid")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _digest(value: object) -> bytes:
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # nested deeper than orjson writes, though it read it
        return b""
    return blake2b(encoded, digest_size=_DIGEST_BYTES).digest()
