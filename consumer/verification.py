"""Verification: whether Pendo holds what was delivered in a time range, by a sample of visitors and accounts.

The source topics, the group's commits and the dead letters say what was delivered; Pendo is asked for as many ids as
the sample has. Only fields are compared: what Pendo has of track events cannot be read back one by one.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from consumer.config.settings import Settings
from consumer.held import Fields, Held, compare, note
from consumer.kafka.committed import Committed, commits_of
from consumer.kafka.filed import letters_in
from consumer.kafka.reading import records_in
from consumer.kafka.records import Partition, position
from consumer.kafka.security import client_options
from consumer.mapping.assembly import router_of
from consumer.pendo.calls import of_lane
from consumer.pendo.client import Client
from consumer.pendo.endpoints import Endpoints
from consumer.pendo.reading import Groups, read_back
from consumer.writing import writes_in

HASHES: Final = 1 << 32


class Sample:
    """Of all ids those whose hash is among the lowest: each that is in at the end was in from its first event on.

    Args:
        size: So many ids at most.
        seed: Another one gives others.

    Attributes:
        fields: By id what was written of it.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.fields: dict[str, Fields] = {}
        self._size = size
        self._seed = seed
        self._hashes: dict[str, int] = {}
        self._limit = HASHES

    def of(self, key: str) -> Fields | None:
        """The fields of an id; None when it is not in the sample."""
        if (fields := self.fields.get(key)) is not None:
            return fields
        hash_ = crc32(key.encode(), self._seed)
        if hash_ >= self._limit:
            return None
        self._hashes[key] = hash_
        self.fields[key] = {}
        if len(self.fields) > self._size:
            highest = max(self._hashes, key=self._hashes.__getitem__)
            del self.fields[highest]
            self._limit = self._hashes.pop(highest)
        return self.fields.get(key)

    @property
    def ids(self) -> int:
        """How many ids there were: of more than the sample has, an estimate by how low its hashes are."""
        if self._limit == HASHES:
            return len(self.fields)
        return round(self._size * HASHES / max(self._limit, 1))


@dataclass(slots=True)
class Verified:
    """What came of it.

    Attributes:
        ids: Visitors and accounts of which something was written in the range, about.
        sampled: How many of them were asked for.
        unknown: How many of these Pendo does not know.
        held: Fields, by what Pendo holds.
        rows: An id with a field that is not held: kind, id, field, held, position, and when it came to Kafka.
    """

    ids: int = 0
    sampled: int = 0
    unknown: int = 0
    held: Counter[Held] = field(default_factory=Counter)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """Of the fields those that Pendo holds, 0 to 1; None without any."""
        return self.held[Held.HOLDS] / self.held.total() if self.held.total() else None


async def verify(settings: Settings, key: str, *, since_ms: int, until_ms: int, size: int, seed: int = 0) -> Verified:
    """Compare a sample.

    Args:
        settings: Which brokers, topics, group, mapping and Pendo.
        key: An integration key, which may be one that only reads.
        since_ms: From when on what came to Kafka is looked at, milliseconds since the epoch.
        until_ms: Until when: what came later may not show at Pendo yet, and fields that it writes are left out.
        size: So many ids at most.
        seed: Another one gives another sample.

    Raises:
        BrokerError: Kafka does not answer.
        ConfigError: The mapping cannot be used.
        UnreachableError: Pendo does not answer.
        UnansweredError: Pendo refuses.
    """
    sample = Sample(size, seed)
    await _note_delivered(settings, since_ms, sample.of)
    verified = Verified(ids=sample.ids)
    written = {lane: _before(until_ms, fields) for lane, fields in sample.fields.items()}
    async for lane, fields, groups in _read_back(settings, key, written):
        kind, id_ = of_lane(lane)
        verified.sampled += 1
        verified.unknown += groups is None
        for name, held in compare(fields, groups).items():
            verified.held[held] += 1
            if held is not Held.HOLDS:
                at = {"position": fields[name].position, "arrived_ms": fields[name].arrived_ms}
                verified.rows.append({"kind": kind, "id": id_, "field": name, "held": held.value} | at)
    return verified


async def held_of(
    settings: Settings, key: str, lanes: Collection[str], *, since_ms: int | None
) -> dict[tuple[str, str], dict[str, Held]]:
    """By id and position, of each field whose newest write stands there whether Pendo holds it; errors as of `verify`.

    Args:
        settings: As for `verify`.
        key: Likewise.
        lanes: `visitor:ID` or `account:ID` of those that are asked for.
        since_ms: From when on newest writes are looked for; None for all that the topics hold.
    """
    wanted: dict[str, Fields] = {lane: {} for lane in lanes}
    await _note_delivered(settings, since_ms, wanted.get)
    found: dict[tuple[str, str], dict[str, Held]] = {}
    async for lane, fields, groups in _read_back(settings, key, wanted):
        for name, held in compare(fields, groups).items():
            found.setdefault((lane, fields[name].position), {})[name] = held
    return found


def _before(until_ms: int, fields: Fields) -> Fields:
    return {name: written for name, written in fields.items() if written.arrived_ms < until_ms}


async def _read_back(
    settings: Settings, key: str, written: Mapping[str, Fields]
) -> AsyncIterator[tuple[str, Fields, Groups | None]]:
    """What Pendo has of each of whom something was written, one after another: nobody is in a hurry."""
    pendo = settings.pendo
    endpoints = Endpoints.from_settings(pendo)
    client = Client(timeout_s=settings.delivery.request_timeout_s, ca_file=pendo.ca_file, proxy=pendo.proxy)
    async with client:
        for lane, fields in written.items():
            if fields:
                yield lane, fields, await read_back(client, endpoints, key, *of_lane(lane))


async def _note_delivered(settings: Settings, since_ms: int | None, fields_of: Callable[[str], Fields | None]) -> None:
    """Note what was delivered since: settled, without a letter, and mapped to a request that writes fields."""
    options, envelope = client_options(settings.kafka), settings.segment.envelope_keys
    parked = {(filed.position, filed.index) async for filed in letters_in(options, settings.dead_letter.topic)}
    commits = await commits_of(options, settings.kafka.group_id, settings.kafka.topics)
    router = router_of(settings)
    for topic in settings.kafka.topics:
        async for record in records_in(options, topic, since_ms=since_ms):
            if not commits.get(Partition(record.topic, record.partition), Committed()).is_finished(record.offset):
                continue
            for write in writes_in(record, envelope, router):
                fields = fields_of(write.state.key) if (position(record), write.event.index) not in parked else None
                if fields is not None:
                    note(fields, write)
