"""Tracing: which records get a traced ticket, how the export begins and ends. Whatever fails here, delivery goes on.

Settings and the environment go in; where nobody asked for tracing nothing comes out, and nothing was imported for it.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from typing import Protocol

from consumer.config.settings import Settings
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.progress import Progress
from consumer.kafka.records import Record
from consumer.log import get_logger, mask
from consumer.pendo.endpoints import Endpoints, routes_in_use
from consumer.spans.switch import secrets_of, switch_of
from consumer.spans.traced import Settled, TracedTicket
from consumer.spans.traceparent import sampled_parent

log = get_logger(__name__)


class Exporting(Protocol):
    """Where spans go."""

    def record(self, settled: Settled) -> None:
        """Make the spans of one event."""

    def close(self) -> None:
        """Send what is left, however long that takes."""


class Tracing:
    """Traces the records that ask for it."""

    def __init__(self, export: Exporting) -> None:
        self._export = export
        self._failed = False

    def ticket(self, record: Record, progress: Progress, tally: Tally, now_ms: int) -> Ticket:
        """A record's ticket: a traced one if it carries a sampled parent."""
        if record.headers and (parent := sampled_parent(record.headers)) is not None:
            return TracedTicket(record, progress, tally, now_ms, parent, self._tell)
        return Ticket(record, progress, tally, now_ms)

    def _tell(self, settled: Settled) -> None:
        try:
            self._export.record(settled)
        except Exception:
            # The event is settled, whatever becomes of its span. Said once: it may be so for each of them.
            if not self._failed:
                log.exception("a span could not be made; the next failures are not told")
            self._failed = True

    async def close(self, timeout_s: float) -> None:
        """Send what is left, for so long at most. The thread is left alone then: it does not keep the process."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()
        Thread(target=self._close, args=(loop, sent), name="send spans", daemon=True).start()
        try:
            async with asyncio.timeout(timeout_s):
                await sent.wait()
        except TimeoutError:
            log.warning("the last spans could not be sent in time, and are lost")

    def _close(self, loop: asyncio.AbstractEventLoop, sent: asyncio.Event) -> None:
        try:
            self._export.close()
        finally:
            # The loop may be gone: nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(sent.set)


def tracing_of(settings: Settings, environ: Mapping[str, str]) -> Tracing | None:
    """Begin, if the environment asks for it and can have it; what is wrong with it is said in the log."""
    switch = switch_of(environ)
    if switch.problem is not None:
        log.error("tracing is off, although it was asked for", problem=switch.problem)
    if switch.endpoint is None:
        return None
    mask(secrets_of(environ))
    try:
        export = _begin(settings)
    except Exception as error:  # noqa: BLE001  # whatever the SDK makes of its variables, delivery goes on
        problem = f"{type(error).__name__}: {error}"
        log.error("tracing is off, although it was asked for", problem=problem)  # noqa: TRY400  # the text says it all
        return None
    log.info("tracing is on: spans of records with a sampled traceparent are exported", endpoint=switch.endpoint)
    return Tracing(export)


def _begin(settings: Settings) -> Exporting:
    from consumer.spans.export import Export  # noqa: PLC0415  # only who traces pays for the SDK

    endpoints = Endpoints.from_settings(settings.pendo)
    servers = {route: endpoints.server(route) for route in routes_in_use(settings.routes)}
    return Export(settings.kafka.group_id, servers)
