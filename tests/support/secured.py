"""A listener of every kind for Apache Kafka in tests: TLS with a private CA, mTLS, and each SASL mechanism."""

import asyncio
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from consumer.sandbox.children import start_child
from tests.support.apache import ApacheKafka, _java

USER, PASSWORD = "alice", "alices-password"

PROTOCOLS = {"TLS": "SSL", "MTLS": "SSL", "SASL": "SASL_PLAINTEXT", "SASLTLS": "SASL_SSL"}
"""The listeners beside the plain one."""


def secured(kafka: ApacheKafka, authority: trustme.CA, ports: Mapping[str, int]) -> dict[str, str]:
    """Settings of a broker with a listener of every kind."""
    listeners = {"PLAINTEXT": kafka.bootstrap, **{name: f"127.0.0.1:{port}" for name, port in ports.items()}}
    told = ",".join(f"{name}://{address}" for name, address in listeners.items())
    kinds = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **PROTOCOLS}
    server = authority.issue_cert("127.0.0.1")
    modules = "org.apache.kafka.common.security"
    jaas = {
        "plain": f'{modules}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "scram-sha-256": f"{modules}.scram.ScramLoginModule required;",
        "scram-sha-512": f"{modules}.scram.ScramLoginModule required;",
        "oauthbearer": f'{modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
    }
    return {
        "listeners": f"{told},CONTROLLER://127.0.0.1:{kafka._controller_port}",
        "advertised.listeners": told,
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in kinds.items()),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": _one_line(server.cert_chain_pems[0].bytes()),
        "ssl.keystore.key": _one_line(pkcs8(server.private_key_pem.bytes())),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": _one_line(authority.cert_pem.bytes()),
        "listener.name.mtls.ssl.client.auth": "required",
        **{f"listener.name.{name}.sasl.enabled.mechanisms": ",".join(jaas).upper() for name in ("sasl", "sasltls")},
        **{
            f"listener.name.{name}.{mechanism}.sasl.jaas.config": config
            for name in ("sasl", "sasltls")
            for mechanism, config in jaas.items()
        },
    }


def _one_line(pem: bytes) -> str:
    return pem.decode().replace("\n", "\\n")


def pkcs8(key: bytes, password: bytes | None = None) -> bytes:
    """A private key in the one form that Kafka reads."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


async def add_scram_user(bootstrap: str, mechanism: str) -> None:
    """Give the broker a user; it takes one mechanism at a time."""
    credential = f"{mechanism}=[password={PASSWORD}]"
    what = ("--alter", "--add-config", credential, "--entity-type", "users", "--entity-name", USER)
    command = _java("kafka.admin.ConfigCommand", "-Xmx256m")
    child = await start_child(*command, "--bootstrap-server", bootstrap, *what, output=DEVNULL)
    assert await asyncio.wait_for(child.wait(), 60) == 0
