"""Beginnings: a commit goes first, then `start_from`; what a commit says must be possible; each partition by itself."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from consumer.errors import BrokerError
from consumer.kafka.offset_map import encode
from consumer.kafka.progress import Progress
from consumer.kafka.records import Partition
from consumer.worker import beginnings
from consumer.worker.beginnings import Beginning, Beginnings, StartFrom, begun

P0, P1, P2 = (Partition("events", number) for number in range(3))
OTHER = Partition("others", 0)
TAG = b"a-writer"
BOUNDS = {P0: (7, 100), P1: (0, 50), P2: (3, 10), OTHER: (2, 20)}
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Kafka:
    """Some leaders may be away.

    Attributes:
        commits: Of the group.
        away: Partitions that nobody answers for.
        fail: Whether the group's coordinator is away.
        asked: Times that offsets were asked for.
        questions: How often each partition's bounds were.
    """

    def __init__(self) -> None:
        self.commits: dict[Partition, tuple[int, str]] = {}
        self.by_time: dict[Partition, int | None] = {}
        self.away: set[Partition] = set()
        self.fail = False
        self.asked: list[int] = []
        self.questions: list[Partition] = []

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, str]]:
        """As `Source.committed`."""
        if self.fail:
            raise BrokerError("no coordinator")
        return {p: self.commits[p] for p in partitions if p in self.commits}

    async def bounds(self, partitions: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """As `Source.bounds`: for all, or none."""
        self.questions += partitions
        if self.away & set(partitions):
            raise BrokerError("first offsets: TimeoutError")
        return {partition: BOUNDS[partition] for partition in partitions}

    async def offsets_at(self, partitions: Sequence[Partition], time_ms: int) -> Mapping[Partition, int | None]:
        """As `Source.offsets_at`."""
        self.asked.append(time_ms)
        return {partition: self.by_time[partition] for partition in partitions}


async def answers(beginnings: Beginnings) -> dict[Partition, Beginning]:
    """All that are known now."""
    async with asyncio.timeout(2):
        await beginnings.wait()
    return dict(beginnings.answered())


def state(beginnings: Beginnings) -> tuple[bool, str | None]:
    """Whether something is asked for, and why it is not known."""
    return bool(beginnings), beginnings.problem


async def starts(beginnings: Beginnings, *partitions: Partition) -> list[int | None]:
    """Where partitions without a commit begin."""
    for partition in partitions:
        beginnings.ask(partition, None)
    found = await answers(beginnings)
    return [found[partition].progress.watermark for partition in partitions]


class Work:
    """An open record."""

    open = 1
    held_bytes = 0


@pytest.mark.parametrize(
    ("start_from", "offsets"),
    [("earliest", [7, 0]), ("latest", [100, 50]), (NEW_YEAR, [55, 50])],
)
async def test_a_partition_without_a_commit_begins_where_it_is_told(start_from: StartFrom, offsets: list[int]) -> None:
    """A time that all records are older than is the end."""
    kafka = Kafka()
    kafka.by_time = {P0: 55, P1: None}
    assert await starts(Beginnings(kafka, start_from), P0, P1) == offsets
    assert set(kafka.asked) == ({1_767_225_600_000} if start_from is NEW_YEAR else set())


async def test_when_all_have_commits_no_time_is_asked_for() -> None:
    """`start_from` is for those without."""
    kafka = Kafka()
    beginnings = Beginnings(kafka, NEW_YEAR)
    beginnings.ask(P0, (42, ""))
    found = await answers(beginnings)
    assert found[P0].progress.watermark == 42
    assert kafka.asked == []


async def test_latest_at_the_very_first_start_is_the_end_of_every_partition() -> None:
    """What was there before is not wanted; also when the others have committed meanwhile."""
    kafka = Kafka()
    beginnings = Beginnings(kafka, "latest")
    await beginnings.joining([P0, P1])
    assert await starts(beginnings, P0) == [100]
    kafka.commits[P0] = (100, "")
    assert await starts(beginnings, P1) == [50]


async def test_latest_reads_a_partition_that_was_added_later_from_its_beginning() -> None:
    """Its records are all newer than the group: at its end those would be lost that came before it was found."""
    kafka = Kafka()
    beginnings = Beginnings(kafka, "latest")
    await beginnings.joining([P0, P1])
    assert await starts(beginnings, P0, P1, P2) == [100, 50, 3]


async def test_latest_reads_a_partition_that_was_added_while_nobody_ran_from_its_beginning() -> None:
    """The group has commits for the topic, for this partition none. Another topic is another matter."""
    kafka = Kafka()
    kafka.commits[P0] = (60, "")
    beginnings = Beginnings(kafka, "latest")
    await beginnings.joining([P0, P1, OTHER])
    assert await starts(beginnings, P1, OTHER) == [0, 20]


async def test_what_the_group_has_committed_before_is_not_guessed() -> None:
    """Without an answer the group is not joined; for other starts there is nothing to know."""
    kafka = Kafka()
    kafka.fail = True
    with pytest.raises(BrokerError):
        await Beginnings(kafka, "latest").joining([P0])
    await Beginnings(kafka, "earliest").joining([P0])


async def test_a_log_made_anew_begins_at_its_beginning_whatever_start_from_says() -> None:
    """All of it was written since."""
    beginnings = Beginnings(Kafka(), "latest")
    beginnings.ask_anew(P0)
    assert (await answers(beginnings))[P0].progress.watermark == 7


async def test_a_partition_without_a_leader_delays_no_other_and_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once, and shown for as long as it lasts."""
    monkeypatch.setattr(beginnings, "PATIENCE_S", 0.05)
    monkeypatch.setattr(beginnings, "RETRY_S", 0.02)
    kafka = Kafka()
    kafka.away = {P1}
    asking = Beginnings(kafka, "earliest")
    for partition in (P0, P1, P2):
        asking.ask(partition, None)
    assert set(await answers(asking)) == {P0, P2}
    await asyncio.sleep(0.1)
    assert await answers(asking) == {}
    assert kafka.questions.count(P1) >= 3
    assert kafka.questions.count(P0) == 1
    assert state(asking) == (True, "first offsets: TimeoutError")
    assert capsys.readouterr().out.count("cannot begin yet") == 1
    kafka.away.clear()
    await asyncio.sleep(0.05)
    assert set(await answers(asking)) == {P1}
    assert state(asking) == (False, None)


