"""Which values fit together, and which of them the chosen routes need.

Settings that are valid key by key come in; problems by dotted key go out.
"""

from collections.abc import Iterator
from pathlib import Path

from consumer.config.keys import FILE_SUFFIX, value_of, variable
from consumer.config.settings import CREDENTIALS, KafkaSecuritySettings, Settings
from consumer.errors import ConfigError

_FILES = ("kafka.security.ca_file", "kafka.security.cert_file", "kafka.security.key_file", "pendo.ca_file")
_NEEDED = {
    "PLAIN": ("username", "password"),
    "SCRAM-SHA-256": ("username", "password"),
    "SCRAM-SHA-512": ("username", "password"),
    "OAUTHBEARER": ("password",),
}


def misfits(settings: Settings) -> Iterator[tuple[str, str]]:
    """What does not fit together: dotted key, what is wrong."""
    for name, message in (*_tls(settings.kafka.security), *_sasl(settings.kafka.security)):
        yield f"kafka.security.{name}", message
    yield from _files(settings)
    if settings.dead_letter.topic in settings.kafka.topics:
        yield "dead_letter.topic", "is also in kafka.topics: dead letters would come back as events"
    if settings.kafka.rebalance_drain_s >= settings.kafka.session_timeout_s:
        yield "kafka.rebalance_drain_s", "must be less than kafka.session_timeout_s"


def _tls(security: KafkaSecuritySettings) -> Iterator[tuple[str, str]]:
    if security.protocol not in {"SSL", "SASL_SSL"}:
        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(security, name):
                yield name, f"has no use with the protocol {security.protocol}; did you mean SSL or SASL_SSL?"
    if security.cert_file and not security.key_file:
        yield "key_file", "is needed beside cert_file"
    if security.key_file and not security.cert_file:
        yield "cert_file", "is needed beside key_file"


def _sasl(security: KafkaSecuritySettings) -> Iterator[tuple[str, str]]:
    if not security.protocol.startswith("SASL"):
        for name in ("sasl_mechanism", "username", "password", "oauth_token_url", "oauth_scope"):
            if getattr(security, name):
                yield name, f"has no use with the protocol {security.protocol}; did you mean SASL_SSL?"
    elif security.sasl_mechanism is None:
        yield "sasl_mechanism", f"is needed by the protocol {security.protocol}"
    else:
        yield from _login(security, security.sasl_mechanism)


def _login(security: KafkaSecuritySettings, mechanism: str) -> Iterator[tuple[str, str]]:
    needed = dict.fromkeys(_NEEDED[mechanism], mechanism)
    if security.oauth_token_url:
        needed["username"] = "oauth_token_url, as client id"
    yield from ((name, f"is needed by {by}") for name, by in needed.items() if not getattr(security, name))
    unused = () if mechanism == "OAUTHBEARER" else ("oauth_token_url", "oauth_scope")
    yield from ((name, f"has no use with {mechanism}") for name in unused if getattr(security, name))
    if mechanism == "OAUTHBEARER" and not security.oauth_token_url:
        names = ("username", "oauth_scope")
        yield from ((name, "has no use without oauth_token_url") for name in names if getattr(security, name))


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    for key in _FILES:
        if path := value_of(settings, key):
            try:
                Path(str(path)).read_bytes()
            except OSError as error:
                yield key, f"the file {path} cannot be read: {error.strerror}"


def require_credentials(settings: Settings) -> None:
    """Make sure that the routes in use have what they log in with; commands that send nothing do without.

    Raises:
        ConfigError: Something is missing.
    """
    problems = []
    for route, secret in CREDENTIALS.items():
        users = [type_.value for type_, taken in settings.routes.table().items() if taken == route]
        if users and getattr(settings.pendo, secret) is None:
            key = f"pendo.{secret}"
            name = variable(key)
            problem = f"{key}: is needed by the route {route} ({', '.join(users)})"
            problems.append(f"{problem}; set {name}, or {name}{FILE_SUFFIX} to a file's name")
    if problems:
        raise ConfigError(problems)
