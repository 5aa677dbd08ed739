"""How every Kafka client of this program connects: TLS, mTLS and SASL, from settings to the client's options.

One function gives one set of options for consumer, producer and admin client. Nothing here connects.
"""

import ssl
from typing import Any

from consumer.config.settings import KafkaSecuritySettings, KafkaSettings
from consumer.errors import ConfigError
from consumer.kafka.oauth import client_credentials_token, fixed_token


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """The options that every client gets.

    Raises:
        ConfigError: A certificate or key cannot be used.
    """
    security = settings.security
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": settings.client_id or "pendo-consumer",
        "security_protocol": security.protocol,
    }
    if security.protocol in {"SSL", "SASL_SSL"}:
        options["ssl_context"] = _tls(security)
    if security.protocol.startswith("SASL"):
        options |= _sasl(security)
    return options


def _tls(security: KafkaSecuritySettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
        if security.cert_file is not None:
            # With a password, even an empty one, an encrypted key is an error: without, OpenSSL asks on the terminal.
            context.load_cert_chain(security.cert_file, security.key_file, password="")
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(f) for f in (security.ca_file, security.cert_file, security.key_file) if f is not None)
        problem = f"kafka.security: {files or 'the system CA'}: cannot be used for TLS ({error.__class__.__name__})"
        raise ConfigError([f"{problem}; PEM files are expected, the key unencrypted"]) from error
    return context


def _sasl(security: KafkaSecuritySettings) -> dict[str, Any]:
    mechanism = security.sasl_mechanism
    if mechanism != "OAUTHBEARER":
        password = security.password.get_secret_value() if security.password else None
        return {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": password,
        }
    provider = client_credentials_token if security.oauth_token_url else fixed_token
    return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": provider(security)}
