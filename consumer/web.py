"""The service's HTTP side: probes and metrics. It is told what to answer and decides nothing.

`/livez`: 200 while the process does its work, an outage included. `/readyz`: 503 with what an operator must mend.
"""

from collections.abc import Callable, Sequence

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from consumer.errors import ConfigError
from consumer.log import get_logger

log = get_logger(__name__)


class Web:
    """The HTTP server.

    Attributes:
        port: The port it listens on; known after `start`.
    """

    def __init__(
        self,
        *,
        alive: Callable[[], bool],
        not_ready: Callable[[], Sequence[str]],
        metrics: Callable[[], bytes],
    ) -> None:
        self.port = 0
        self._alive = alive
        self._not_ready = not_ready
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._get_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            ConfigError: The address cannot be had.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError([f"http.port: cannot listen on {host}:{port}: {error.strerror or error}"]) from error
        self.port = self._runner.addresses[0][1]
        log.info("listening", host=host, port=self.port)

    async def stop(self) -> None:
        """Close the socket."""
        await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        alive = self._alive()
        return _json(200 if alive else 503, {"alive": alive})

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = list(self._not_ready())
        return _json(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _json(status: int, body: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
