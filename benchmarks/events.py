"""Traffic for the benchmarks: a number comes in, events go out, with a user each as the key.

They are made without the Segment SDK, since a run needs hundreds of thousands, and always the same ones, but that each
happens when it is made. It knows nothing of what is measured.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import accumulate, count
from typing import Final

import orjson

from consumer.outcomes import EventType
from consumer.sandbox.traffic import Produced

KEYS: Final = 10_000
"""Users: many times more than requests in flight, as in production, so that lanes rarely block each other."""
MANY_KEYS: Final = 50_000
"""More users than the memory remembers: it is full, and lets go of the oldest all the time."""
TRAITS: Final = 10
LARGE_BYTES: Final = 1_000
_SEED: Final = 1
_NAMES: Final = ("Project Created", "Report Exported", "Member Invited", "Dashboard Viewed", "Task Completed")
_ACCOUNT_IN_CONTEXT: Final = 0.25
"""The share of events whose account stands only in the context: the mapping has to copy it, and to encode anew."""


def track_events(n: int, *, keys: int = KEYS, skew: float = 0.0, seed: int = _SEED) -> Iterator[Produced]:
    """Make n track events of some 600 bytes; the same ones each time.

    Args:
        n: How many.
        keys: Of how many users.
        skew: How unevenly they are spread: 0 is uniform, else the exponent of Zipf's law.
        seed: Another one gives other events.
    """
    chance = random.Random(seed)  # noqa: S311 - traffic needs a seed, not secrecy
    user = _users(chance, keys, skew)
    return (_record(EventType.TRACK, _track(chance, f"user-{user():05}", _message_id(chance))) for _ in range(n))


def stamped_events(clock_ns: Callable[[], int]) -> Iterator[Produced]:
    """Make track events without end whose messageId is the time at which they were made."""
    chance = random.Random(_SEED)  # noqa: S311 - likewise
    for number in count():
        event = _track(chance, f"user-{chance.randrange(KEYS):05}", f"at-{clock_ns()}-{number}")
        yield _record(EventType.TRACK, event)


def identify_events(n: int, visitors: int = MANY_KEYS) -> Iterator[Produced]:
    """Make n identify events with ten traits, of 1 KB as they stand in the topic."""
    chance = random.Random(_SEED)  # noqa: S311 - likewise
    for _ in range(n):
        user = f"user-{chance.randrange(visitors):05}"
        event = _envelope("identify", user, _message_id(chance), {}) | {"traits": _traits(chance, user)}
        yield _record(EventType.IDENTIFY, _padded(event))


def state_events(n: int, visitors: int, *, groups: float = 0.2, seed: int = _SEED) -> Iterator[Produced]:
    """Make n identify and group events of so many visitors, with six traits, of some 600 bytes.

    Args:
        n: How many.
        visitors: Of whom.
        groups: The share of groups, of five hundred accounts.
        seed: Another one gives other events.
    """
    chance = random.Random(seed)  # noqa: S311 - likewise
    for _ in range(n):
        user = f"user-{chance.randrange(visitors):05}"
        traits = dict(list(_traits(chance, user).items())[:6])
        if chance.random() < groups:
            event = _envelope("group", user, _message_id(chance), {"ip": "192.0.2.7"})
            event |= {"groupId": f"account-{chance.randrange(500)}", "traits": traits}
            yield _record(EventType.GROUP, event)
        else:
            event = _envelope("identify", user, _message_id(chance), {"ip": "192.0.2.7", "locale": "en-GB"})
            yield _record(EventType.IDENTIFY, event | {"traits": traits})


def page_events(n: int, visitors: int = MANY_KEYS) -> Iterator[Produced]:
    """Make n page events of 1 KB, of so many visitors: each becomes a track, and so its body is encoded anew."""
    chance = random.Random(_SEED)  # noqa: S311 - likewise
    for _ in range(n):
        user = f"user-{chance.randrange(visitors):05}"
        event = _envelope("page", user, _message_id(chance), {})
        yield _record(EventType.PAGE, _padded(event | {"name": "Home", "properties": _traits(chance, user)}))


def bodies(n: int) -> list[bytes]:
    """Make the values of n track events."""
    return [record.value for record in track_events(n)]


def _users(chance: random.Random, keys: int, skew: float) -> Callable[[], int]:
    if not skew:
        return lambda: chance.randrange(keys)
    cumulated = list(accumulate((rank + 1) ** -skew for rank in range(keys)))
    numbers = range(keys)
    return lambda: chance.choices(numbers, cum_weights=cumulated)[0]


def _message_id(chance: random.Random) -> str:
    return f"ajs-{chance.getrandbits(128):032x}"


def _record(type_: EventType, event: dict[str, object]) -> Produced:
    user, message_id = str(event["userId"]), str(event["messageId"])
    # orjson leaves a result in the larger buffer in which it grew; the Kafka client's values have their own size.
    value = memoryview(orjson.dumps(event)).tobytes()
    return Produced(key=user.encode(), value=value, type=type_, message_id=message_id)


def _track(chance: random.Random, user: str, message_id: str) -> dict[str, object]:
    properties: dict[str, object] = {"source": "web", "count": chance.randrange(1000)}
    context: dict[str, object] = {
        "ip": "192.0.2.7",
        "library": {"name": "analytics.js", "version": "next-1.76.0"},
        "locale": "en-GB",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
    }
    home = context if chance.random() < _ACCOUNT_IN_CONTEXT else properties
    home["groupId"] = f"account-{chance.randrange(500)}"
    event = _envelope("track", user, message_id, context)
    return event | {"event": chance.choice(_NAMES), "properties": properties}


def _envelope(type_: str, user: str, message_id: str, context: dict[str, object]) -> dict[str, object]:
    # Pendo takes nothing that is older than a week: of such an event the service looks twice, and says so.
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "type": type_,
        "userId": user,
        "messageId": message_id,
        "timestamp": now,
        "sentAt": now,
        "receivedAt": now,
        "context": context,
        "integrations": {},
        "projectId": "benchmarkProject",
    }


def _traits(chance: random.Random, user: str) -> dict[str, object]:
    named: dict[str, object] = {"email": f"{user}@example.com", "name": user.title(), "logins": chance.randrange(1000)}
    return named | {f"trait_{number}": chance.randrange(10**9) for number in range(len(named), TRAITS)}


def _padded(event: dict[str, object]) -> dict[str, object]:
    missing = LARGE_BYTES - len(orjson.dumps(event | {"context": {"userAgent": ""}}))
    return event | {"context": {"userAgent": "x" * max(missing, 0)}}
