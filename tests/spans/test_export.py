"""The export, to a real receiver: what spans hold and what never, and that nobody ever waits for a collector."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from consumer import __version__, log
from consumer.config.load import load
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route
from consumer.sandbox.children import free_port
from consumer.spans.tracing import Tracing, tracing_of
from tests.spans.conftest import SPAN, TRACE, UNSAMPLED, Lines, Records
from tests.support.otlp import Receiver

SENT = (EventType.TRACK, Outcome.DELIVERED, Reason.NONE)
SETTINGS = {
    "PENDO_CONSUMER_PENDO__API_KEY": "a-secret-key",
    "PENDO_CONSUMER_PENDO__INTEGRATION_KEY": "another-secret",
    "PENDO_CONSUMER_PENDO__API_URL": "http://127.0.0.1:9999",
    "PENDO_CONSUMER_ROUTES__IDENTIFY": "metadata",
    "PENDO_CONSUMER_KAFKA__GROUP_ID": "the-group",
}
Start = Callable[..., Tracing | None]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Begins tracing with these variables, and no other of OpenTelemetry's."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    def start_(**variables: str) -> Tracing | None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return tracing_of(load(None, SETTINGS).settings, variables)

    return start_


@asynccontextmanager
async def traced(start: Start, receiver: Receiver, **more: str) -> AsyncIterator[Tracing]:
    """Tracing to this receiver; at the end all has been sent."""
    tracing = start(**{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url} | more)
    assert tracing is not None
    yield tracing
    await tracing.close(20)


async def test_an_event_becomes_a_span_below_its_parent_with_its_attempts_below_it(
    start: Start, receiver: Receiver, records: Records
) -> None:
    async with traced(start, receiver) as tracing:
        parent = ("traceparent", f"00-{TRACE}-{SPAN}-01".encode())
        ticket = records.ticket(tracing, parent, ("tracestate", b"congo=t61,rojo=00f"))
        await asyncio.sleep(0.02)
        for status in (503, "timeout", 200):
            ticket.attempted(None, Route.SEGMENTIO, status, 0.01)
        ticket.settle(*SENT)
    [span] = [one for one in receiver.spans if one.kind == "CONSUMER"]
    assert (span.trace_id, span.parent_id, span.tracestate) == (TRACE, SPAN, "congo=t61,rojo=00f")
    assert (span.name, span.status) == ("process events", "UNSET")
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.destination.name": "events",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 0,
        "messaging.consumer.group.name": "the-group",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "pendo_consumer.event.type": "track",
        "pendo_consumer.outcome": "delivered",
        "pendo_consumer.attempts": 3,
        "pendo_consumer.route": "segmentio",
    }
    attempts = receiver.below(span)
    assert [one.name for one in attempts] == ["POST"] * 3
    assert {(one.kind, one.trace_id, one.tracestate) for one in attempts} == {("CLIENT", TRACE, span.tracestate)}
    assert [one.status for one in attempts] == ["ERROR", "ERROR", "UNSET"]
    always = {
        "http.request.method": "POST",
        "server.address": "data.pendo.io",
        "server.port": 443,
        "pendo_consumer.route": "segmentio",
    }
    assert [one.attributes for one in attempts] == [
        always | {"http.response.status_code": 503, "error.type": "503"},
        always | {"http.request.resend_count": 1, "error.type": "timeout"},
        always | {"http.request.resend_count": 2, "http.response.status_code": 200},
    ]
    for one in attempts:
        assert one.ended_ns - one.began_ns == pytest.approx(10_000_000)
    assert span.began_ns <= attempts[0].ended_ns <= span.ended_ns


async def test_a_dead_letters_span_is_an_error_and_says_why(start: Start, receiver: Receiver, records: Records) -> None:
    async with traced(start, receiver) as tracing:
        ticket = records.ticket(tracing, events=2)
        ticket.attempted(1, Route.METADATA, 400, 0.01)
        ticket.settle(EventType.IDENTIFY, Outcome.DEAD_LETTERED, Reason.REFUSED, 1)
        ticket.settle(EventType.PAGE, Outcome.FILTERED, Reason.RULE, 0)
    refused, filtered = (one for one in receiver.spans if one.kind == "CONSUMER")
    assert (refused.status, refused.attributes["error.type"]) == ("ERROR", "refused")
    said = {key: refused.attributes[f"pendo_consumer.{key}"] for key in ("outcome", "reason", "route", "event.index")}
    assert said == {"outcome": "dead_lettered", "reason": "refused", "route": "metadata", "event.index": 1}
    [attempt] = receiver.below(refused)
    assert (attempt.attributes["server.address"], attempt.attributes["server.port"]) == ("127.0.0.1", 9999)
    assert (filtered.status, filtered.attributes["pendo_consumer.reason"]) == ("UNSET", "rule")
    assert "pendo_consumer.route" not in filtered.attributes
    assert receiver.below(filtered) == []


async def test_no_key_and_nothing_of_an_event_is_in_a_span(start: Start, receiver: Receiver, records: Records) -> None:
    """Neither URL nor path, no record's key or value, no id: looked for in the very bytes of the posts."""
    async with traced(start, receiver) as tracing:
        ticket = records.ticket(tracing)
        ticket.attempted(None, Route.SEGMENTIO, 404, 0.01)
        ticket.attempted(None, Route.METADATA, 200, 0.01)
        ticket.settle(*SENT)
    posted = b"".join(receiver.raw)
    assert len(receiver.spans) == 3
    for never in (b"secret", b"/data/segmentio", b"/api/", b"https", b"visitor-7", b"url"):
        assert never not in posted


