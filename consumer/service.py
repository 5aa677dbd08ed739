"""The service: the pipeline, and around it the HTTP side, an operator's hand, and the files that are read again.

Configuration goes in, an exit status comes out.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Final

from pydantic import SecretStr

from consumer import __version__, metrics
from consumer.api import web_of
from consumer.config.load import Loaded
from consumer.delivery.engine import memory_of
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.oauth import FixedToken
from consumer.mapping.assembly import router_of
from consumer.metrics import Exposition, Sample
from consumer.pipeline import Pipeline
from consumer.spans.tracing import tracing_of
from consumer.watch import Watch
from consumer.web import Token
from consumer.worker.hand import Hand
from consumer.worker.probes import Probes
from consumer.worker.report import Report

SPANS_S: Final = 3.0
"""Of a stop: what the last spans may take at most, if as much is left of its deadline."""


class Service:
    """One process of the service.

    Attributes:
        web: The HTTP side; its port is known once the service runs.
    """

    def __init__(self, loaded: Loaded) -> None:
        """Build every part; nothing is connected yet. Call it in the running loop.

        Raises:
            ConfigError: A file that the settings name, or the mapping, cannot be used.
        """
        settings = self._settings = loaded.settings
        self._stop = asyncio.Event()
        self._stop_by: float | None = None
        self._tracing = tracing_of(settings, loaded.environ)
        ticketing = Ticket if self._tracing is None else self._tracing.ticket
        pipeline = self._pipeline = Pipeline(settings, router_of(settings), memory_of(settings), ticketing=ticketing)
        pipeline.pause(settings.delivery.paused)
        self._watch = self._build_watch(loaded)
        probes = Probes(
            polling=pipeline.polling,
            commits=pipeline.commits,
            lag=pipeline.lag,
            routes=pipeline.routes,
            letterbox=pipeline.letterbox,
            stopping=self._stop.is_set,
        )
        self._hand = Hand(pipeline.routes, pipeline.partitions)
        token = Token(settings.http.admin_token)
        self._watch.on_secret("http.admin_token", token.replace)
        self._report = Report(
            pipeline.tally, pipeline.routes, pipeline.letterbox, pipeline.partitions, pipeline.lag, probes.not_ready
        )
        metrics_now = Exposition([self._samples, pipeline.samples, self._hand.samples]).render
        self.web = web_of(settings, probes, self._hand, self._report, token, metrics_now)

    @property
    def tally(self) -> Tally:
        """What was received and what became of it."""
        return self._pipeline.tally

    def _build_watch(self, loaded: Loaded) -> Watch:
        watch = Watch(loaded)
        for key in self._pipeline.targets.secrets:
            watch.on_secret(key, partial(self._use_credential, key))
        watch.on_pause(self._pipeline.pause)
        kafka_token = self._pipeline.options.get("sasl_oauth_token_provider")
        if isinstance(kafka_token, FixedToken):
            watch.on_secret("kafka.security.password", lambda new: kafka_token.replace(new.get_secret_value()))
        return watch

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
            return await self._pipeline.run(self._stopped, watch=self._watch.run(), history=self._report.history.run())
        finally:
            await self._send_last_spans()
            await self.web.stop()

    async def _stopped(self) -> None:
        await self._stop.wait()
        self._stop_by = asyncio.get_running_loop().time() + self._settings.delivery.shutdown_timeout_s

    async def _send_last_spans(self) -> None:
        if self._tracing is not None:
            now = asyncio.get_running_loop().time()
            left_s = SPANS_S if self._stop_by is None else self._stop_by - now
            await self._tracing.close(max(min(left_s, SPANS_S), 0.1))

    def _use_credential(self, key: str, secret: SecretStr) -> None:
        for route in self._pipeline.targets.present(key, secret):
            self._pipeline.routes.senders[route].probe_now()

    def _samples(self) -> Iterator[Sample]:
        yield Sample(metrics.BUILD_INFO, 1, (__version__,))
