"""The switch: the standard's variables turn tracing on; what they ask for in vain is said, with no value quoted."""

import pytest

from consumer.spans.switch import Switch, secrets_of, switch_of

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
ON = Switch("collector:4318")


@pytest.mark.parametrize(
    ("environ", "switch"),
    [
        ({}, Switch()),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}, Switch()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, Switch()),
        (ENDPOINT, ON),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces"}, Switch("collector:443")),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other/x"}, Switch("other:80")),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "otlp"}, ON),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": " otlp , console"}, ON),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": ""}, ON),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, Switch("localhost:4318")),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, Switch()),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, Switch()),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, Switch()),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, ON),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "1"}, ON),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ON),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
            ON,
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:pass@collector:4318/"}, ON),
    ],
)
def test_an_endpoint_turns_it_on(environ: dict[str, str], switch: Switch) -> None:
    assert switch_of(environ) == switch


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://collector:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:port"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[collector"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)
def test_what_is_asked_for_in_vain_is_named(environ: dict[str, str], variable: str) -> None:
    """A service without its spans, and no word why, costs an afternoon."""
    switch = switch_of(environ)
    assert switch.endpoint is None
    assert switch.problem is not None
    assert switch.problem.startswith(variable)
    assert "collector" not in switch.problem


def test_credentials_of_the_collector_are_hidden_from_the_log() -> None:
    """Headers as they are and decoded, one that is malformed as a whole, an endpoint's password; not what is short."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abcdef, x-tenant=7",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "forgotten-name",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:pass%20word@collector",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[",
    }
    found = set(secrets_of(environ))
    assert found == {"Bearer%20abcdef", "Bearer abcdef", "forgotten-name", "pass%20word", "pass word"}
