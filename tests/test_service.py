"""The service: what its exit status says of a stop, what a dead part leaves behind, what a changed file begins anew."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consumer import watch
from consumer.config.load import load
from consumer.delivery.poison import Failing
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.errors import BrokerError, ConfigError
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition, Record
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route
from consumer.service import Service
from tests.delivery.conftest import Bench

P0 = Partition("events", 0)
ENVIRON = {
    "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "KAFKA__TOPICS": "events",
    "PENDO__API_KEY": "k",
    "HTTP__HOST": "127.0.0.1",
    "HTTP__PORT": "0",
    "DELIVERY__SHUTDOWN_TIMEOUT_S": "4",
}


def built(file: Path | None = None, **more: str) -> Service:
    """A service whose broker is not there."""
    return Service(load(file, {f"PENDO_CONSUMER_{key}": value for key, value in (ENVIRON | more).items()}))


class Work:
    """An open record."""

    open = 0
    held_bytes = 0


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("answered", "status"), [(True, 1), (False, 0)])
async def test_a_stop_in_a_rebalance_tells_whether_something_answered_is_uncommitted(
    status: int, *, answered: bool
) -> None:
    """It is not ours to commit until the partition is back, and is sent again by whoever gets it: that is no 0."""
    service = built()
    progress = Progress(*P0, next_offset=0)
    progress.start(0, Work())
    service._pipeline.partitions.owned[P0] = progress
    running = asyncio.create_task(service.run())
    await service._pipeline.partitions.revoked([P0])
    if answered:
        progress.finish(0)
    service.stop()
    assert await running == status
    assert progress.released


async def test_each_route_in_use_is_built_and_they_share_what_may_be_in_flight() -> None:
    """None takes another's part: an endpoint that hangs holds no request of another up."""
    routed = {"ROUTES__TRACK": "track", "PENDO__TRACK_EVENT_SECRET": "s", "DELIVERY__RATE_LIMIT__TRACK": "5"}
    limits = {"DELIVERY__MAX_CONCURRENCY": "21"}
    for environ, routes, each in (({}, [Route.SEGMENTIO], 21), (routed, [Route.SEGMENTIO, Route.TRACK], 10)):
        service = built(None, **limits, **environ)
        assert list(service._pipeline.routes.senders) == routes
        assert [s.gate.limit.maximum for s in service._pipeline.routes.senders.values()] == [each] * len(routes)
    service = built(None, **routed)
    waits = {route: senders.gate.bucket.rate for route, senders in service._pipeline.routes.senders.items()}
    assert waits == {Route.SEGMENTIO: None, Route.TRACK: 5.0}


class Kafka:
    """Refuses a commit, as in a rebalance; takes the next."""

    def __init__(self) -> None:
        self.commits = 0

    async def commit(self, positions: Mapping[Partition, tuple[int, str]]) -> None:
        """As `Source.commit`."""
        assert positions
        self.commits += 1
        if self.commits == 1:
            raise BrokerError("a commit: RebalanceInProgressError")


@pytest.mark.timeout(30)
async def test_a_commit_that_is_refused_at_a_stop_is_repeated_while_there_is_time() -> None:
    """Else everything that was settled since the last one would be sent twice."""
    service, kafka = built(), Kafka()
    service._pipeline.commits._committer = kafka
    progress = Progress(*P0, next_offset=0)
    progress.start(0, Work())
    service._pipeline.partitions.owned[P0] = progress
    running = asyncio.create_task(service.run())
    while not service.web.port:
        await asyncio.sleep(0.01)
    progress.finish(0)
    service.stop()
    assert await running == 0
    assert (kafka.commits, progress.committed) == (2, 1)


@dataclass
class Raw:
    """A record."""

    offset: int
    topic: str = P0.topic
    partition: int = P0.partition
    timestamp: int = 0
    key: bytes | None = b"k"
    value: bytes | None = b"{}"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class SlowKafka:
    """Takes a while for a commit."""

    async def commit(self, positions: Mapping[Partition, tuple[int, str]]) -> None:
        """As `Source.commit`."""
        assert positions
        await asyncio.sleep(1.0)


