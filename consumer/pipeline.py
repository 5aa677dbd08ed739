"""The pipeline: every part between Kafka and Pendo, put together, run side by side and taken down within one deadline.

Settings go in, and who admits records; what it has done is read from its parts. It knows neither HTTP of its own nor
signals. The way down, each step taking what is left of the deadline: admit nothing more · start no request · wait for
answers and for dead letters · commit · release the rest · leave.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from consumer import metrics
from consumer.config.settings import Settings
from consumer.delivery.crew import Crew
from consumer.delivery.engine import Shared, callers_of, senders_of
from consumer.delivery.lease import Hold, Lease
from consumer.delivery.memory import Memory
from consumer.delivery.routes import Routes
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.cluster import Cluster
from consumer.kafka.letterbox import Letterbox
from consumer.kafka.offset_map import TAG_BYTES
from consumer.kafka.progress import Progress
from consumer.kafka.security import client_options
from consumer.kafka.source import Source
from consumer.log import get_logger
from consumer.metrics import Sample
from consumer.pendo.client import Client
from consumer.pendo.endpoints import routes_in_use
from consumer.pendo.requests import Route
from consumer.pendo.targets import Targets
from consumer.worker.admission import Admission, Mapper, Ticketing
from consumer.worker.commits import Commits
from consumer.worker.lag import Lag
from consumer.worker.partitions import Partitions
from consumer.worker.polling import Admitting, Polling
from consumer.worker.pressure import Pressure
from consumer.worker.pulse import Pulse

log = get_logger(__name__)

COMMIT_RESERVE_S: Final = 5.0
"""Of the shutdown's deadline: what waiting for answers must leave for the commit and for leaving the group."""
COMMIT_RETRY_S: Final = 0.5
LEAVE_S: Final = 3.0
"""After a part has died: to leave the group, not to save anything."""
POLLING: Final = "polling"


