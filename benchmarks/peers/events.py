"""The topics of the comparison: a case comes in, track events with a sequence number for each user go out.

The judge reads the order from that number. But for their time always the same events; nothing is known here of who
delivers them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import orjson

from benchmarks.events import track_events
from consumer.sandbox.traffic import Produced

SKEW: Final = 1.1
"""Zipf's exponent: of ten thousand users the hottest has 15 % of the events."""


def sequenced_events(n: int, *, skew: float = 0.0) -> Iterator[Produced]:
    """Make n track events of some 600 bytes, each with its number among those of its user, as if they happened now."""
    seen: Counter[bytes] = Counter()
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for record in track_events(n, skew=skew):
        key = record.key or b""
        event = orjson.loads(record.value)
        event["properties"]["sequence"] = seen[key]
        # What is older than a week Pendo does not take: the service looks twice at such an event, and says so.
        event["timestamp"] = now
        seen[key] += 1
        # Its own size, as a Kafka client's values have it, not the larger buffer in which it grew.
        yield replace(record, value=memoryview(orjson.dumps(event)).tobytes())
