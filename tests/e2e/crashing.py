"""The service as a process that kills itself at a named step: `python -m tests.e2e.crashing STEP N`.

At the N-th time that it comes to the step it is gone, as after a power cut. Only public boundaries are wrapped: what a
route posts, what the client of Kafka publishes, what the source commits.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from consumer.cli import execute
from consumer.kafka import letterbox
from consumer.kafka.records import Partition
from consumer.kafka.source import Source
from consumer.pendo.client import Target
from consumer.pendo.waist import End, OnEnd

SEND: Final = "send"
"""A request is about to go."""
VERDICT: Final = "verdict"
"""Pendo has answered, and nothing has come of it yet."""
PUBLISH: Final = "publish"
"""A dead letter is about to go."""
ACKNOWLEDGEMENT: Final = "acknowledgement"
"""The broker has the dead letter, and nothing has come of it yet."""
COMMIT: Final = "commit"
"""A commit is about to go."""
COMMITTED: Final = "committed"
"""The broker has the commit, and nobody here knows it."""


def _crash_at(number: int) -> Callable[[], None]:
    steps = count(1)

    def step() -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def _around_posts(crash: Callable[[], None], *, after: bool) -> None:
    post = Target.post

    def crashing(self: Target, body: bytes, on_end: OnEnd) -> None:
        def told(end: End) -> None:
            if after:
                crash()
            on_end(end)

        if not after:
            crash()
        post(self, body, told)

    Target.post = crashing  # type: ignore[method-assign]


def _around_letters(crash: Callable[[], None], *, after: bool) -> None:
    class Crashing(AIOKafkaProducer):
        """A producer that takes the process with it."""

        async def send(self, *args: Any, **more: Any) -> Any:  # as the client has it
            if not after:
                crash()
            acknowledged = await super().send(*args, **more)  # type: ignore[no-untyped-call]
            if after:
                await acknowledged
                crash()
            return acknowledged

    letterbox.AIOKafkaProducer = Crashing  # type: ignore[attr-defined]


def _around_commits(crash: Callable[[], None], *, after: bool) -> None:
    commit = Source.commit

    async def crashing(self: Source, positions: Mapping[Partition, tuple[int, str]]) -> None:
        if not after:
            crash()
        await commit(self, positions)
        if after:
            crash()

    Source.commit = crashing  # type: ignore[method-assign]


STEPS: Final = {
    SEND: (_around_posts, False),
    VERDICT: (_around_posts, True),
    PUBLISH: (_around_letters, False),
    ACKNOWLEDGEMENT: (_around_letters, True),
    COMMIT: (_around_commits, False),
    COMMITTED: (_around_commits, True),
}


def main(step: str, number: int) -> int:
    """Run the service until it crashes.

    Args:
        step: One of `STEPS`.
        number: At its so many-th time.
    """
    wrap, after = STEPS[step]
    wrap(_crash_at(number), after=after)
    return execute(["run"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
