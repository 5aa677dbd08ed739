"""The site: the page, its parts, the stream of snapshots and the tables, over HTTP. It decides nothing.

`/`, `/page.css`, `/page.js`, `/page.svg`: files of this package. `GET /api/overview`: this pod's report, with
`?pods=all` the view of all pods. `GET /api/events`: that view once a second, as server-sent events.
`GET /api/deliveries.csv`, `/api/deliveries`: what was delivered by day and name. `GET /api/settings`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from consumer.page.live import EVERY_S, CrowdedError, Live
from consumer.page.table import csv_of
from consumer.page.view import Views

Json = dict[str, Any]
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]

FILES: Final = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.svg": ("page.svg", "image/svg+xml"),
}
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On everything that is answered: nothing from elsewhere, nothing inline, in nobody's frame, in no cache."""

RECONNECT_MS: Final = 2000
WRITE_S: Final = 20.0
"""A reader that takes nothing for so long is gone."""


async def harden(_: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on an answer that has none of its own."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


class Site:
    """Answers what the page asks."""

    def __init__(self, views: Views, *, settings: list[Json], every_s: float = EVERY_S) -> None:
        """Read the files.

        Args:
            views: What is shown.
            settings: As they may be shown.
            every_s: How often a snapshot is made for those who look on.
        """
        self._views = views
        self._settings = settings
        self._live = Live(views.whole, every_s)

    def add_to(self, app: web.Application) -> None:
        """Take over the page's addresses."""
        app.on_response_prepare.append(harden)
        for path, (name, content_type) in FILES.items():
            app.router.add_get(path, _file(name, content_type))
        app.router.add_get("/api/overview", self._overview)
        app.router.add_get("/api/events", self._events)
        app.router.add_get("/api/settings", self._get_settings)
        app.router.add_get("/api/deliveries", self._deliveries)
        app.router.add_get("/api/deliveries.csv", self._csv)

    @property
    def listeners(self) -> int:
        """How many look on."""
        return self._live.listeners

    def close(self) -> None:
        """End all streams: a stop does not wait for who looks on."""
        self._live.close()

    async def _overview(self, request: web.Request) -> web.Response:
        if request.query.get("pods") == "all":
            return web.Response(body=await self._live.newest(), content_type="application/json")
        return _json(self._views.report())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        try:
            async with self._live.listening() as snapshots:
                return await self._stream(request, snapshots)
        except CrowdedError:
            return web.Response(status=503, text="too many look on\n", headers={hdrs.RETRY_AFTER: "10"})

    async def _stream(self, request: web.Request, snapshots: AsyncIterator[bytes]) -> web.StreamResponse:
        # No proxy may keep snapshots back.
        response = web.StreamResponse(headers={"X-Accel-Buffering": "no", hdrs.CONTENT_TYPE: "text/event-stream"})
        response.force_close()
        await response.prepare(request)
        try:
            await response.write(b"retry: %d\n\n" % RECONNECT_MS)
            async for snapshot in snapshots:
                async with asyncio.timeout(WRITE_S):
                    await response.write(b"event: snapshot\ndata: %b\n\n" % snapshot)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionResetError:
            pass  # it looks no more
        return response

    async def _get_settings(self, _: web.Request) -> web.Response:
        return _json({"settings": self._settings})

    async def _deliveries(self, _: web.Request) -> web.Response:
        return _json(self._views.deliveries())

    async def _csv(self, _: web.Request) -> web.Response:
        found = await self._views.all_deliveries()
        # A table that is not of all pods should not look like one that is.
        part = "" if found.answered == found.asked else f"-{found.answered}-of-{found.asked}-pods"
        headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="deliveries{part}.csv"'}
        return web.Response(text=csv_of(found.days), content_type="text/csv", headers=headers)


def _file(name: str, content_type: str) -> Serve:
    body = files("consumer.page").joinpath(name).read_bytes()
    etag = blake2b(body, digest_size=16).hexdigest()

    async def serve(request: web.Request) -> web.Response:
        # Asked each time whether it is still the same: after a rollout nobody looks at a new page with an old script.
        headers = {hdrs.ETAG: f'"{etag}"', hdrs.CACHE_CONTROL: "no-store" if name == "page.html" else "no-cache"}
        if any(each.value in {etag, "*"} for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return serve


def _json(body: Json) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")
