"""Whether there is tracing at all: the standard's variables of the environment, and nothing of our configuration.

An environment goes in, whether spans are exported comes out, or why they cannot be. Source: OpenTelemetry's
specification, "Environment Variable Specification" and "OTLP Exporter Configuration". An empty variable counts as none.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

MIN_SECRET: Final = 8
"""Characters: to hide what is shorter would spoil the log, and it is no secret."""
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
PROTOCOL: Final = "http/protobuf"
DEFAULT_ENDPOINT: Final = "http://localhost:4318"
"""The standard's: for who asks for the exporter by name, and names no endpoint."""


@dataclass(frozen=True, slots=True)
class Switch:
    """What the environment asks for.

    Attributes:
        endpoint: Where spans go, as host and port; None when nobody asked for any.
        problem: Why there are none although they were asked for; None when all is well.
    """

    endpoint: str | None = None
    problem: str | None = None


def switch_of(environ: Mapping[str, str]) -> Switch:
    """Read it. Tracing is on where an OTLP endpoint is named, or the exporter `otlp` by its name."""
    exporters = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    url = _first(environ, ENDPOINTS) or (DEFAULT_ENDPOINT if "otlp" in exporters else "")
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or "none" in exporters:
        return Switch()
    if exporters and "otlp" not in exporters:
        return Switch(problem="OTEL_TRACES_EXPORTER: only otlp and none are known here")
    if not url:
        return Switch()
    if (_first(environ, PROTOCOLS) or PROTOCOL) != PROTOCOL:
        return Switch(problem=f"OTEL_EXPORTER_OTLP_PROTOCOL: only {PROTOCOL} is known here (mostly port 4318)")
    endpoint = _host_and_port(url)
    if endpoint is None:
        return Switch(problem="OTEL_EXPORTER_OTLP_ENDPOINT: no http or https URL")
    return Switch(endpoint)


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """What of these variables no log line may show: the values of headers, and an endpoint's password."""
    for value in (*_header_values(environ), *_passwords(environ)):
        yield from (form for form in (value, unquote(value)) if len(form) >= MIN_SECRET)


def _header_values(environ: Mapping[str, str]) -> Iterator[str]:
    for variable in HEADERS:
        for header in environ.get(variable, "").split(","):
            # What is no `name=value` is quoted whole in a complaint about it.
            yield (header.partition("=")[2] or header).strip()


def _passwords(environ: Mapping[str, str]) -> Iterator[str]:
    for variable in ENDPOINTS:
        with suppress(ValueError):
            yield urlsplit(environ.get(variable, "")).password or ""


def _first(environ: Mapping[str, str], variables: tuple[str, ...]) -> str:
    return next((value for variable in variables if (value := environ.get(variable, "").strip())), "")


def _host_and_port(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return f"{parts.hostname}:{port or (443 if parts.scheme == 'https' else 80)}"
