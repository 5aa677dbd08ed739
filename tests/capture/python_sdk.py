"""What Segment's Python SDK makes of one call of each type, and of some odd ones."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from segment.analytics.client import Client
from segment.analytics.request import DatetimeSerializer

TIMESTAMP = datetime(2026, 3, 1, 12, 30, 45, 678000, tzinfo=UTC)


def capture() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a case's name and the message as it goes over the wire."""
    for case, call, arguments in CALLS:
        client = Client("wk", send=False)
        _, message = getattr(client, call)(message_id=f"python-{case}", timestamp=TIMESTAMP, **arguments)
        yield f"sdk_python_{case}", json.loads(json.dumps(message, cls=DatetimeSerializer))


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "identify",
        "identify",
        {
            "user_id": "u-äöü-1",
            "traits": {
                "email": "zoë@example.com",
                "logins": 5,
                "score": 0.5,
                "admin": True,
                "nickname": None,
                "created_at": datetime(2020, 2, 29, 1, 2, 3, tzinfo=UTC),
                "birthday": date(1990, 12, 31),
                "address": {"city": "Zürich", "geo": {"lat": 47.37, "tags": ["a", {"b": 1}]}},
                "company": {"id": 42, "name": "Ærø 東京 🎉"},
            },
        },
    ),
    ("identify_no_traits", "identify", {"user_id": "u-1"}),
    ("identify_numeric_user", "identify", {"user_id": 678, "traits": {"plan": "pro"}}),
    ("identify_anonymous", "identify", {"anonymous_id": "anon-1", "traits": {"plan": "trial"}}),
    (
        "group_numeric",
        "group",
        {"user_id": "u-1", "group_id": 4711, "traits": {"total billed": 830, "industry": "Köche & Co", "size": None}},
    ),
    ("group", "group", {"user_id": "u-1", "group_id": "acme", "traits": {"employees": 329, "planName": "Enterprise"}}),
    (
        "track",
        "track",
        {
            "user_id": "u-1",
            "event": "Order Completed ✓",
            "properties": {
                "revenue": 39.95,
                "when": datetime(2026, 2, 28, tzinfo=UTC),
                "products": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}],
                "coupon": None,
            },
        },
    ),
    (
        "track_context_group",
        "track",
        {"user_id": "u-1", "event": "Registered", "properties": {"plan": "Pro"}, "context": {"groupId": "acme"}},
    ),
    ("track_context_group_numeric", "track", {"user_id": "u-1", "event": "Registered", "context": {"groupId": 4711}}),
    ("track_integrations_off", "track", {"user_id": "u-1", "event": "Registered", "integrations": {"All": False}}),
    (
        "page",
        "page",
        {
            "user_id": "u-1",
            "category": "Docs",
            "name": "Install",
            "properties": {"url": "https://example.com/docs", "path": "/docs"},
        },
    ),
    ("page_bare", "page", {"user_id": "u-1"}),
    (
        "screen",
        "screen",
        {"user_id": "u-1", "category": "Main", "name": "Inbox", "properties": {"unread": 3}},
    ),
    ("screen_bare", "screen", {"user_id": "u-1"}),
    ("alias", "alias", {"previous_id": "anon-1", "user_id": "u-1"}),
]
