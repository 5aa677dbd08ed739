"""All tests run on the loop that the service runs on."""

from asyncio import AbstractEventLoop
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """uvloop, whose handles differ from asyncio's in details that have caused bugs."""
    return {"uvloop": uvloop.new_event_loop}
