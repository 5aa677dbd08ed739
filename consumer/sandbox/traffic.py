"""Segment traffic: a seed comes in, records as Segment would write them go out, with what should become of each.

Every event is made by Segment's own Python SDK, then dressed as Segment's service does on the way. The company in it is
made up: some accounts, their people, what they click. It knows what the service promises, not how it is built.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from aiokafka import AIOKafkaProducer
from segment.analytics.client import Client
from segment.analytics.request import DatetimeSerializer

from consumer.outcomes import EventType, Outcome, Reason

# Of every hundred events; so that each kind is there however short a run is.
_BLOCK: Final = {
    "track": 52,
    "page": 18,
    "identify": 10,
    "group": 8,
    "screen": 5,
    "anonymous": 3,
    "not_for_pendo": 2,
    "no_json": 1,
    "invalid_id": 1,
}

_ACCOUNTS: Final = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell")
_PLANS: Final = ("free", "team", "enterprise")
_FIRST_NAMES: Final = ("Ada", "Bo", "Chloé", "Dmitri", "Emi", "Femi", "Grace", "Hiro", "Inès", "Jan")
_EVENTS: Final = ("Project Created", "Report Exported", "Member Invited", "Dashboard Viewed", "Task Completed")
_PAGES: Final = (("Home", None), ("Pricing", "Marketing"), ("Settings", "App"), (None, "Docs"), (None, None))
_SCREENS: Final = (("Inbox", None), ("Profile", "App"))
_BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"

# Enough people that many lanes are busy, few enough that each lane sees many events.
_PEOPLE_PER_ACCOUNT: Final = 25

# How many records wait for the broker's acknowledgement at most.
_WINDOW: Final = 2000

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """One record and what should become of it.

    Attributes:
        key: The record's: the user, so that one user's events stay in order.
        value: The record's.
        type: The event's type; `NONE` for what is no event.
        message_id: The event's; None for what is no event.
        outcome: What should become of it when nobody is at fault.
        reason: Why; `NONE` for what is delivered.
    """

    key: bytes | None
    value: bytes
    type: EventType
    message_id: str | None
    outcome: Outcome = Outcome.DELIVERED
    reason: Reason = Reason.NONE

    @property
    def identity(self) -> str:
        """What it is known by wherever it ends up."""
        return self.message_id or identity_of(self.value)


def identity_of(value: bytes) -> str:
    """Return what a record without a `messageId` is known by: its very bytes."""
    return f"sha256:{sha256(value).hexdigest()}"


def generate(n: int | None, seed: int) -> Iterator[Produced]:
    """Make records: n of them, or without end.

    The same seed gives the same traffic but for the SDK's own message ids and timestamps.
    """
    made = _Company(random.Random(seed)).records()  # noqa: S311 - traffic needs a seed, not secrecy
    return made if n is None else (next(made) for _ in range(n))


async def produce(bootstrap: str, topic: str, records: Iterable[Produced], *, per_second: float | None = None) -> int:
    """Write records to a topic, as fast as the broker takes them or at a rate; return how many were acknowledged."""
    acknowledged = 0
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5) as producer:
        waiting: list[asyncio.Future[Any]] = []
        async for record in _paced(records, per_second):
            waiting.append(await producer.send(topic, record.value, record.key))
            if len(waiting) >= _WINDOW:
                acknowledged += len(await asyncio.gather(*waiting))
                waiting.clear()
        return acknowledged + len(await asyncio.gather(*waiting))


def as_segment_delivers(message: Message, received_at: datetime) -> Message:
    """Add to the SDK's message what Segment's service adds before a destination sees it."""
    received = received_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    added = {"bundled": ["Segment.io"], "unbundled": []}
    return message | {"receivedAt": received, "projectId": "sandboxProject", "_metadata": added}


def to_bytes(message: Message) -> bytes:
    """Encode a message as the SDK does on its way to Segment."""
    return json.dumps(message, cls=DatetimeSerializer).encode()


@dataclass(frozen=True, slots=True)
class _Person:
    id: str
    name: str
    account: str


class _Company:
    """Makes one event after another about the same people and accounts."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sdk = Client("sandbox-write-key", send=False)
        self._people = [
            _Person(f"user-{account}-{number}", chance.choice(_FIRST_NAMES), account)
            for account in _ACCOUNTS
            for number in range(_PEOPLE_PER_ACCOUNT)
        ]
        self._plans = {account: chance.choice(_PLANS) for account in _ACCOUNTS}
        self._made = 0

    def records(self) -> Iterator[Produced]:
        while True:
            block = [kind for kind, share in _BLOCK.items() for _ in range(share)]
            self._chance.shuffle(block)
            yield from map(self._record, block)

    def _record(self, kind: str) -> Produced:
        self._made += 1
        person = self._chance.choice(self._people)
        match kind:
            case "anonymous":
                anonymous_id = str(UUID(int=self._chance.getrandbits(128)))
                message = self._call("track", event="Video Played", anonymous_id=anonymous_id)
                return _produced(message, anonymous_id, Outcome.SKIPPED, Reason.ANONYMOUS)
            case "not_for_pendo":
                message = self._call("identify", user_id=person.id, traits={"vip": True}, integrations={"All": False})
                return _produced(message, person.id, Outcome.FILTERED, Reason.INTEGRATIONS)
            case "no_json":
                value = b'{"type":"track","event":"cut off %d' % self._made
                return _no_event(value)
            case "invalid_id":
                message = self._call("track", user_id="::", event="Placeholder Sent")
                return _produced(message, "::", Outcome.DEAD_LETTERED, Reason.INVALID_ID)
            case _:
                return _produced(self._usual(kind, person), person.id)

    def _usual(self, kind: str, person: _Person) -> Message:
        match kind:
            case "identify":
                return self._call(kind, user_id=person.id, traits=self._user_traits(person))
            case "group":
                traits = self._group_traits(person.account)
                return self._call(kind, user_id=person.id, group_id=person.account, traits=traits)
            case "page":
                name, category = self._chance.choice(_PAGES)
                page = {"url": "https://app.example.com/", "path": "/", "title": name or ""}
                context = {"userAgent": _BROWSER, "ip": "192.0.2.7", "page": page, "groupId": person.account}
                asked = {"name": name, "category": category, "properties": dict(page), "context": context}
                return self._call(kind, user_id=person.id, **asked)
            case "screen":
                name, category = self._chance.choice(_SCREENS)
                return self._call(kind, user_id=person.id, name=name, category=category)
            case _:
                return self._track(person)

    def _track(self, person: _Person) -> Message:
        """Half of the tracks name the account in their properties, half only in the context."""
        properties: Message = {"source": self._chance.choice(("web", "api")), "count": self._chance.randrange(100)}
        context: Message = {}
        home = self._chance.choice((properties, context))
        home["groupId"] = person.account
        event = self._chance.choice(_EVENTS)
        return self._call("track", user_id=person.id, event=event, properties=properties, context=context)

    def _user_traits(self, person: _Person) -> Message:
        return {
            "name": person.name,
            "email": f"{person.id}@example.com",
            "Plan": self._plans[person.account],
            "logins": self._chance.randrange(1000),
            "tags": ["beta"] if self._chance.random() < 0.3 else [],  # noqa: PLR2004 - three in ten
            "address": {"city": "Springfield"},
            "title": None,
        }

    def _group_traits(self, account: str) -> Message:
        """Mostly the same from one call to the next, as page loads send them; now and then the plan changes."""
        if self._chance.random() < 0.05:  # noqa: PLR2004 - one in twenty
            self._plans[account] = self._chance.choice(_PLANS)
        return {"name": account.title(), "plan": self._plans[account], "total billed": 1200}

    def _call(self, method: str, **asked: Any) -> Message:  # noqa: ANN401 - the SDK's own arguments
        """Have the SDK make a message; it sends nothing."""
        _, message = getattr(self._sdk, method)(**asked)
        return as_segment_delivers(message, datetime.now(UTC))


def _produced(
    message: Message, key: str, outcome: Outcome = Outcome.DELIVERED, reason: Reason = Reason.NONE
) -> Produced:
    return Produced(
        key=key.encode(),
        value=to_bytes(message),
        type=EventType(message["type"]),
        message_id=message["messageId"],
        outcome=outcome,
        reason=reason,
    )


def _no_event(value: bytes) -> Produced:
    return Produced(
        key=None,
        value=value,
        type=EventType.NONE,
        message_id=None,
        outcome=Outcome.DEAD_LETTERED,
        reason=Reason.UNDECODABLE,
    )


async def _paced(records: Iterable[Produced], per_second: float | None) -> AsyncIterator[Produced]:
    """Hand records on, not faster than asked."""
    clock = asyncio.get_running_loop().time
    due_s = clock()
    for record in records:
        if per_second is not None:
            due_s += 1 / per_second
            await asyncio.sleep(max(0.0, due_s - clock()))
        yield record