async def test_an_answer_that_could_not_be_used_comes_again() -> None:
    """The partition may be lost just then; its beginning must not be."""
    asking = Beginnings(Kafka(), "earliest")
    asking.ask(P0, None)
    await asking.wait()

    def fail() -> None:
        for _ in asking.answered():
            raise BrokerError("a seek")

    with pytest.raises(BrokerError):
        fail()
    assert set(await answers(asking)) == {P0}


async def test_what_is_forgotten_is_asked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it a problem any more."""
    monkeypatch.setattr(beginnings, "PATIENCE_S", 0.02)
    monkeypatch.setattr(beginnings, "RETRY_S", 0.01)
    kafka = Kafka()
    kafka.away = {P0}
    asking = Beginnings(kafka, "earliest")
    asking.ask(P0, None)
    await asking.wait()
    assert state(asking) == (True, "first offsets: TimeoutError")
    asking.forget()
    questions = len(kafka.questions)
    await asyncio.sleep(0.05)
    assert len(kafka.questions) == questions
    assert state(asking) == (False, None)


async def test_an_unforeseen_error_is_not_kept_silent() -> None:
    """Who fetches the answers gets it: else the partition would never be read, and nobody would know."""
    kafka = Kafka()
    asking = Beginnings(kafka, NEW_YEAR)
    asking.ask(P0, None)
    with pytest.raises(KeyError):
        await answers(asking)


def _unfinished(progress: Progress, offsets: range) -> list[int]:
    return [offset for offset in offsets if progress.start(offset, Work())]


def test_without_a_commit_the_beginning_is_to_be_committed_at_once() -> None:
    """Else a crash before the first settlement would move `latest`."""
    progress, flags, _ = begun(P0, None, first=7, end=100, start=42)
    assert (progress.watermark, progress.last_read, flags) == (42, 41, 0)
    assert progress.changes != progress.committed_changes


def test_a_commit_is_gone_on_from_with_its_map_and_its_flags() -> None:
    """What it calls finished is not read again; and there is nothing new to commit."""
    progress, flags, _ = begun(P0, (42, encode(42, [1, 2], TAG, 5)), first=7, end=100, start=7)
    assert (progress.watermark, progress.last_read, flags) == (42, 41, 5)
    assert _unfinished(progress, range(42, 47)) == [42, 45, 46]
    assert progress.changes == progress.committed_changes


def test_flags_that_a_commit_carries_are_known_to_be_committed() -> None:
    """So that the next commit takes back those that are over: a flood that has ended must not begin again."""
    progress, _, _ = begun(P0, (42, encode(42, [], TAG, 5)), first=7, end=100, start=7)
    assert progress.committed_flags == 5


@pytest.mark.parametrize(("end", "believed"), [(45, True), (44, False), (10, False)])
def test_a_map_that_reaches_beyond_the_end_is_not_believed(end: int, *, believed: bool) -> None:
    """It tells of a topic that was there before: new records at its offsets would be taken for finished."""
    progress, flags, _ = begun(P0, (42, encode(42, [1, 2], TAG, 1)), first=7, end=end, start=7)
    assert _unfinished(progress, range(42, 45)) == ([42] if believed else [42, 43, 44])
    assert flags == int(believed)


@pytest.mark.parametrize("metadata", ["", "by hand", encode(41, [1, 2], TAG), "é"])
def test_metadata_of_others_means_that_nothing_is_finished(metadata: str) -> None:
    """The offset counts all the same."""
    progress, flags, _ = begun(P0, (42, metadata), first=7, end=100, start=7)
    assert (progress.watermark, flags) == (42, 0)
    assert _unfinished(progress, range(42, 45)) == [42, 43, 44]


def test_what_expired_beyond_a_commit_is_counted_and_passed_over() -> None:
    """What the map calls finished is not lost; reading goes on at the first that is there."""
    progress, _, expired = begun(P0, (10, encode(10, [2, 3], TAG)), first=20, end=100, start=20)
    assert expired == 2 + 5
    assert (progress.watermark, progress.last_read) == (20, 19)
