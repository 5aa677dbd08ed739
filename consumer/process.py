"""The process around the service, or around a replay: its loop, its signals, its exit status.

SIGTERM and SIGINT ask it to stop; how it stops is its own business, but not how long the process may take.
"""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable
from typing import Final, Protocol

import uvloop

from consumer.config.load import Loaded
from consumer.log import get_logger
from consumer.service import Service

log = get_logger(__name__)

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
EXIT_MARGIN_S: Final = 5.0
"""Beyond the shutdown's deadline: then the process ends whatever still runs."""
COLLECT_AFTER: Final = 10_000
"""New objects until the youngest are searched for cycles, of which we make next to none. With Python's own 700 the
search for them is a twentieth of the engine's cost, and the whole heap is searched ten times as often, at a pause each.
"""
COLLECT_OLDER_AFTER: Final = 50
"""Such searches until what outlived one is searched again. Of a full buffer that is all that is open: with Python's own
10 a buffer that fills and empties is gone through every second, a twelfth of the cost of what goes out in calls.
"""


class Stoppable(Protocol):
    """What runs until it is asked to stop."""

    def stop(self) -> None:
        """Ask for an orderly end; harmless when repeated."""

    async def run(self) -> int:
        """Run; returns an exit status."""


def run_service(loaded: Loaded) -> int:
    """Run until SIGTERM or SIGINT; returns the exit status.

    Raises:
        ConfigError: Something that the settings name cannot be used.
    """
    settle_heap()
    return run_until_stopped(lambda: Service(loaded), loaded.settings.delivery.shutdown_timeout_s)


def run_until_stopped(build: Callable[[], Stoppable], shutdown_timeout_s: float) -> int:
    """Run what is built in its loop, until it ends or a signal asks it to.

    Args:
        build: Makes it.
        shutdown_timeout_s: How long its way down may take; soon after, the process ends whatever still runs.
    """
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(_run(build, shutdown_timeout_s + EXIT_MARGIN_S))


def settle_heap() -> None:
    """Keep what the imports have made out of the collector's sight, and look for cycles less often than Python does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, COLLECT_OLDER_AFTER)


async def _run(build: Callable[[], Stoppable], deadline_s: float) -> int:
    service = build()
    _stop_on_signals(service, deadline_s)
    try:
        return await service.run()
    except ExceptionGroup:
        log.critical("a part of the service died, which is a bug: what was open stays in Kafka", exc_info=True)
        return 1
    finally:
        _ignore_signals()


def _stop_on_signals(service: Stoppable, deadline_s: float) -> None:
    # A client that swallows its own cancellation, or a loop that stands still, must not keep the process.
    guard = threading.Timer(deadline_s, os._exit, (1,))
    guard.daemon = True

    def on_signal() -> None:
        if not guard.is_alive():
            guard.start()
        service.stop()

    for signal_ in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(signal_, on_signal)


def _ignore_signals() -> None:
    """The exit status is decided: a second signal, on the interpreter's way down, must not replace it.

    The loop's handlers are not removed first: for a moment that would give the signal its default, which kills.
    """
    for signal_ in STOP_SIGNALS:
        signal.signal(signal_, signal.SIG_IGN)
