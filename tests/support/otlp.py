"""A receiver of OTLP over HTTP, by the official classes of its messages: what the exporter really posts, decoded."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from gzip import decompress
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True, kw_only=True)
class Received:
    """A span, as it arrived."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    tracestate: str
    status: str
    began_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Receiver:
    """Takes spans.

    Attributes:
        spans: In the order of their arrival.
        raw: The posts' bodies.
        headers: Of the last post.
        delay_s: Before it answers.
        status: What it answers with.
    """

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.raw: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.delay_s = 0.0
        self.status = 200
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen, on any port."""
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, whoever still waits."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, enough: Callable[[list[Received]], bool], timeout_s: float = 20) -> list[Received]:
        """Wait until these spans have come."""
        async with asyncio.timeout(timeout_s):
            while not enough(self.spans):
                await asyncio.sleep(0.02)
        return self.spans

    def below(self, parent: Received) -> list[Received]:
        """The spans whose parent this is, as they began."""
        return sorted((s for s in self.spans if s.parent_id == parent.span_id), key=lambda span: span.began_ns)

    async def _take(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        body = await request.read()
        await asyncio.sleep(self.delay_s)
        if self.status != web.HTTPOk.status_code:
            return web.Response(status=self.status)
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = decompress(body)
        self.raw.append(body)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(of_resource.resource.attributes)
            self.spans += [_received(span, resource) for scope in of_resource.scope_spans for span in scope.spans]
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )


def _received(span: trace_pb2.Span, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        tracestate=span.trace_state,
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        resource=resource,
    )


def _plain(attributes: "list[KeyValue] | Any") -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in attributes}