@pytest.mark.timeout(30)
async def test_answers_are_not_awaited_for_so_long_that_they_cannot_be_committed() -> None:
    """A letter is never taken; an event is answered just before the deadline: it is released, not lost in between."""
    service = built()
    service._pipeline.commits._committer = SlowKafka()
    progress = Progress(*P0, next_offset=0)
    parked, late = (Ticket(Raw(offset), progress, service.tally, 0) for offset in range(2))
    for ticket in (parked, late):
        progress.start(ticket.record.offset, ticket)
        ticket.admit(1)
    service._pipeline.partitions.owned[P0] = progress
    letter = DeadLetter(
        record=parked.record, type=EventType.NONE, reason=Reason.UNDECODABLE, stage=Stage.DECODE, error="", message=""
    )
    service._pipeline.letterbox.park(letter, parked)
    running = asyncio.create_task(service.run())
    await asyncio.sleep(0.2)
    service.stop()
    await asyncio.sleep(3.5)
    late.settle(EventType.TRACK, Outcome.DELIVERED, Reason.NONE)
    assert await running == 0
    assert service.tally.released == 2


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file that is looked at often."""
    monkeypatch.setattr(watch, "SECRET_RECHECK_S", 0.02)
    file = tmp_path / "consumer.yaml"
    write(file, "false")
    return file


def write(file: Path, paused: str) -> None:
    """Change it."""
    file.write_text(f"delivery:\n  paused: {paused}\n")


@pytest.mark.timeout(30)
async def test_only_the_end_of_a_pause_begins_retry_windows_anew(file: Path) -> None:
    """A file that is edited for another reason, or touched by a volume every minute, would keep poison for ever."""
    service = built(file)
    lanes = service._pipeline.routes.senders[Route.SEGMENTIO].lanes
    running = asyncio.create_task(service.run())
    lanes.add(Bench().delivery("poison"))
    lane = lanes._lanes["visitor:poison"]
    lane.failing = Failing(since=0.0)
    for paused in ("false # again", "true", "true # again"):
        write(file, paused)
        await asyncio.sleep(0.2)
        assert lane.failing.since == 0.0
    write(file, "false")
    await asyncio.sleep(0.2)
    assert lane.failing.since > 0.0
    service.stop()
    assert await running == 0


@pytest.mark.timeout(30)
async def test_a_part_that_dies_takes_the_questions_for_beginnings_with_it(file: Path) -> None:
    """They belong to no group of tasks; left alone they would ask on until the loop ends, and complain then."""

    def die(_: bool) -> None:  # noqa: FBT001  # a callback
        raise ZeroDivisionError

    service = built(file)
    service._watch.on_pause(die)
    service._pipeline.partitions._beginnings.ask(P0, None)
    running = asyncio.create_task(service.run())
    await asyncio.sleep(0.1)
    write(file, "true")
    with pytest.RaisesGroup(ZeroDivisionError):
        await running
    assert not [task for task in asyncio.all_tasks() if "beginning of" in task.get_name()]


async def test_a_mapping_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """Before anything is built: nothing must be delivered without the rules that an operator relies on."""
    (tmp_path / "rules.yaml").write_text("deny: [{event: x}]\n")
    config = tmp_path / "c.yaml"
    config.write_text(f"mapping: {{file: {tmp_path}/rules.yaml}}\n")
    with pytest.raises(ConfigError, match=r"rules\.yaml:1: deny\[0\]\.event: unknown key; did you mean events\?"):
        built(config)


class Spans:
    """Spans that are left at a stop: how long they may take is kept."""

    def __init__(self) -> None:
        self.within_s: list[float] = []

    def ticket(self, record: Record, progress: Progress, tally: Tally, now_ms: int) -> Ticket:
        """As `Tracing.ticket`."""
        return Ticket(record, progress, tally, now_ms)

    async def close(self, timeout_s: float) -> None:
        """As `Tracing.close`."""
        self.within_s.append(timeout_s)


@pytest.mark.timeout(30)
async def test_the_last_spans_get_what_is_left_of_a_stops_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never so much that the process would be ended by force, and never more than a collector is worth."""
    spans = Spans()
    monkeypatch.setattr("consumer.service.tracing_of", lambda *_: spans)
    for deadline_s, most_s in ((60, 3.0), (2, 2.0)):
        service = built(None, DELIVERY__SHUTDOWN_TIMEOUT_S=str(deadline_s))
        running = asyncio.create_task(service.run())
        while not service.web.port:
            await asyncio.sleep(0.01)
        service.stop()
        assert await running == 0
        assert 0.1 <= spans.within_s.pop() <= most_s
    assert spans.within_s == []
