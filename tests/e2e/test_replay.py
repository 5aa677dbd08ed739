"""Letters are sent again: each once, never back in time, and what is refused again is a letter anew."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from consumer.sandbox.broker import EmbeddedBroker
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, event, headers_of

RUN_S = 50
"""Below the tests' own limit, which cannot interrupt this loop."""


@dataclass
class Done:
    """What a command did."""

    status: int
    rows: list[dict[str, Any]]
    told: str


@asynccontextmanager
async def replaying(pipe: Pipe, *argv: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`dlq replay` as a process."""
    settings = {"log__level": "warning"} | settings
    if isinstance(pipe.broker, EmbeddedBroker):
        # It lets a first member wait for half of it; Apache Kafka takes none so short.
        settings = {"kafka__session_timeout_s": "3"} | settings
    environ = {**os.environ, **pipe.environ(**settings)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "consumer",
        "dlq",
        *argv,
        env=environ,
        stdout=PIPE,
        stderr=PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: asyncio.subprocess.Process, timeout_s: float = RUN_S) -> Done:
    """Wait for its end."""
    async with asyncio.timeout(timeout_s):
        out, err = await process.communicate()
    assert process.returncode is not None
    rows = [json.loads(line) for line in out.splitlines()]
    return Done(process.returncode, rows, err.decode())


async def dlq(pipe: Pipe, *argv: str, **settings: str) -> Done:
    """The command, to its end."""
    async with replaying(pipe, *argv, "--json", **settings) as process:
        return await ended(process)


async def park(pipe: Pipe, events: list[dict[str, Any]]) -> None:
    """Have Pendo refuse events, so that each has a letter."""
    pipe.simulator.faults.add(Rule(answer=Answer(status=400)))
    async with pipe.service() as service:
        await pipe.produce(events)
        await service.until(lambda m: m.sum("events_settled_total", outcome="dead_lettered") >= len(events))
    pipe.simulator.faults.clear()


async def test_each_letter_is_sent_once_however_often_it_is_called(pipe: Pipe) -> None:
    """A dry run sends nothing; the replay all; the next one nothing any more."""
    await park(pipe, [event(number, user=f"u{number % 3}") for number in range(30)])
    dry = await dlq(pipe, "replay", "--dry-run")
    assert (dry.status, len(dry.rows), pipe.accepted()) == (0, 30, [])
    assert {row["outcome"] for row in dry.rows} == {"deliver"}
    done = await dlq(pipe, "replay")
    assert done.status == 0, done.told
    assert sorted(row["messageId"] for row in done.rows) == sorted(map(str, range(30)))
    assert {row["outcome"] for row in done.rows} == {"delivered"}
    assert sorted(pipe.accepted(), key=int) == [str(number) for number in range(30)]
    for user in range(3):
        mine = [int(one) for one in pipe.accepted() if int(one) % 3 == user]
        assert mine == sorted(mine)
    assert {row["replayed"] for row in (await dlq(pipe, "list")).rows} == {True}
    assert (await dlq(pipe, "list", "--open")).rows == []
    again = await dlq(pipe, "replay")
    assert (again.status, {row["why"] for row in again.rows}) == (0, {"replayed"})
    assert len(pipe.accepted()) == 30
    assert len(await pipe.dead_letters()) == 30


async def test_by_filters_and_by_position_only_those_that_are_meant(pipe: Pipe) -> None:
    """The others can be sent later; what is no letter is said."""
    await park(pipe, [event(number, user=f"u{number}") for number in range(6)])
    listed = await dlq(pipe, "list")
    first, second = listed.rows[0], listed.rows[1]
    one = await dlq(pipe, "replay", first["letter"])
    assert (one.status, pipe.accepted()) == (0, [first["messageId"]])
    other = await dlq(pipe, "replay", "--id", second["messageId"])
    assert (other.status, pipe.accepted()[1:]) == (0, [second["messageId"]])
    none = await dlq(pipe, "replay", f"{pipe.dead_letter_topic}-0@999")
    assert none.status == 1
    assert "no such letter" in none.told
    assert (await dlq(pipe, "replay", "nonsense")).status == 2
    rest = await dlq(pipe, "replay")
    assert rest.status == 0
    assert sorted(pipe.accepted(), key=int) == [str(number) for number in range(6)]


async def test_what_is_refused_again_is_a_letter_anew(pipe: Pipe) -> None:
    """It keeps the record, the key, the headers and the position that it came with, and counts its replays."""
    await park(pipe, [event(1)])
    [first] = await pipe.dead_letters()
    pipe.simulator.faults.add(Rule(answer=Answer(status=400)))
    for times in (1, 2):
        done = await dlq(pipe, "replay")
        assert done.status == 1, done.told
        sent = [row for row in done.rows if row["sent"]]
        assert [(row["outcome"], row["reason"]) for row in sent] == [("dead_lettered", "refused")]
        letters = await pipe.dead_letters()
        newest = max(letters, key=lambda letter: int(headers_of(letter)["pendo.dlq.replays"]))
        assert int(headers_of(newest)["pendo.dlq.replays"]) == times
        assert len(letters) == times + 1
        same = {"pendo.dlq.original-timestamp", "pendo.dlq.message-id", "source"}
        same |= {name for name in headers_of(first) if name.startswith("__connect.errors.")}
        assert {name: headers_of(newest)[name] for name in same} == {name: headers_of(first)[name] for name in same}
        assert (newest.key, newest.value) == (first.key, first.value)
        assert len(newest.headers) == len(first.headers)


async def test_newer_state_stays(pipe: Pipe) -> None:
    """Fields that newer events have written are left out; what has none left is not sent."""
    old = {"type": "identify", "userId": "ann", "messageId": "old", "traits": {"plan": "old", "color": "red"}}
    gone = {"type": "identify", "userId": "bea", "messageId": "gone", "traits": {"plan": "old"}}
    await park(pipe, [old | {"timestamp": "2026-01-01T00:00:00Z"}, gone | {"timestamp": "2026-01-01T00:00:00Z"}])
    newer = [
        {"type": "identify", "userId": user, "messageId": f"new-{user}", "traits": {"plan": "new"}}
        | {"timestamp": "2026-01-02T00:00:00Z"}
        for user in ("ann", "bea")
    ]
    async with pipe.service() as service:
        await pipe.produce(newer)
        await service.until_settled(2)
    dry = await dlq(pipe, "replay", "--dry-run")
    assert {row["messageId"]: (row["outcome"], row["reason"], row["without"]) for row in dry.rows} == {
        "old": ("deliver", "", ["plan"]),
        "gone": ("suppressed", "stale", []),
    }
    done = await dlq(pipe, "replay")
    assert {row["messageId"]: (row["outcome"], row["reason"]) for row in done.rows} == {
        "old": ("delivered", ""),
        "gone": ("suppressed", "stale"),
    }
    assert pipe.simulator.store.visitors["ann"].metadata == {"plan": "new", "color": "red"}


async def test_a_replay_that_is_interrupted_goes_on_where_it_was(pipe: Pipe) -> None:
    """Twice, by Ctrl-C: nothing is lost, nothing is sent twice."""
    await park(pipe, [event(number, user=f"u{number}") for number in range(60)])
    interrupted = 0
    for _ in range(10):
        before = len(pipe.accepted())
        async with replaying(pipe, "replay", "--rate", "20", "--json") as process:
            if interrupted < 2:
                async with asyncio.timeout(30):
                    while len(pipe.accepted()) < before + 10:
                        await asyncio.sleep(0.02)
                process.send_signal(signal.SIGINT)
            done = await ended(process)
        if done.status == 0:
            break
        assert done.status == 130, done.told
        assert "go on" in done.told
        interrupted += 1
    assert interrupted == 2
    assert sorted(pipe.accepted(), key=int) == [str(number) for number in range(60)]


async def test_two_at_the_same_time_send_each_letter_once(pipe: Pipe) -> None:
    """The group gives each partition to one of them."""
    await park(pipe, [event(number, user=f"u{number}") for number in range(60)])
    both = await asyncio.gather(*(dlq(pipe, "replay", "--rate", "30") for _ in range(2)))
    assert sorted(pipe.accepted(), key=int) == [str(number) for number in range(60)], [done.told for done in both]
    rest = await dlq(pipe, "replay")
    assert rest.status == 0
    assert len(pipe.accepted()) == 60


async def test_what_another_system_wrote_is_not_sent(pipe: Pipe) -> None:
    """It is shown, and said why."""
    await park(pipe, [event(1)])
    topic, pipe.topic = pipe.topic, pipe.dead_letter_topic
    await pipe.produce([b"whatever"])
    pipe.topic = topic
    done = await dlq(pipe, "replay")
    assert done.status == 0
    assert sorted((row["sent"], row.get("why")) for row in done.rows) == [(False, "foreign"), (True, None)]
    assert pipe.accepted() == ["1"]


@pytest.mark.timeout(90)
async def test_a_replay_waits_while_pendo_is_down(pipe: Pipe) -> None:
    """And goes on by itself."""
    await park(pipe, [event(number, user=f"u{number}") for number in range(5)])
    pipe.simulator.faults.add(Rule(answer=Answer(status=503)))
    async with replaying(pipe, "replay", "--json", delivery__max_retry_delay_s="1") as process:
        async with asyncio.timeout(30):
            while len(list(pipe.simulator.log)) < 7:
                await asyncio.sleep(0.05)
        assert process.returncode is None
        pipe.simulator.faults.clear()
        done = await ended(process)
    assert done.status == 0, done.told
    assert sorted(pipe.accepted()) == [str(number) for number in range(5)]
