"""The service's HTTP side: probes, metrics, an operator's hand, the page. It is told what to answer, decides nothing.

`/livez`: 200 while the process does its work, an outage included. `/readyz`: 503 with what an operator must mend.
`GET /api/partitions`: how far each partition is and what holds it. `POST /api/pause`, `/api/resume`, `/api/skip`: with
the admin token alone; without one in the configuration nobody may.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import SecretStr

from consumer.errors import ConfigError
from consumer.log import get_logger
from consumer.page.site import Site

log = get_logger(__name__)


MAX_NAME_CHARS: Final = 100
"""Of what somebody calls himself; it goes into the log."""
ASKED_BY: Final = "X-Asked-By"


class Token:
    """The admin token, behind which a changed one can be put."""

    def __init__(self, secret: SecretStr | None) -> None:
        self._secret = secret

    def replace(self, secret: SecretStr) -> None:
        """From now on this one counts."""
        self._secret = secret

    def refusal(self, authorization: str) -> int:
        """Why a request may not act: 401 for no token or a wrong one, 403 when there is none; 0 when it may."""
        if self._secret is None:
            return 403
        scheme, _, given = authorization.partition(" ")
        wanted = self._secret.get_secret_value().encode()
        is_right = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), wanted)
        return 0 if is_right and scheme.lower() == "bearer" else 401


class Answer(Protocol):
    """To an operator."""

    @property
    def done(self) -> bool:
        """Whether it was done."""

    @property
    def message(self) -> str:
        """What was done, or why it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What is asked over HTTP beside the probes.

    Attributes:
        partitions: How far each partition is.
        acts: By name what an operator may do: it is handed the request's JSON and who asks. `ValueError` for a request
            that makes no sense.
        unauthorized: Told of an act that nobody may do without the token.
    """

    partitions: Callable[[], list[dict[str, Any]]]
    acts: Mapping[str, Callable[[dict[str, Any], str], Answer]]
    unauthorized: Callable[[str], None]


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
        api: Api,
        token: Token,
        site: Site | None = None,
    ) -> None:
        """Nothing listens yet; without a site there is no page."""
        self.port = 0
        self._site = site
        self._api = api
        self._token = token
        self._alive = alive
        self._not_ready = not_ready
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_get("/api/partitions", self._get_partitions)
        app.router.add_post("/api/{act}", self._act)
        if site is not None:
            site.add_to(app)
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
        if self._site is not None:
            self._site.close()
        await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        alive = self._alive()
        return _json(200 if alive else 503, {"alive": alive})

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = list(self._not_ready())
        return _json(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _get_partitions(self, _: web.Request) -> web.Response:
        return _json(200, {"partitions": self._api.partitions()})

    async def _act(self, request: web.Request) -> web.Response:
        name = request.match_info["act"]
        act = self._api.acts.get(name)
        if act is None:
            return _json(404, {"message": f"there is no act {name[:MAX_NAME_CHARS]}"})
        refusal = self._token.refusal(request.headers.get("Authorization", ""))
        if refusal:
            self._api.unauthorized(name)
            why = "this pod has no http.admin_token" if refusal == 403 else "the admin token is missing or wrong"  # noqa: PLR2004
            return _json(refusal, {"message": why})
        try:
            answer = act(_asked(await request.read()), _who(request))
        except ValueError as error:
            return _json(400, {"message": str(error)})
        return _json(200 if answer.done else 409, {"done": answer.done, "message": answer.message})


def _asked(body: bytes) -> dict[str, Any]:
    asked = orjson.loads(body) if body.strip() else {}
    if not isinstance(asked, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004  # one kind of error for all that makes no sense
    return asked


def _who(request: web.Request) -> str:
    """Who asks, as they say; for the log alone."""
    named = request.headers.get(ASKED_BY, "").strip()
    return "".join(char for char in named if char.isprintable())[:MAX_NAME_CHARS] or "somebody"


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
