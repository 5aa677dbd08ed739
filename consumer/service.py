"""The service: builds every part, runs them side by side, and takes them down within one deadline.

Configuration goes in, an exit status comes out. The way down, each step taking what is left of the deadline:
admit nothing more · start no request · wait for answers and for dead letters · commit · release the rest · leave.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

from pydantic import SecretStr

from consumer import __version__, metrics
from consumer.api import web_of
from consumer.config.load import Loaded
from consumer.delivery.crew import Crew
from consumer.delivery.engine import Shared, callers_of, concurrency_of, memory_of, senders_of
from consumer.delivery.lease import Hold, Lease
from consumer.delivery.routes import Routes
from consumer.delivery.tally import Tally
from consumer.kafka.cluster import Cluster
from consumer.kafka.letterbox import Letterbox
from consumer.kafka.oauth import FixedToken
from consumer.kafka.offset_map import TAG_BYTES
from consumer.kafka.progress import Progress
from consumer.kafka.security import client_options
from consumer.kafka.source import Source
from consumer.log import get_logger
from consumer.mapping.assembly import router_of
from consumer.metrics import Exposition, Sample
from consumer.pendo.client import Client
from consumer.pendo.endpoints import routes_in_use
from consumer.pendo.requests import Route
from consumer.pendo.targets import Targets
from consumer.watch import Watch
from consumer.web import Token
from consumer.worker.admission import Admission
from consumer.worker.commits import Commits
from consumer.worker.hand import Hand
from consumer.worker.lag import Lag
from consumer.worker.partitions import Partitions
from consumer.worker.polling import Polling
from consumer.worker.pressure import Pressure
from consumer.worker.probes import Probes
from consumer.worker.pulse import Pulse
from consumer.worker.report import Report

log = get_logger(__name__)

COMMIT_RESERVE_S: Final = 5.0
"""Of the shutdown's deadline: what waiting for answers must leave for the commit and for leaving the group."""
COMMIT_RETRY_S: Final = 0.5
LEAVE_S: Final = 3.0
"""After a part has died: to leave the group, not to save anything."""
POLLING: Final = "polling"