async def test_what_is_not_sampled_is_not_exported(start: Start, receiver: Receiver, records: Records) -> None:
    async with traced(start, receiver) as tracing:
        records.ticket(tracing, UNSAMPLED).settle(*SENT)
        records.ticket(tracing, ("traceparent", b"broken")).settle(*SENT)
        records.ticket(tracing, ("source", b"x")).settle(*SENT)
    assert receiver.raw == []


async def test_the_sampler_of_the_environment_has_the_last_word(
    start: Start, receiver: Receiver, records: Records
) -> None:
    async with traced(start, receiver, OTEL_TRACES_SAMPLER="always_off") as tracing:
        ticket = records.ticket(tracing)
        ticket.attempted(None, Route.SEGMENTIO, 200, 0.01)
        ticket.settle(*SENT)
    assert receiver.raw == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"service.name": "pendo-consumer", "service.version": __version__}),
        ({"OTEL_SERVICE_NAME": "ours"}, {"service.name": "ours", "service.version": __version__}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs,service.version=7,deployment.environment.name=prod"},
            {"service.name": "theirs", "service.version": "7", "deployment.environment.name": "prod"},
        ),
    ],
)
async def test_the_environment_names_the_service(
    start: Start, receiver: Receiver, records: Records, variables: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    async with traced(start, receiver, **variables) as tracing:
        records.ticket(tracing).settle(*SENT)
    [span] = receiver.spans
    assert span.resource.items() >= expected.items()


def test_what_a_complaint_of_the_sdk_quotes_is_hidden(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows a header that it cannot read whole: mostly a token whose name was forgotten."""
    log.configure("info", "json")
    assert start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_EXPORTER_OTLP_HEADERS="Bearer abcdefgh")
    said = capsys.readouterr().err
    assert "Header format invalid" in said
    assert "abcdefgh" not in said


async def test_headers_and_compression_of_the_environment_reach_the_collector(
    start: Start, receiver: Receiver, records: Records
) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abcdefgh",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
    }
    async with traced(start, receiver, **variables) as tracing:
        records.ticket(tracing).settle(*SENT)
    assert receiver.headers["Authorization"] == "Bearer abcdefgh"
    assert receiver.headers["Content-Encoding"] == "gzip"
    assert len(receiver.spans) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "0"},
        {"OTEL_BSP_SCHEDULE_DELAY": "-1"},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "9999"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_TRACES_EXPORTER": "jaeger"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "no url"},
    ],
)
def test_a_variable_that_cannot_be_used_turns_tracing_off_and_says_so(
    start: Start, variables: dict[str, str], lines: Lines
) -> None:
    """Delivery goes on without."""
    assert start(**{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} | variables) is None
    [line] = lines
    assert (line["event"], line["log_level"]) == ("tracing is off, although it was asked for", "error")
    assert line["problem"]


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "many"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "tight"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "no name"},
        {"OTEL_TRACES_SAMPLER": "by_mood"},
        {"OTEL_RESOURCE_ATTRIBUTES": "nothing"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "128"},
    ],
)
async def test_of_what_the_sdk_knows_a_default_for_spans_come_all_the_same(
    start: Start, receiver: Receiver, records: Records, variables: Mapping[str, str]
) -> None:
    async with traced(start, receiver, **variables) as tracing:
        records.ticket(tracing).settle(*SENT)
    assert len(receiver.spans) == 1


async def test_without_a_collector_events_are_settled_as_fast_and_spans_are_dropped(
    start: Start, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    """The queue holds so many and no more; what is dropped is said once, not for each."""
    tracing = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        OTEL_BSP_MAX_QUEUE_SIZE="10",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert tracing is not None
    with caplog.at_level(logging.INFO):
        began = time.monotonic()
        for _ in range(1_000):
            records.ticket(tracing).settle(*SENT)
        assert time.monotonic() - began < 5
        assert records.progress.watermark == 1_000
        assert 1 <= caplog.text.count("Queue full, dropping") <= 2
        began = time.monotonic()
        await tracing.close(0.2)
        assert time.monotonic() - began < 5


async def test_a_collector_that_does_not_answer_delays_neither_the_loop_nor_the_stop(
    start: Start, receiver: Receiver, records: Records, lines: Lines
) -> None:
    receiver.delay_s = 30.0
    tracing = start(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_BSP_SCHEDULE_DELAY="1")
    assert tracing is not None
    records.ticket(tracing).settle(*SENT)
    ticked = time.monotonic()
    for _ in range(50):
        await asyncio.sleep(0.01)
        assert time.monotonic() - ticked < 2
        ticked = time.monotonic()
    await tracing.close(0.2)
    assert time.monotonic() - ticked < 5
    assert lines[-1]["event"] == "the last spans could not be sent in time, and are lost"


SCRIPT = """
import asyncio, sys
from consumer.config.load import load
from consumer.log import configure
from consumer.service import Service
async def build():
    Service(load(None, {"PENDO_CONSUMER_PENDO__API_KEY": "k", **dict(one.split("=") for one in sys.argv[1:])}))
configure("error", "json")
asyncio.run(build())
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"opentelemetry", "google", "requests", "urllib3"}))
"""


@pytest.mark.parametrize(
    ("variables", "imported"),
    [
        ([], ""),
        (["OTEL_SERVICE_NAME=x"], ""),
        (["OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_SDK_DISABLED=true"], ""),
        (["OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318"], "google opentelemetry requests urllib3"),
    ],
)
def test_nothing_of_it_is_imported_where_nobody_asked_for_it(variables: list[str], imported: str) -> None:
    """A quiet service's memory does not grow by a thing that it has no use for."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", SCRIPT, *variables]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=clean)
    assert done.stdout.strip() == imported, done.stderr
