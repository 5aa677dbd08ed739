"""What is told to a callback, to be awaited; and what is awaited, told to a callback."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from consumer.delivery.senders import Post
from consumer.errors import UnreachableError
from consumer.pendo.verdicts import NO_ANSWER, OnVerdict, Verdict
from consumer.pendo.waist import End, OnEnd, Response

Answering = Callable[[bytes], Awaitable[tuple[Verdict, int]]]
"""Takes a body now, and answers later; raises `UnreachableError`."""


class Posting(Protocol):
    """What sends a body, as a `Target` does."""

    def post(self, body: bytes, on_verdict: OnVerdict) -> None:
        """Send it."""


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


def verdict_on(target: Posting, body: bytes) -> "asyncio.Future[tuple[Verdict, int | str]]":
    """Send a body now: the verdict on it, and the status."""
    waiter: asyncio.Future[tuple[Verdict, int | str]] = asyncio.get_running_loop().create_future()
    target.post(body, lambda verdict, status: None if waiter.cancelled() else waiter.set_result((verdict, status)))
    return waiter


def by_tasks(answering: Answering) -> Post:
    """One task a request."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(coming: Awaitable[tuple[Verdict, int]], on_verdict: OnVerdict) -> None:
        verdict: Any
        status: int | str
        try:
            verdict, status = await coming
        except UnreachableError as error:
            verdict, status = NO_ANSWER, error.kind
        except Exception as error:  # noqa: BLE001  # no verdict at all: whoever is told it fails
            verdict, status = error, "connection"
        on_verdict(verdict, status)

    def post(body: bytes, on_verdict: OnVerdict) -> None:
        task = asyncio.get_running_loop().create_task(answer(answering(body), on_verdict))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return post
