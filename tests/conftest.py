"""All tests run on the loop that the service runs on, and none is judged by how long it took."""

from asyncio import AbstractEventLoop
from collections.abc import Callable

import uvloop
from hypothesis import settings

# A machine that does other work as well takes longer for an example than hypothesis allows of itself.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """uvloop, whose handles differ from asyncio's in details that have caused bugs."""
    return {"uvloop": uvloop.new_event_loop}