class Pipeline:
    """What delivers.

    Attributes:
        tally: What was received and what became of it.
        options: The Kafka client's.
        targets: Where requests go.
        routes: The delivery engine.
        letterbox: Where dead letters go.
        partitions: Those that are ours.
        admission: From records to deliveries.
        commits, lag, polling, pulse: The worker's parts.
    """

    def __init__(
        self,
        settings: Settings,
        mapper: Mapper,
        memory: Memory,
        *,
        pressure: Pressure | None = None,
        admit: Callable[[Admission], Admitting] | None = None,
        ticketing: Ticketing = Ticket,
    ) -> None:
        """Build every part; nothing is connected yet. Call it in the running loop.

        Args:
            settings: All of them.
            mapper: From events to requests.
            memory: What Pendo is known to have.
            pressure: Which partitions may be read on, where it is not as the settings have it.
            admit: Who admits records, where they are not simply events: made of what admits events.
            ticketing: Makes the tickets of records.

        Raises:
            ConfigError: A file that the settings name cannot be used.
        """
        self._settings = settings
        self.tally = Tally()
        self.options = client_options(settings.kafka)
        self._cluster = Cluster(self.options)
        self._source = Source(
            settings.kafka, self.options, self._cluster, max_open_bytes=settings.delivery.max_open_bytes
        )
        self.letterbox = Letterbox(settings.dead_letter.topic, self.options, self._cluster)
        self._client = Client(
            timeout_s=settings.delivery.request_timeout_s,
            call_timeout_s=settings.delivery.metadata_timeout_s,
            ca_file=settings.pendo.ca_file,
            proxy=settings.pendo.proxy,
            transport=settings.pendo.transport,
        )
        self.targets = Targets(self._client, settings.pendo, routes_in_use(settings.routes))
        self._lease = Lease(settings.kafka.session_timeout_s)
        self._pressure = pressure or Pressure(settings.delivery.max_open_events)
        self.routes = self._build_routes(memory)
        self._build_worker(mapper, admit or _as_events, ticketing)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def _build_worker(self, mapper: Mapper, admit: Callable[[Admission], Admitting], ticketing: Ticketing) -> None:
        settings, tally = self._settings, self.tally
        tag = secrets.token_bytes(TAG_BYTES)
        self.commits = Commits(
            self._source,
            tag=tag,
            interval_s=settings.kafka.commit_interval_s,
            owned=self._owned,
            settled=tally.settled.total,
            in_flight=self.routes.in_flight,
            flags=lambda: self.routes.flags,
        )
        self.pulse = Pulse(self._lease, prove=self.commits.prove, free=self.routes.free)
        self.partitions = Partitions(
            self._source,
            self.routes,
            start_from=settings.kafka.start_from,
            drain_s=settings.kafka.rebalance_drain_s,
            tag=tag,
            tally=tally,
            commit=self.commits.commit,
        )
        self.admission = Admission(
            envelope_path=settings.segment.envelope_keys,
            mapper=mapper,
            outlets=self.routes.senders,
            letters=self.letterbox,
            tally=tally,
            ticketing=ticketing,
        )
        self.polling = Polling(
            self._source,
            self.partitions,
            admit(self.admission),
            pressure=self._pressure,
            routes=self.routes,
            tally=tally,
            max_open_events=settings.delivery.max_open_events,
            max_open_bytes=settings.delivery.max_open_bytes,
        )
        self.lag = Lag(
            self._cluster,
            self._source,
            self.partitions,
            session_s=settings.kafka.session_timeout_s,
            holds_back=self.polling.holds_back,
        )

    def _owned(self) -> Iterable[Progress]:
        return self.partitions.owned.values()

    def _build_routes(self, memory: Memory) -> Routes:
        """Each with lanes, senders and a gate of its own: none waits for what another's endpoint does."""
        posts, calls = self.targets.posts, self.targets.calls
        shared = Shared(
            settings=self._settings,
            memory=memory,
            lease=self._lease,
            max_lane=self._pressure.max_lane,
            letters=self.letterbox,
            routes=len(posts) + len(calls),
        )
        crews: dict[Route, Crew[Any, Any]] = {}
        crews |= {route: senders_of(route, shared, target) for route, target in posts.items()}
        crews |= {route: callers_of(route, target.form, shared, target.call) for route, target in calls.items()}
        return Routes(crews, self.letterbox, self._lease)

    def pause(self, paused: bool) -> None:  # noqa: FBT001  # a callback
        """Send nothing, or go on, as the configuration says."""
        if paused:
            self.routes.hold(Hold.PAUSED)
        elif Hold.PAUSED in self._lease.held:
            # Only then: it begins all retry windows anew, and the file changes for other reasons, too.
            self.routes.free(Hold.PAUSED)

    async def run(self, until: Callable[[], Coroutine[Any, Any, None]], **beside: Coroutine[Any, Any, None]) -> int:
        """Run until something ends, or a part dies.

        Args:
            until: What is awaited meanwhile.
            beside: By name what else runs beside the parts.

        Returns:
            0 when all that was not settled was released; 1 if something settled may not have been committed.

        Raises:
            ExceptionGroup: A part died; what was open stays in Kafka.
        """
        try:
            async with self._client, asyncio.TaskGroup() as tasks:
                self._start(tasks, beside)
                await until()
                status = await self._drain()
                for task in self._tasks.values():
                    task.cancel()
        finally:
            self.partitions.forget()
            # Does nothing after an orderly stop; when a part died, the others need not wait for the session's end.
            await self._leave(asyncio.get_running_loop().time() + LEAVE_S)
        return status

    def _start(self, tasks: asyncio.TaskGroup, beside: dict[str, Coroutine[Any, Any, None]]) -> None:
        parts: dict[str, Coroutine[Any, Any, None]] = {
            POLLING: self.polling.run(),
            "commits": self.commits.run(),
            "letterbox": self.letterbox.run(),
            "lag": self.lag.run(),
            "pulse": self.pulse.run(),
            **beside,
        }
        parts |= {f"senders {route}": senders.run() for route, senders in self.routes.senders.items()}
        self._tasks = {name: tasks.create_task(part, name=name) for name, part in parts.items()}

    async def _drain(self) -> int:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.delivery.shutdown_timeout_s
        log.info("stopping", open_events=self.tally.open_events, in_flight=self.routes.in_flight())
        self.polling.stop()
        self.routes.stop()
        reserve_s = min(COMMIT_RESERVE_S, self._settings.delivery.shutdown_timeout_s / 2)
        answered = await self.routes.drain(deadline - loop.time() - reserve_s)
        confirmed = await self._commit_until(deadline)
        # In a rebalance: what was answered since the revoke is not ours to commit, and may be sent again.
        confirmed = confirmed and not self.partitions.uncommitted
        released = self.partitions.release_all()
        # Lest it joins the group after we have left it.
        self._tasks[POLLING].cancel()
        await self._leave(deadline)
        log.info(
            "stopped", answered=answered, committed=confirmed, released=released, settled=self.tally.settled.total()
        )
        return 0 if confirmed else 1

    async def _commit_until(self, deadline: float) -> bool:
        """Commit; once more when it was not confirmed and there is time, since a rebalance refuses commits."""
        loop = asyncio.get_running_loop()
        confirmed = False
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while not (confirmed := await self.commits.commit(self.partitions.committable())):
                    await asyncio.sleep(COMMIT_RETRY_S)
                    if loop.time() >= deadline:
                        break
        return confirmed

    async def _leave(self, deadline: float) -> None:
        """Leave the group at once, so that others take over; close what is left in the time that is left."""
        loop = asyncio.get_running_loop()
        await self._source.stop(max(deadline - loop.time(), 1.0))
        await self.letterbox.close(max(deadline - loop.time(), 0.1))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(deadline - loop.time(), 0.1)):
                await self._cluster.close()

    def samples(self) -> Iterator[Sample]:
        """Metrics of the whole and of its parts."""
        tally = self.tally
        yield from tally.samples()
        for result, count in self.commits.results.items():
            yield Sample(metrics.COMMITS, count, (result,))
        yield Sample(metrics.EVENTS_UNACCOUNTED, tally.unaccounted(self.partitions.open_events()))
        yield Sample(metrics.LOOP_LAG, self.pulse.lag_s)
        yield Sample(metrics.REBALANCES, self.partitions.rebalances)
        yield Sample(metrics.RECORDS_EXPIRED, self.partitions.expiry.expired)
        for part in (self.admission, self.routes, self.lag):
            yield from part.samples()


def _as_events(admission: Admission) -> Admitting:
    return admission
