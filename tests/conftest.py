"""All tests run on the loop that the service runs on; none is judged by how long it took, but each ends."""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction

import pytest
import uvloop
from hypothesis import settings

# A machine that does other work as well takes longer for an example than hypothesis allows of itself.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """uvloop, whose handles differ from asyncio's in details that have caused bugs."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_itemcollected(item: pytest.Item) -> None:
    """End a test from inside its loop shortly before its timeout ends the process: so its fixtures clean up."""
    if isinstance(item, pytest.Function) and iscoroutinefunction(item.obj):
        marker = item.get_closest_marker("timeout")
        timeout_s = float(marker.args[0] if marker is not None else item.config.getini("timeout"))
        item.obj = _ended_after(0.9 * timeout_s, item.obj)


def _ended_after(seconds: float, test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(test)
    async def ended(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(seconds):
            await test(*args, **kwargs)

    return ended
