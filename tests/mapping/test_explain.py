"""What the `map` command prints."""

import json
from typing import Any

from consumer.mapping.explain import explain
from consumer.mapping.router import Router
from consumer.outcomes import EventType
from consumer.pendo.requests import Route

KEYS = ["messageId", "type", "outcome", "reason", "lanes", "requests", "warnings"]
EVENT = b'{"type":"track","event":"Ran","userId":1.0,"messageId":"m-1","properties":{"groupId":"g"}}'


def explained(value: bytes | None, router: Router | None = None) -> list[dict[str, Any]]:
    router = router or Router({EventType.TRACK: Route.SEGMENTIO}, "skip")
    return explain(value, (), router, lambda route, _: ("POST", f"https://pendo/{route}/***", {"a": "b"}))


def test_a_delivered_event_is_printed_with_its_request() -> None:
    """Method, URL and headers are the caller's, the body is JSON."""
    assert explained(EVENT) == [
        {
            "messageId": "m-1",
            "type": "track",
            "outcome": "deliver",
            "reason": "",
            "lanes": ["visitor:1"],
            "requests": [
                {
                    "route": "segmentio",
                    "method": "POST",
                    "url": "https://pendo/segmentio/***",
                    "headers": {"a": "b"},
                    "body": json.loads(EVENT),
                }
            ],
            "warnings": [],
        }
    ]


def test_every_answer_has_the_same_keys() -> None:
    """Scripts read one shape; a dead letter adds its message."""
    printed = explained(b'[{"type":"track"},7,{"type":"alias"},{"type":"x"},' + EVENT + b"]")
    assert [list(one)[: len(KEYS)] for one in printed] == [KEYS] * 5
    assert ["message" in one for one in printed] == [True, True, False, False, False]
    assert [one["outcome"] for one in printed] == ["dead_lettered", "dead_lettered", "skipped", "skipped", "deliver"]


def test_a_tombstone_is_one_answer() -> None:
    """None and nothing are one thing; so are an empty array and batch."""
    for value in (None, b"", b"[]", b'{"batch":[]}'):
        [printed] = explained(value)
        assert (printed["messageId"], printed["type"]) == (None, "none")
        assert (printed["outcome"], printed["reason"]) == ("skipped", "tombstone")


def test_a_failing_handler_does_not_hide_the_others() -> None:
    """A flaw of ours is `handler_error`, as it is in the service, and names no value."""

    def fails(*_: object) -> Any:
        raise KeyError("s3cret")

    router = Router({EventType.TRACK: Route.SEGMENTIO, EventType.GROUP: Route.SEGMENTIO}, "skip")
    router._mappings[EventType.GROUP] = fails
    failed, passed = explained(b'[{"type":"group","userId":"u"},' + EVENT + b"]", router)
    assert (failed["outcome"], failed["reason"]) == ("dead_lettered", "handler_error")
    assert failed["message"] == "the handler failed: KeyError"
    assert passed["outcome"] == "deliver"
