"""What is told to a callback, to be awaited; and what is awaited, told to a callback."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from consumer.errors import UnreachableError
from consumer.pendo.client import Target
from consumer.pendo.verdicts import NO_ANSWER, Verdict
from consumer.pendo.waist import End, OnEnd, Response

Answering = Callable[[bytes], Awaitable[tuple[Verdict, int]]]
"""Takes a body now, and answers later; raises `UnreachableError`."""


def response_to(send: Callable[[OnEnd], None]) -> "asyncio.Future[Response]":
    """Send a request now: its answer, or an `UnreachableError`."""
    waiter: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    send(partial(_end, waiter))
    return waiter


def _end(waiter: "asyncio.Future[Response]", end: End) -> None:
    if waiter.cancelled():
        return
    if isinstance(end, Response):
        waiter.set_result(end)
    else:
        waiter.set_exception(end)


def verdict_on(target: Target, body: bytes) -> "asyncio.Future[tuple[Verdict, int | str]]":
    """Send a body now: the verdict on it, and the status."""
    waiter: asyncio.Future[tuple[Verdict, int | str]] = asyncio.get_running_loop().create_future()
    target.post(body, lambda end: None if waiter.cancelled() else waiter.set_result(target.judge(end)))
    return waiter


class ByTasks:
    """A destination that answers by a task a request."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._tasks: set[asyncio.Task[tuple[Verdict, int]]] = set()

    def post(self, body: bytes, on_end: Callable[[Any], None]) -> None:
        """One request: it goes now."""
        task = asyncio.ensure_future(self._answering(body))
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(on_end)

    def judge(self, end: "asyncio.Task[tuple[Verdict, int]]") -> tuple[Verdict, int | str]:
        """What the task says; what it raised, but for no answer."""
        try:
            return end.result()
        except UnreachableError as error:
            return NO_ANSWER, error.kind
