"""The export: what was settled becomes spans of OpenTelemetry's SDK, which sends them from a thread of its own.

The only module that imports the SDK, and imported only where tracing is on: the SDK takes room. Names of attributes are
those of OpenTelemetry's semantic conventions for messaging and HTTP, and `pendo_consumer.…` beside them. No span has a
URL (the Segment endpoint's holds the key), an id of a visitor or message, or anything else of an event.
"""

from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_RESEND_COUNT,
    HTTP_RESPONSE_STATUS_CODE,
)
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.trace.span import TraceState
from opentelemetry.trace.status import StatusCode
from opentelemetry.util.types import AttributeValue

from consumer import __version__
from consumer.outcomes import Outcome
from consumer.pendo.endpoints import METHOD
from consumer.pendo.requests import Route
from consumer.spans.traced import Attempt, Settled
from consumer.spans.traceparent import Parent

NAME: Final = "pendo-consumer"
"""The service's, where the environment gives it no other; and of what makes the spans."""
OPERATION: Final = "process"
OURS: Final = "pendo_consumer."
FAILED_FROM: Final = 400
"""HTTP statuses from here on are a client span's error, by the conventions."""

# Not from the package of conventions: there these are still in the making, and may move from version to version.
SYSTEM: Final = "messaging.system"
DESTINATION: Final = "messaging.destination.name"
PARTITION: Final = "messaging.destination.partition.id"
OFFSET: Final = "messaging.kafka.offset"
GROUP: Final = "messaging.consumer.group.name"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"

Attributes = dict[str, AttributeValue]


class Export:
    """Spans on their way out. What the queue has no room for is dropped by the SDK, which says so in the log."""

    def __init__(self, group_id: str, servers: Mapping[Route, tuple[str, int]]) -> None:
        """Start the SDK's thread; where to, how much at once and how often the SDK reads from the environment itself.

        Args:
            group_id: The consumer group.
            servers: Host and port that each route's requests go to.

        Raises:
            ValueError: A variable's value cannot be used; other errors are possible, too.
        """
        self._group_id = group_id
        self._servers = servers
        # Closed by the service, in time: not once more at the interpreter's end, which may wait for half a minute.
        self._provider = TracerProvider(resource=resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME, __version__)

    def close(self) -> None:
        """Send what is left, however long that takes: for a thread."""
        self._provider.shutdown()

    def record(self, settled: Settled) -> None:
        """Make the spans of one event; sending them is the thread's."""
        span = self._tracer.start_span(
            f"{OPERATION} {settled.record.topic}",
            context=_context(settled.parent),
            kind=SpanKind.CONSUMER,
            attributes=self._of_event(settled),
            start_time=settled.began_ns,
        )
        below = set_span_in_context(span)
        for attempt in settled.attempts.newest:
            self._record_attempt(attempt, below)
        if settled.outcome is Outcome.DEAD_LETTERED:
            _fail(span, settled.reason.value)
        span.end(settled.ended_ns)

    def _of_event(self, settled: Settled) -> Attributes:
        record = settled.record
        attributes: Attributes = {
            SYSTEM: "kafka",
            DESTINATION: record.topic,
            PARTITION: str(record.partition),
            OFFSET: record.offset,
            GROUP: self._group_id,
            OPERATION_NAME: OPERATION,
            OPERATION_TYPE: OPERATION,
            OURS + "event.type": settled.type.value,
            OURS + "outcome": settled.outcome.value,
            OURS + "attempts": settled.attempts.count,
        }
        if settled.reason:
            attributes[OURS + "reason"] = settled.reason.value
        if settled.index is not None:
            attributes[OURS + "event.index"] = settled.index
        if settled.attempts.newest:
            attributes[OURS + "route"] = settled.attempts.newest[-1].route.value
        return attributes

    def _record_attempt(self, attempt: Attempt, below: Context) -> None:
        attributes: Attributes = {HTTP_REQUEST_METHOD: METHOD, OURS + "route": attempt.route.value}
        attributes[SERVER_ADDRESS], attributes[SERVER_PORT] = self._servers[attempt.route]
        if attempt.number > 1:
            attributes[HTTP_REQUEST_RESEND_COUNT] = attempt.number - 1
        if isinstance(attempt.status, int):
            attributes[HTTP_RESPONSE_STATUS_CODE] = attempt.status
        span = self._tracer.start_span(
            METHOD, context=below, kind=SpanKind.CLIENT, attributes=attributes, start_time=attempt.began_ns
        )
        if isinstance(attempt.status, str) or attempt.status >= FAILED_FROM:
            _fail(span, str(attempt.status))
        span.end(attempt.ended_ns)


def resource() -> Resource:
    """What all spans have in common: this service, and what the environment adds or has otherwise."""
    asked = Resource.create()
    named = Resource({SERVICE_NAME: NAME, SERVICE_VERSION: __version__})
    if str(asked.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return asked.merge(named)
    return named.merge(asked)


def _context(parent: Parent) -> Context:
    return set_span_in_context(
        NonRecordingSpan(
            SpanContext(
                parent.trace_id,
                parent.span_id,
                is_remote=True,
                trace_flags=TraceFlags(TraceFlags.SAMPLED),
                trace_state=TraceState(parent.tracestate),
            )
        )
    )


def _fail(span: Span, why: str) -> None:
    span.set_attribute(ERROR_TYPE, why)
    span.set_status(StatusCode.ERROR)
