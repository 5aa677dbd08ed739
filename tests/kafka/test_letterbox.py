"""The letterbox on real brokers: nothing is settled before its letter is acknowledged, nothing is created."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import NewTopic
from aiokafka.structs import ConsumerRecord

from consumer.kafka import letterbox as module
from consumer.kafka.cluster import Cluster
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.letterbox import Letterbox
from consumer.kafka.progress import Progress
from consumer.outcomes import EventType, Outcome, Reason
from consumer.sandbox.broker import EmbeddedBroker, admin_client
from tests.support.apache import ApacheKafka

TOPIC = "letters"
SETTLED = (EventType.TRACK, Outcome.DEAD_LETTERED, Reason.REFUSED)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait as long as a service may."""
    monkeypatch.setattr(module, "RETRY_DELAY_S", 0.1)
    monkeypatch.setattr(module, "MAX_RETRY_DELAY_S", 0.5)
    monkeypatch.setattr(module, "PUBLISH_TIMEOUT_MS", 2000)


@dataclass
class Raw:
    """A record."""

    offset: int
    value: bytes | None = b"{}"
    key: bytes | None = b"k"
    topic: str = "events"
    partition: int = 0
    timestamp: int = 1
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Owner:
    """Whose event a letter is."""

    def __init__(self) -> None:
        self.progress = Progress("events", 0, 0)
        self.released = False
        self.ends: list[tuple[EventType, Outcome, Reason]] = []

    def settle(self, type_: EventType, outcome: Outcome, reason: Reason, index: int | None = None) -> None:
        """Keep the end."""
        del index
        self.ends.append((type_, outcome, reason))


def letter(record: Raw, lane: str | None = None) -> DeadLetter:
    """A refused event."""
    return DeadLetter(
        record=record,
        type=EventType.TRACK,
        reason=Reason.REFUSED,
        stage=Stage.DELIVER,
        error="RejectedError",
        message="no",
        lane=lane,
    )


@asynccontextmanager
async def running(bootstrap: str) -> AsyncIterator[Letterbox]:
    """A letterbox with its task."""
    options = {"bootstrap_servers": [bootstrap]}
    cluster = Cluster(options)
    box = Letterbox(TOPIC, options, cluster)
    task = asyncio.create_task(box.run())
    try:
        yield box
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await box.close(5)
        await cluster.close()


def park(box: Letterbox, record: Raw, lane: str | None = None) -> Owner:
    """Park a letter; gives its owner."""
    owner = Owner()
    box.park(letter(record, lane), owner)
    return owner


async def read(bootstrap: str, count: int) -> list["ConsumerRecord[bytes | None, bytes | None]"]:
    """The topic's first records; fails when there are fewer."""
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        async with asyncio.timeout(10):
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def until_problem(box: Letterbox) -> str:
    """Wait until letters are not taken."""
    async with asyncio.timeout(20):
        while box.problem is None:
            await asyncio.sleep(0.02)
    return box.problem


async def topics(bootstrap: str) -> list[str]:
    """What the broker has."""
    async with admin_client(bootstrap) as admin:
        return list(await admin.list_topics())


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    """A broker with a topic for letters, of three partitions."""
    async with EmbeddedBroker() as broker:
        await broker.create_topics([TOPIC], 3)
        yield broker


async def test_a_letter_carries_its_record_untouched_and_settles_when_it_is_acknowledged(
    broker: EmbeddedBroker,
) -> None:
    """Key, value and headers as they came; ours behind."""
    async with running(broker.bootstrap) as box:
        owner = park(box, Raw(7, b"\xff no JSON", key=b"\x00key", headers=[("h", b"\xfe")]), "visitor:1")
        assert len(box) == 1
        assert list(box.owners()) == [owner]
        assert owner.ends == []
        assert await box.flush(10)
        assert owner.ends == [SETTLED]
        assert len(box) == 0
        [record] = await read(broker.bootstrap, 1)
    assert (record.key, record.value, record.headers[0]) == (b"\x00key", b"\xff no JSON", ("h", b"\xfe"))
    headers = dict(record.headers)
    assert headers["__connect.errors.offset"] == b"7"
    assert headers["pendo.dlq.reason"] == b"refused"
    assert record.timestamp > 1_700_000_000_000, "now: retention would eat a letter as old as its record"


async def test_letters_of_one_lane_keep_their_order_in_one_partition(broker: EmbeddedBroker) -> None:
    """Whatever key their records have; lanes spread over the partitions."""
    lanes = [f"visitor:{number}" for number in range(8)]
    async with running(broker.bootstrap) as box:
        owners = [
            park(box, Raw(offset, str(offset).encode() * (1 + offset % 7 * 300), key=str(offset).encode()), lane)
            for offset, lane in enumerate(lanes * 30)
        ]
        assert await box.flush(20)
        assert all(owner.ends == [SETTLED] for owner in owners)
        records = await read(broker.bootstrap, len(owners))
    places = defaultdict(list)
    for record in records:
        offset = int(dict(record.headers)["__connect.errors.offset"])
        places[lanes[offset % 8]].append((record.partition, record.offset, offset))
    for place in places.values():
        assert len({partition for partition, _, _ in place}) == 1
        assert [offset for _, _, offset in sorted(place)] == sorted(offset for _, _, offset in place)
    assert len({place[0][0] for place in places.values()}) > 1


