"""A crash at each named step: nothing is lost, and only what no commit called finished comes again."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections import Counter

import pytest

from consumer.kafka.offset_map import decode
from consumer.sandbox.simulator_faults import Latency
from tests.e2e.crashing import ACKNOWLEDGEMENT, COMMIT, COMMITTED, PUBLISH, SEND, VERDICT
from tests.e2e.pipe import Pipe, event, headers_of

pytestmark = [pytest.mark.apache, pytest.mark.timeout(60)]

EVENTS = 500
USERS = 40
POISON = 20
Position = tuple[int, int]


async def _run_until_it_crashes(pipe: Pipe, step: str, number: int) -> None:
    environ = {**os.environ, **pipe.environ(dead_letter__flood_share="1")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.crashing", step, str(number), env=environ, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _finished(pipe: Pipe) -> set[Position]:
    """What the group's commits call finished."""
    finished: set[Position] = set()
    for partition, (offset, metadata) in (await pipe.committed()).items():
        if offset < 0:
            continue
        finished.update((partition, before) for before in range(offset))
        found = decode(metadata, offset)
        assert found is not None
        at = offset
        for index, length in enumerate(found.runs):
            if index % 2:
                finished.update((partition, beyond) for beyond in range(at, at + length))
            at += length
    return finished


async def _lettered(pipe: Pipe) -> Counter[Position]:
    headers = [headers_of(letter) for letter in await pipe.dead_letters()]
    return Counter((int(h["__connect.errors.partition"]), int(h["__connect.errors.offset"])) for h in headers)


AT = {
    SEND: (1, 200, 400),
    VERDICT: (1, 200, 400),
    PUBLISH: (1, 10),
    ACKNOWLEDGEMENT: (1, 10),
    COMMIT: (1, 4),
    COMMITTED: (1, 4),
}
"""At the very first, in the middle, and with most of it done."""


@pytest.mark.parametrize(("step", "number"), [(step, number) for step, numbers in AT.items() for number in numbers])
async def test_a_crash_loses_nothing_and_repeats_only_what_was_not_committed(
    apache_pipe: Pipe, step: str, number: int
) -> None:
    """Whichever step it comes at: what the last commit calls finished, map included, is never sent again."""
    pipe = apache_pipe
    pipe.simulator.latency = Latency(median_s=0.03)
    events = [event(n, user=f"u{n % USERS}") for n in range(EVENTS)]
    mixed = [value for n, good in enumerate(events) for value in ((b"poison", good) if n % 25 == 0 else (good,))]
    positions = await pipe.produce(mixed)
    place = {str(value["messageId"]): at for value, at in zip(mixed, positions, strict=True) if isinstance(value, dict)}
    poison = {at for value, at in zip(mixed, positions, strict=True) if value == b"poison"}
    assert len(poison) == POISON

    await _run_until_it_crashes(pipe, step, number)
    # In this order: what was on the wire at the crash may still arrive, and counts as known then.
    finished, lettered, sent = await _finished(pipe), await _lettered(pipe), Counter(pipe.accepted())
    assert len(sent) < EVENTS, "the crash must come before all is done"
    known = {place[message_id] for message_id in sent} | lettered.keys()
    assert finished <= known, "what was committed as finished had really ended"
    if step in {COMMIT, COMMITTED} and number > 1:
        assert 0 < len(finished) < len(mixed), "the map must have something to say"

    async with pipe.process(dead_letter__flood_share="1") as service:
        await service.until(lambda m: m.sum("events_open") == 0 and m.sum("lag_records") == 0 and _all(pipe))
        assert await service.stop() == 0
    again = Counter(pipe.accepted())
    assert len(again) == EVENTS
    repeated = {place[message_id] for message_id, times in again.items() if times > 1}
    letters = await _lettered(pipe)
    assert letters.keys() == poison
    repeated |= {at for at, times in letters.items() if times > 1}
    assert not repeated & finished
    # A letter that was on its way at the crash may have reached its topic after it was looked into.
    assert repeated <= known | poison
    assert max((*again.values(), *letters.values())) <= 2


def _all(pipe: Pipe) -> bool:
    return len(set(pipe.accepted())) == EVENTS
