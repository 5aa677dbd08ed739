"""The traffic: a seed comes in, records go out, and with each what should reach Pendo, as digests.

Events of a made-up company, keyed by visitor: facts (track, page), state (identify, group) of which some is late, and a
known share of what has another end: poison that Pendo refuses, bytes that are no JSON, tombstones, anonymous and
filtered events, and repeats with the same messageId. What should reach Pendo is restated here, not taken from the
service's own mapping.
"""

import random
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zlib import crc32

import orjson

from tests.chaos.log import Kind, Produced

POISON_EVENT: Final = "Poisonous Thing Done"
"""Pendo's side refuses events of this name for good."""
WRONG: Final = "wrong"
"""Pendo's side refuses a visitor with a trait of this name, and every other time the whole call that carries it."""
TRAITS: Final = ("plan", "seats", "role", "city", "score", "level", "tier", "colour")
FOREIGN: Final = 1 << 15
"""In a mask: a trait that nobody produced."""
ALL_TRAITS: Final = (1 << len(TRAITS)) - 1
N: Final = "n"
"""The property that carries a track event's number: the Track Events API has no place for a messageId."""
PREFIX: Final = "chaos-"

_WEIGHTS: Final = {
    Kind.TRACK: 560,
    Kind.PAGE: 170,
    Kind.IDENTIFY: 120,
    Kind.GROUP: 80,
    Kind.POISON: 10,
    Kind.BROKEN: 5,
    Kind.TOMBSTONE: 5,
    Kind.ANONYMOUS: 20,
    Kind.FILTERED: 10,
}
_BY_CALLS: Final = _WEIGHTS | {Kind.TRACK: 300, Kind.IDENTIFY: 280, Kind.GROUP: 170, Kind.WRONG: 5}
"""More state, since many writes share a call; some of it wrong, so that calls are taken apart."""
_REPEAT_SHARE: Final = 0.02
_LATE_SHARE: Final = 0.1
_LATE_BY: Final = 5_000
"""Milliseconds, and so records: one record's time is a millisecond after the last one's."""
_HOT_SHARE: Final = 0.05
_HOT_VISITORS: Final = 10
_ACCOUNTS: Final = 200
_RECENT: Final = 200

Message = dict[str, Any]


def canonical(event: object) -> int:
    """Digest of JSON of equal value."""
    return crc32(orjson.dumps(event, option=orjson.OPT_SORT_KEYS))


def trait_digest(name: str, value: object) -> int:
    """Digest of one trait."""
    return crc32(f"{name}={value}".encode())


def fields_digest(traits: Mapping[str, object]) -> tuple[int, int]:
    """Which traits there are, and the sum of their digests."""
    mask = total = 0
    for name, value in traits.items():
        mask |= 1 << TRAITS.index(name) if name in TRAITS else FOREIGN
        total += trait_digest(name, value)
    return mask, total & 0xFFFFFFFF


def traits_of(worth: int, mask: int) -> dict[str, str]:
    """The traits that a message of such values carries."""
    return {name: f"{name}-{worth}" for bit, name in enumerate(TRAITS) if mask >> bit & 1}


def message_number(message_id: object) -> int | None:
    """The number in a messageId of ours."""
    if isinstance(message_id, str) and message_id.startswith(PREFIX):
        return int(message_id.removeprefix(PREFIX))
    return None


