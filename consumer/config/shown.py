"""The settings as they may be shown to anybody: secrets as set or not, nothing that could hold one."""

from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from consumer.config.keys import KEYS, default_of, value_of
from consumer.config.settings import Settings


def shown(settings: Settings) -> list[dict[str, Any]]:
    """Every key with its value, and whether that is the default."""
    return [
        {"key": key, "value": _shown(value_of(settings, key)), "default": value_of(settings, key) == default_of(key)}
        for key in KEYS
    ]


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return "(set, hidden)"
        case bool():
            return "true" if value else "false"
        case tuple() | list():
            return ", ".join(map(str, value))
        case dict():
            # Options of the Kafka client may be passwords, or hold some.
            return ", ".join(f"{name}: (hidden)" for name in sorted(value))
        case str() if "://" in value:
            return _without_user(value)
        case _:
            return str(value)


def _without_user(url: str) -> str:
    """A proxy's URL may hold a password, a query a token."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = "(hidden)@" if "@" in parts.netloc else ""
    return parts._replace(netloc=user + host, query="(hidden)" if parts.query else "", fragment="").geturl()