async def test_without_a_lane_the_records_own_key_decides(broker: EmbeddedBroker) -> None:
    """Equal keys, equal partition; no key at all is fine."""
    async with running(broker.bootstrap) as box:
        for offset in range(6):
            park(box, Raw(offset, key=b"same"))
        park(box, Raw(6, key=None))
        assert await box.flush(10)
        records = await read(broker.bootstrap, 7)
    assert len({record.partition for record in records if record.key == b"same"}) == 1


async def test_a_missing_topic_is_not_created_and_letters_wait_until_somebody_does() -> None:
    """Nothing is settled before; it says what is wrong."""
    async with EmbeddedBroker() as broker, running(broker.bootstrap) as box:
        owner = park(box, Raw(0))
        assert TOPIC in await until_problem(box)
        await asyncio.sleep(0.5)
        assert TOPIC not in await topics(broker.bootstrap)
        assert not await box.flush(0.1)
        assert owner.ends == []
        await broker.create_topics([TOPIC])
        assert await box.flush(10)
        assert owner.ends == [SETTLED]
        await asyncio.sleep(0.1)
        assert box.problem is None


async def test_a_missing_topic_shows_before_the_first_letter() -> None:
    """At the start, so that `/readyz` can tell."""
    async with EmbeddedBroker() as broker, running(broker.bootstrap) as box:
        assert "does not exist" in await until_problem(box)


async def test_a_letter_of_a_released_record_is_dropped(broker: EmbeddedBroker) -> None:
    """Whoever reads the record next publishes it."""
    async with running(broker.bootstrap) as box:
        gone = Owner()
        gone.released = True
        box.park(letter(Raw(0)), gone)
        kept = park(box, Raw(1))
        assert await box.flush(10)
        assert (gone.ends, kept.ends) == ([], [SETTLED])
        [record] = await read(broker.bootstrap, 1)
    assert dict(record.headers)["__connect.errors.offset"] == b"1"


async def test_released_letters_do_not_pile_up_while_the_topic_is_away() -> None:
    """Every rebalance of a long outage would add the same ones again."""
    async with EmbeddedBroker() as broker, running(broker.bootstrap) as box:
        owners = [park(box, Raw(offset)) for offset in range(10)]
        for owner in owners[:9]:
            owner.released = True
        async with asyncio.timeout(10):
            while len(box) > 1:
                await asyncio.sleep(0.05)
        assert list(box.owners()) == owners[9:]


async def test_a_flush_waits_no_longer_than_it_may_and_nothing_is_nothing_to_wait_for(
    broker: EmbeddedBroker,
) -> None:
    """The shutdown has one deadline; a negative rest of it is none."""
    options = {"bootstrap_servers": [broker.bootstrap]}
    box = Letterbox(TOPIC, options, Cluster(options))
    assert await box.flush(0)
    park(box, Raw(0))
    assert not await box.flush(-1)
    assert not await box.flush(0.05)
    await box.close(1)


@pytest.mark.apache
@pytest.mark.timeout(120)
async def test_a_letter_too_large_loses_its_value_then_all_but_its_position() -> None:
    """Alone: its neighbours stay whole, and the next letter of its lane does not overtake it."""
    async with ApacheKafka(settings={"auto.create.topics.enable": "true"}) as kafka, running(kafka.bootstrap) as box:
        await until_problem(box)
        await asyncio.sleep(1)
        assert TOPIC not in await topics(kafka.bootstrap), "not even on a broker that allows it"
        async with admin_client(kafka.bootstrap) as admin:
            await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs={"max.message.bytes": "1500"})])
        large, small = b"x" * 5000, b"y" * 300
        owners = [
            park(box, Raw(0, large), "visitor:1"),
            park(box, Raw(1, small), "visitor:1"),
            park(box, Raw(2, large, key=large, headers=[("h", large)]), "visitor:1"),
            *(park(box, Raw(offset, small), f"visitor:{offset}") for offset in range(3, 12)),
        ]
        assert await box.flush(20)
        assert all(owner.ends == [SETTLED] for owner in owners)
        records = await read(kafka.bootstrap, len(owners))
    by_offset = {int(dict(record.headers)["__connect.errors.offset"]): record for record in records}
    found = {
        offset: (len(r.key or b""), r.value, dict(r.headers).get("pendo.dlq.value"), "h" in dict(r.headers))
        for offset, r in by_offset.items()
    }
    assert found.pop(0) == (1, b"", b"omitted", False)
    assert found.pop(2) == (0, b"", b"omitted", False)
    assert set(found.values()) == {(1, small, None, False)}
    assert [by_offset[offset].offset for offset in (0, 1, 2)] == sorted(by_offset[o].offset for o in (0, 1, 2))


@pytest.mark.apache
@pytest.mark.timeout(120)
async def test_letters_wait_for_a_broker_that_is_away_and_are_published_when_it_is_back() -> None:
    """Each once at least, in order, and settled only then."""
    async with ApacheKafka() as kafka:
        await kafka.create_topics([TOPIC])
        async with running(kafka.bootstrap) as box:
            first = park(box, Raw(0), "visitor:1")
            assert await box.flush(10)
            await kafka.kill()
            waiting = [park(box, Raw(offset), "visitor:1") for offset in range(1, 20)]
            await until_problem(box)
            assert not await box.flush(0.5)
            assert [owner.ends for owner in waiting] == [[]] * 19
            await kafka.start()
            assert await box.flush(30)
            assert all(owner.ends == [SETTLED] for owner in (first, *waiting))
            records = await read(kafka.bootstrap, 20)
    offsets = [int(dict(record.headers)["__connect.errors.offset"]) for record in records]
    assert offsets == sorted(offsets)
    assert set(offsets) <= set(range(20))