class Service:
    """One process of the service.

    Attributes:
        web: The HTTP side; its port is known once the service runs.
        tally: What was received and what became of it.
    """

    def __init__(self, loaded: Loaded) -> None:
        """Build every part; nothing is connected yet. Call it in the running loop.

        Raises:
            ConfigError: A file that the settings name, or the mapping, cannot be used.
        """
        settings = self._settings = loaded.settings
        self._router = router_of(settings)
        self.tally = Tally()
        self._stop = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

        options = client_options(settings.kafka)
        self._cluster = Cluster(options)
        self._source = Source(settings.kafka, options, self._cluster, max_open_bytes=settings.delivery.max_open_bytes)
        self._letterbox = Letterbox(settings.dead_letter.topic, options, self._cluster)
        self._client = Client(
            timeout_s=settings.delivery.request_timeout_s,
            call_timeout_s=settings.delivery.metadata_timeout_s,
            ca_file=settings.pendo.ca_file,
            proxy=settings.pendo.proxy,
        )
        self._targets = Targets(self._client, settings.pendo, routes_in_use(settings.routes))
        self._lease = Lease(settings.kafka.session_timeout_s)
        self._pressure = Pressure(settings.delivery.max_open_events)
        self._routes = self._build_routes()
        self._pause(settings.delivery.paused)
        self._build_worker()
        self._watch = Watch(loaded)
        for key in self._targets.secrets:
            self._watch.on_secret(key, partial(self._use_credential, key))
        self._watch.on_pause(self._pause)
        kafka_token = options.get("sasl_oauth_token_provider")
        if isinstance(kafka_token, FixedToken):
            self._watch.on_secret("kafka.security.password", lambda new: kafka_token.replace(new.get_secret_value()))
        probes = Probes(
            polling=self._polling,
            commits=self._commits,
            lag=self._lag,
            routes=self._routes,
            letterbox=self._letterbox,
            stopping=self._stop.is_set,
        )
        self._hand = Hand(self._routes, self._partitions)
        token = Token(settings.http.admin_token)
        self._watch.on_secret("http.admin_token", token.replace)
        self._report = Report(self.tally, self._routes, self._letterbox, self._partitions, self._lag, probes.not_ready)
        self.web = web_of(settings, probes, self._hand, self._report, token, self._exposition().render)

    def _build_worker(self) -> None:
        settings, tally = self._settings, self.tally
        tag = secrets.token_bytes(TAG_BYTES)
        self._commits = Commits(
            self._source,
            tag=tag,
            interval_s=settings.kafka.commit_interval_s,
            owned=self._owned,
            settled=tally.settled.total,
            in_flight=self._routes.in_flight,
            flags=lambda: self._routes.flags,
        )
        self._pulse = Pulse(self._lease, prove=self._commits.prove, free=self._routes.free)
        self._partitions = Partitions(
            self._source,
            self._routes,
            start_from=settings.kafka.start_from,
            drain_s=settings.kafka.rebalance_drain_s,
            tag=tag,
            tally=tally,
            commit=self._commits.commit,
        )
        self._admission = Admission(
            envelope_path=settings.segment.envelope_keys,
            mapper=self._router,
            outlets=self._routes.senders,
            letters=self._letterbox,
            tally=tally,
        )
        self._polling = Polling(
            self._source,
            self._partitions,
            self._admission,
            pressure=self._pressure,
            relieve=self._routes.relieve,
            tally=tally,
            max_open_events=settings.delivery.max_open_events,
            max_open_bytes=settings.delivery.max_open_bytes,
        )
        self._lag = Lag(
            self._cluster,
            self._source,
            self._partitions,
            session_s=settings.kafka.session_timeout_s,
            full=lambda: self._polling.room() == 0,
        )

    def _owned(self) -> Iterable[Progress]:
        return self._partitions.owned.values()

    def _build_routes(self) -> Routes:
        """Each with lanes, senders and a gate of its own: none waits for what another's endpoint does."""
        posts, calls = self._targets.posts, self._targets.calls
        shared = Shared(
            settings=self._settings,
            memory=memory_of(self._settings),
            lease=self._lease,
            max_lane=self._pressure.max_lane,
            letters=self._letterbox,
            routes=len(posts) + len(calls),
        )
        crews: dict[Route, Crew[Any]] = {}
        crews |= {route: senders_of(route, shared, target.post) for route, target in posts.items()}
        crews |= {route: callers_of(route, target.form, shared, target.call) for route, target in calls.items()}
        return Routes(crews, self._letterbox, self._lease)

    def _exposition(self) -> Exposition:
        return Exposition(
            [self._samples, self._admission.samples, self._routes.samples, self._lag.samples, self._hand.samples]
        )

    def stop(self) -> None:
        """Ask for an orderly end; harmless when repeated."""
        self._stop.set()

    async def run(self) -> int:
        """Run until `stop` is called or a part dies.

        Returns:
            0 when all that was not settled was released; 1 if something settled may not have been committed.

        Raises:
            ConfigError: The HTTP address cannot be had.
            ExceptionGroup: A part died; what was open stays in Kafka.
        """
        await self.web.start(self._settings.http.host, self._settings.http.port)
        try:
            async with self._client, asyncio.TaskGroup() as tasks:
                self._start(tasks)
                await self._stop.wait()
                status = await self._drain()
                for task in self._tasks.values():
                    task.cancel()
        finally:
            self._partitions.forget()
            # Does nothing after an orderly stop; when a part died, the others need not wait for the session's end.
            await self._leave(asyncio.get_running_loop().time() + LEAVE_S)
            await self.web.stop()
        return status

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        parts: dict[str, Coroutine[Any, Any, None]] = {
            POLLING: self._polling.run(),
            "commits": self._commits.run(),
            "letterbox": self._letterbox.run(),
            "lag": self._lag.run(),
            "watch": self._watch.run(),
            "pulse": self._pulse.run(),
            "history": self._report.history.run(),
        }
        routes = self._routes.senders
        for route, senders in routes.items():
            parts[f"senders {route}"] = senders.run(concurrency_of(route, self._settings, len(routes)))
        self._tasks = {name: tasks.create_task(part, name=name) for name, part in parts.items()}

    async def _drain(self) -> int:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.delivery.shutdown_timeout_s
        log.info("stopping", open_events=self.tally.open_events, in_flight=self._routes.in_flight())
        self._polling.stop()
        self._routes.stop()
        reserve_s = min(COMMIT_RESERVE_S, self._settings.delivery.shutdown_timeout_s / 2)
        answered = await self._routes.drain(deadline - loop.time() - reserve_s)
        confirmed = await self._commit_until(deadline)
        # In a rebalance: what was answered since the revoke is not ours to commit, and may be sent again.
        confirmed = confirmed and not self._partitions.uncommitted
        released = self._partitions.release_all()
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
                while not (confirmed := await self._commits.commit(self._partitions.committable())):
                    await asyncio.sleep(COMMIT_RETRY_S)
                    if loop.time() >= deadline:
                        break
        return confirmed

    async def _leave(self, deadline: float) -> None:
        """Leave the group at once, so that others take over; close what is left in the time that is left."""
        loop = asyncio.get_running_loop()
        await self._source.stop(max(deadline - loop.time(), 1.0))
        await self._letterbox.close(max(deadline - loop.time(), 0.1))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(deadline - loop.time(), 0.1)):
                await self._cluster.close()

    def _use_credential(self, key: str, secret: SecretStr) -> None:
        for route in self._targets.present(key, secret):
            self._routes.senders[route].probe_now()

    def _pause(self, paused: bool) -> None:  # noqa: FBT001  # a callback
        if paused:
            self._routes.hold(Hold.PAUSED)
        elif Hold.PAUSED in self._lease.held:
            # Only then: it begins all retry windows anew, and the file changes for other reasons, too.
            self._routes.free(Hold.PAUSED)

    def _samples(self) -> Iterator[Sample]:
        tally = self.tally
        yield from tally.samples()
        for result, count in self._commits.results.items():
            yield Sample(metrics.COMMITS, count, (result,))
        yield Sample(metrics.EVENTS_UNACCOUNTED, tally.unaccounted(self._partitions.open_events()))
        yield Sample(metrics.LOOP_LAG, self._pulse.lag_s)
        yield Sample(metrics.REBALANCES, self._partitions.rebalances)
        yield Sample(metrics.RECORDS_EXPIRED, self._partitions.expiry.expired)
        yield Sample(metrics.BUILD_INFO, 1, (__version__,))