class Traffic:
    """Makes records, and notes in `produced` what should become of each."""

    def __init__(self, events: int, seed: int, base_ms: int, *, by_calls: bool = False) -> None:
        self.produced = Produced(by_calls=by_calls)
        self._random = random.Random(seed)
        self._visitors = max(100, min(5000, events // 20))
        self._base_ms = base_ms
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_RECENT)
        weights = _BY_CALLS if by_calls else _WEIGHTS
        self._kinds = list(weights)
        self._weights = list(weights.values())

    def next(self) -> tuple[int, bytes, bytes | None]:
        """One more record: its number, key and value."""
        if self._recent and self._random.random() < _REPEAT_SHARE:
            return self._repeat()
        return self._new(self._random.choices(self._kinds, self._weights)[0])

    def fresh(self) -> tuple[int, bytes, bytes | None]:
        """A plain track event."""
        return self._new(Kind.TRACK)

    def _repeat(self) -> tuple[int, bytes, bytes | None]:
        first, value = self._random.choice(self._recent)
        p = self.produced
        number = p.add(
            Kind(p.kind[first]),
            visitor=p.visitor[first],
            time=p.time[first],
            message=first,
            account=p.account[first],
            mask=p.mask[first],
            digest=p.digest[first],
        )
        return number, _key(p.visitor[first]), value

    def _new(self, kind: Kind) -> tuple[int, bytes, bytes | None]:
        number = len(self.produced)
        hot = self._random.random() < _HOT_SHARE
        visitor = self._random.randrange(_HOT_VISITORS if hot else self._visitors)
        late = self._random.random() < _LATE_SHARE
        time = number - (_LATE_BY if late else 0)
        account = self._random.randrange(_ACCOUNTS)
        mask = self._random.choice((ALL_TRAITS, 0b1111, 0b11, 0b10100000)) if kind in (Kind.IDENTIFY, Kind.GROUP) else 0
        event = self._event(kind, number, visitor, time, account, mask)
        value = _value(kind, event, number)
        digest = self._digest(kind, event, at_ms=self._base_ms + time)
        self.produced.add(kind, visitor=visitor, time=time, account=account, mask=mask, digest=digest)
        if kind in (Kind.TRACK, Kind.PAGE, Kind.IDENTIFY, Kind.GROUP) and value is not None:
            self._recent.append((number, value))
        return number, _key(visitor), value

    def _digest(self, kind: Kind, event: Message, at_ms: int) -> int:
        """Of what should reach Pendo; of state in calls only the traits do, which are compared one by one."""
        if not self.produced.by_calls or kind is Kind.PAGE:
            return canonical(_expected(kind, event))
        if event["type"] != "track":
            return 0
        names = {"type": "track", "event": event["event"], "visitorId": event.get("userId"), "timestamp": at_ms}
        return canonical({**names, "properties": event["properties"], "context": {}})

    def _event(self, kind: Kind, number: int, visitor: int, time: int, account: int, mask: int) -> Message:
        at_ms = self._base_ms + time
        traits = traits_of(self.produced.worth(number), mask)
        event: Message = {
            "type": "track",
            "messageId": f"{PREFIX}{number}",
            "timestamp": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
            "anonymousId": f"anonymous-{visitor}",
            "context": {"library": {"name": "analytics-python", "version": "2.4"}},
            "integrations": {},
        }
        if kind is not Kind.ANONYMOUS:
            event["userId"] = f"visitor-{visitor}"
        if kind is Kind.FILTERED:
            event["integrations"] = {"All": False}
        match kind:
            case Kind.IDENTIFY:
                event |= {"type": "identify", "traits": traits}
            case Kind.WRONG:
                event |= {"type": "identify", "traits": {WRONG: f"{WRONG}-{number}"}}
            case Kind.GROUP:
                event |= {
                    "type": "group",
                    "groupId": f"account-{account}",
                    "traits": traits_of(self.produced.worth(number), mask),
                }
            case Kind.PAGE:
                properties = {"url": f"https://example.com/{number}"}
                event |= {"type": "page", "name": "Docs", "category": None, "properties": properties}
            case Kind.POISON:
                event |= {"event": POISON_EVENT, "properties": {N: number}}
            case _:
                event |= {"event": "Report Exported", "properties": {N: number, "format": "pdf"}}
        return event


def _key(visitor: int) -> bytes:
    return b"visitor-%d" % visitor


def _value(kind: Kind, event: Message, number: int) -> bytes | None:
    if kind is Kind.TOMBSTONE:
        return None
    return b'{"no json": %d' % number if kind is Kind.BROKEN else orjson.dumps(event)


def _expected(kind: Kind, event: Message) -> Message:
    """What Pendo should get: the event as it is, but a page as the track event that Segment itself makes of it."""
    if kind is Kind.PAGE:
        kept = {name: value for name, value in event.items() if name not in {"name", "category"}}
        return kept | {"type": "track", "event": "Viewed Docs Page"}
    return {name: value for name, value in event.items() if name != "traits"}


def mask_names(mask: int) -> Iterable[int]:
    """The bits of a mask."""
    return (bit for bit in range(len(TRAITS)) if mask >> bit & 1)
