"""The process around the service, or around a replay: its loop, its signals, its exit status.

The first SIGTERM or SIGINT asks it to stop; how it stops is its own business, but not how long the process may take.
"""

import asyncio
import faulthandler
import gc
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
    # Held back in every thread, also in those that are still to be started: only the one that waits for them sees them.
    # So a second one, at whatever moment of the way down, cannot replace the exit status.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
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
    loop = asyncio.get_running_loop()
    threading.Thread(target=_stop_on_signal, args=(loop, service.stop, deadline_s), daemon=True).start()
    try:
        return await service.run()
    except ExceptionGroup:
        log.critical("a part of the service died, which is a bug: what was open stays in Kafka", exc_info=True)
        return 1


def _stop_on_signal(loop: asyncio.AbstractEventLoop, stop: Callable[[], None], deadline_s: float) -> None:
    signal.sigwait(STOP_SIGNALS)
    loop.call_soon_threadsafe(stop)
    # A client that swallows its own cancellation, or a loop that stands still, must not keep the process: it ends with
    # status 1 then, and its log says where each thread stood.
    faulthandler.dump_traceback_later(deadline_s, exit=True)
