"""Traces, from a record's header to a receiver of OTLP, through the whole service as a process of its own."""

from typing import Any

import pytest

from consumer.sandbox.children import free_port
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, Running, event
from tests.support.otlp import Received, Receiver

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = [("traceparent", f"00-{TRACE}-{SPAN}-01".encode()), ("tracestate", b"congo=t61rcWkgMzE")]
OFFSET, INDEX = "messaging.kafka.offset", "pendo_consumer.event.index"
UNSAMPLED = [("traceparent", f"00-{TRACE}-{SPAN}-00".encode())]


def tracing(pipe: Pipe, receiver: Receiver) -> None:
    """Let the service's environment ask for it."""
    pipe.more_environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-1",
        "NO_PROXY": "127.0.0.1",
    }


def of_events(spans: list[Received]) -> list[Received]:
    """In the order of their records."""
    consumers = (span for span in spans if span.kind == "CONSUMER")
    return sorted(consumers, key=lambda span: (span.attributes[OFFSET], span.attributes.get(INDEX, 0)))


def said(running: Running, text: str) -> list[dict[str, Any]]:
    return [line for line in running.log if line["event"].startswith(text)]


async def test_a_sampled_records_span_tells_of_every_attempt_and_of_nobody_else(pipe: Pipe) -> None:
    """One is refused twice for a moment, one for good, one delivered at once; what is not sampled leaves no trace."""
    pipe.simulator.faults.add(Rule(id="late", script=[Answer(status=503)] * 2))
    pipe.simulator.faults.add(Rule(id="refused", answer=Answer(status=400)))
    async with Receiver() as receiver:
        tracing(pipe, receiver)
        async with pipe.process(delivery__max_retry_delay_s="0.2") as service:
            await pipe.produce([event(0, user="quiet")], partition=0)
            await pipe.produce([event(1, user="quiet")], partition=0, headers=UNSAMPLED)
            users = ("late", "refused", "prompt")
            await pipe.produce([event(n, user=user) for n, user in enumerate(users)], partition=0, headers=SAMPLED)
            await service.until_settled(5)
            assert await service.stop() == 0
        spans = of_events(receiver.spans)
    [line] = said(service, "tracing is on")
    assert (line["level"], line["endpoint"]) == ("info", receiver.url.removeprefix("http://"))
    assert not said(service, "the last spans could not be sent")
    assert [span.attributes[OFFSET] for span in spans] == [2, 3, 4]
    assert {(span.name, span.trace_id, span.parent_id, span.tracestate) for span in spans} == {
        (f"process {pipe.topic}", TRACE, SPAN, "congo=t61rcWkgMzE")
    }
    outcomes = ["delivered", "dead_lettered", "delivered"]
    assert [span.attributes["pendo_consumer.outcome"] for span in spans] == outcomes
    assert [span.status for span in spans] == ["UNSET", "ERROR", "UNSET"]
    assert spans[1].attributes["error.type"] == "refused"
    statuses = [[one.attributes["http.response.status_code"] for one in receiver.below(span)] for span in spans]
    assert statuses == [[503, 503, 200], [400], [200]]
    assert [span.attributes["pendo_consumer.attempts"] for span in spans] == [3, 1, 1]
    for span in spans:
        assert span.resource["service.name"] == "pendo-consumer"
        assert span.resource["service.instance.id"] == "pod-1"
        assert span.attributes["messaging.consumer.group.name"] == pipe.group
        for attempt in receiver.below(span):
            assert attempt.attributes["server.address"] == "127.0.0.1"
            assert span.began_ns <= attempt.ended_ns <= span.ended_ns
    posted = b"".join(receiver.raw)
    for never in (pipe.simulator.api_key.encode(), b"segmentio/", b"late", b"prompt", b"Clicked"):
        assert never not in posted


async def test_each_event_of_a_call_and_each_of_an_array_has_a_span_of_its_own(pipe: Pipe) -> None:
    """Of a call two of one visitor are merged; of an array one is delivered, one skipped, one can never be."""
    environ = {
        "pendo__api_url": pipe.simulator.url,
        "pendo__integration_key": pipe.simulator.integration_key,
        "routes__identify": "metadata",
    }
    called = [
        {"type": "identify", "userId": user, "messageId": f"m{n}", "traits": {"plan": f"p{n}"}}
        for n, user in enumerate(("ada", "ada", "bob"))
    ]
    array = b'[{"type":"track","event":"x","userId":"u1"},{"type":"alias","userId":"u1"},{"type":"track","event":"x"}]'
    async with Receiver() as receiver:
        tracing(pipe, receiver)
        async with pipe.process(**environ) as service:
            await pipe.produce([*called, array], partition=0, headers=SAMPLED)
            await service.until_settled(6)
            assert await service.stop() == 0
        spans = of_events(receiver.spans)
    assert [told(receiver, span) for span in spans] == [
        (0, None, "merged", None, "UNSET", ["metadata"]),
        (1, None, "delivered", None, "UNSET", ["metadata"]),
        (2, None, "delivered", None, "UNSET", ["metadata"]),
        (3, 0, "delivered", None, "UNSET", ["segmentio"]),
        (3, 1, "skipped", "no_route", "UNSET", []),
        (3, 2, "dead_lettered", "invalid_id", "ERROR", []),
    ]


def told(receiver: Receiver, span: Received) -> tuple[Any, ...]:
    """Where an event came from, what became of it, and by which routes it was tried."""
    ours = [span.attributes.get(f"pendo_consumer.{key}") for key in ("event.index", "outcome", "reason")]
    routes = [one.attributes["pendo_consumer.route"] for one in receiver.below(span)]
    return (span.attributes[OFFSET], *ours, span.status, routes)


@pytest.mark.timeout(60)
async def test_without_a_collector_everything_is_delivered_and_the_stop_is_in_time(pipe: Pipe) -> None:
    """Its address is wrong, or it is down for the night: that is told, and costs spans alone."""
    async with Receiver() as receiver:
        tracing(pipe, receiver)
    pipe.more_environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
    pipe.more_environ["OTEL_BSP_SCHEDULE_DELAY"] = "10"
    async with pipe.process() as service:
        await pipe.produce([event(n) for n in range(200)], headers=SAMPLED)
        await service.until_settled(200)
        assert await service.stop() == 0
    assert sorted(pipe.accepted()) == sorted(str(n) for n in range(200))
    exporter = [line for line in service.log if line["logger"].startswith("opentelemetry")]
    assert 1 <= len(exporter) <= 10
    assert not said(service, "a part of the service died")
