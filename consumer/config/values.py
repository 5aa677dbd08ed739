"""What a single value of the configuration may be: types with their checks.

Text, numbers and lists from YAML or the environment come in; plain values go out. Messages never quote the value,
because it may be a secret. Nothing here knows one key from another.
"""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, SecretStr

_SIZE: Final = re.compile(r"(\d+)\s*([KMGT]i?B|B)?", re.IGNORECASE)
_UNITS: Final = {"b": 1} | {
    f"{letter}{infix}b": base**power
    for power, letter in enumerate("kmgt", start=1)
    for infix, base in (("", 1000), ("i", 1024))
}
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]@]+)(:(?P<port>\d{1,5}))?")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MAX_PORT: Final = 65535
OWN_CLIENT_OPTIONS: Final = frozenset(
    {
        "bootstrap_servers",
        "client_id",
        "group_id",
        "enable_auto_commit",
        "auto_commit_interval_ms",
        "auto_offset_reset",
        "isolation_level",
        "max_poll_interval_ms",
        "session_timeout_ms",
        "heartbeat_interval_ms",
        "rebalance_timeout_ms",
        "partition_assignment_strategy",
        "key_deserializer",
        "value_deserializer",
        "consumer_timeout_ms",
        "group_instance_id",
        "loop",
        "security_protocol",
        "ssl_context",
        "sasl_mechanism",
        "sasl_plain_username",
        "sasl_plain_password",
        "sasl_kerberos_service_name",
        "sasl_kerberos_domain_name",
        "sasl_oauth_token_provider",
    }
)
"""Options of the client that the delivery promise rests on, or that have a key of their own."""


def _not_a_bool(value: Any) -> Any:  # noqa: ANN401  # whatever the YAML holds
    """Refuse `yes`, which YAML reads as true and pydantic as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic collects ValueErrors only
    return value


def _json_if_text(value: Any, opening: str) -> Any:  # noqa: ANN401
    """What the environment gives as JSON text."""
    if not isinstance(value, str) or not value.lstrip().startswith(opening):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"begins with {opening} but is no JSON") from None


def _split(value: Any) -> Any:  # noqa: ANN401
    value = _json_if_text(value, "[")
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _mapping(value: Any) -> Any:  # noqa: ANN401
    return _json_if_text(value, "{")


def _not_our_own(options: dict[str, Any]) -> dict[str, Any]:
    if own := sorted(OWN_CLIENT_OPTIONS.intersection(options)):
        raise ValueError(f"{', '.join(own)}: set by the service itself, or by a key of its own")
    return options


def _size(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, str):
        return _not_a_bool(value)
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("must be a size in bytes, or like 64 MiB or 64MB")
    return int(match[1]) * _UNITS[(match[2] or "B").lower()]


def _start(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str) and value not in {"earliest", "latest"}:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime | str):
        raise ValueError("must be earliest, latest or an ISO time like 2026-01-31T12:00:00Z")  # noqa: TRY004
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("needs a time zone: add Z for UTC, or an offset like +02:00")
    return value


def off(value: object) -> object:
    """The word for what YAML 1.1 reads as false: an unquoted `off`."""
    return "off" if value is False else value


def _server(value: str) -> str:
    match = _SERVER.fullmatch(value)
    if match is None or not 0 < int(match["port"] or 1) <= _MAX_PORT:
        raise ValueError("must be host:port, without a scheme")
    return value


def _peers(value: str) -> str:
    if value.count(":") > 1 and not value.startswith("["):
        raise ValueError("must be host or host:port; an IPv6 address stands in brackets")
    match = _SERVER.fullmatch(value)
    if match is None or not 0 < int(match["port"] or 1) <= _MAX_PORT:
        raise ValueError("must be host or host:port, without a scheme")
    return value


def _topic(value: str) -> str:
    if value in {".", ".."} or not _TOPIC.fullmatch(value):
        raise ValueError("must be a Kafka topic's name: at most 249 letters, digits, dots, underscores, hyphens")
    return value


def _url(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", value):
        raise ValueError("must be an http:// or https:// URL")
    return urlsplit(value)


def _base_url(value: str) -> str:
    parts = _url(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    if "?" in value or "#" in value:
        raise ValueError("must not hold a query or a fragment")
    return value.rstrip("/")


def _token_url(value: str) -> str:
    parts = _url(value)
    if parts.username is not None or parts.password is not None or "#" in value:
        raise ValueError("must not hold a user, a password or a fragment")
    return value


def _proxy(value: str) -> str:
    if _url(value).path not in {"", "/"} or "?" in value or "#" in value:
        raise ValueError("must be scheme, host and port only, like http://proxy:3128")
    return value


def _handler(value: str) -> str:
    module, _, function = value.partition(":")
    if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError("must be package.module:function")
    return value


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError("must be an HTTP header's name")
    return value


def _dotted(value: str) -> str:
    if not all(part.strip() for part in value.split(".")):
        raise ValueError("must be names joined by dots, like httpPayload or data.event")
    return value


def clean_secret(value: SecretStr) -> SecretStr:
    """The secret, if it can be one: nothing that a header, a URL or a login could not carry.

    Raises:
        ValueError: It is empty, or holds a line break or another control character.
    """
    text = value.get_secret_value()
    if not text.strip():
        raise ValueError("is empty")
    if not text.isprintable():
        raise ValueError("holds a line break or another control character")
    return value


Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, BeforeValidator(_not_a_bool), Field(gt=0, le=86_400, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_not_a_bool), Field(ge=1)]
CountOrOff = Annotated[int, BeforeValidator(_not_a_bool), Field(ge=0)]
Share = Annotated[float, BeforeValidator(_not_a_bool), Field(gt=0, le=1, allow_inf_nan=False)]
PerSecond = Annotated[float, BeforeValidator(_not_a_bool), Field(gt=0, allow_inf_nan=False)]
Port = Annotated[int, BeforeValidator(_not_a_bool), Field(ge=0, le=_MAX_PORT)]
Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=int | str), Field(ge=1)]
Server = Annotated[str, AfterValidator(_server)]
Peers = Annotated[str, AfterValidator(_peers)]
Topic = Annotated[str, AfterValidator(_topic)]
Servers = Annotated[tuple[Server, ...], BeforeValidator(_split, str | list[str]), Field(min_length=1)]
Topics = Annotated[tuple[Topic, ...], BeforeValidator(_split, str | list[str]), Field(min_length=1)]
ClientOptions = Annotated[dict[str, Any], BeforeValidator(_mapping, str | dict[str, Any]), AfterValidator(_not_our_own)]
StartFrom = Annotated[Literal["earliest", "latest"] | AwareDatetime, BeforeValidator(_start)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
TokenUrl = Annotated[str, AfterValidator(_token_url)]
Proxy = Annotated[str, AfterValidator(_proxy)]
Handler = Annotated[str, AfterValidator(_handler)]
Handlers = Annotated[tuple[Handler, ...], BeforeValidator(_split, str | list[str])]
HeaderName = Annotated[str, AfterValidator(_header)]
DottedPath = Annotated[str, AfterValidator(_dotted)]
Secret = Annotated[SecretStr, AfterValidator(clean_secret)]
