"""Traffic for the benchmarks: a number comes in, track events of some 600 bytes go out, with a user each as the key.

They are made without the Segment SDK, since a run needs hundreds of thousands, and always the same ones. It knows
nothing of what is measured.
"""

import random
from collections.abc import Iterator
from typing import Final

import orjson

from consumer.outcomes import EventType
from consumer.sandbox.traffic import Produced

KEYS: Final = 10_000
"""Users: many times more than requests in flight, as in production, so that lanes rarely block each other."""
_SEED: Final = 1
_NAMES: Final = ("Project Created", "Report Exported", "Member Invited", "Dashboard Viewed", "Task Completed")
_ACCOUNT_IN_CONTEXT: Final = 0.25
"""The share of events whose account stands only in the context: the mapping has to copy it, and to encode anew."""


def track_events(n: int) -> Iterator[Produced]:
    """Make n records; the same ones each time."""
    chance = random.Random(_SEED)  # noqa: S311 - traffic needs a seed, not secrecy
    return (_record(chance) for _ in range(n))


def bodies(n: int) -> list[bytes]:
    """Make the values of n records."""
    return [record.value for record in track_events(n)]


def _record(chance: random.Random) -> Produced:
    user = f"user-{chance.randrange(KEYS):05}"
    message_id = f"ajs-{chance.getrandbits(128):032x}"
    value = orjson.dumps(_event(chance, user, message_id))
    return Produced(key=user.encode(), value=value, type=EventType.TRACK, message_id=message_id)


def _event(chance: random.Random, user: str, message_id: str) -> dict[str, object]:
    properties: dict[str, object] = {"source": "web", "count": chance.randrange(1000)}
    context: dict[str, object] = {
        "ip": "192.0.2.7",
        "library": {"name": "analytics.js", "version": "next-1.76.0"},
        "locale": "en-GB",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
    }
    home = context if chance.random() < _ACCOUNT_IN_CONTEXT else properties
    home["groupId"] = f"account-{chance.randrange(500)}"
    return {
        "type": "track",
        "event": chance.choice(_NAMES),
        "userId": user,
        "messageId": message_id,
        "timestamp": "2026-01-20T09:30:00.000Z",
        "sentAt": "2026-01-20T09:30:00.100Z",
        "receivedAt": "2026-01-20T09:30:00.200Z",
        "context": context,
        "properties": properties,
        "integrations": {},
        "projectId": "benchmarkProject",
    }
