"""How clients connect: settings become options, and on Apache Kafka every way in is tried for real."""

import asyncio
import fcntl
import json
import os
import ssl
import subprocess
import sys
import termios
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.abc import AbstractTokenProvider
from aiokafka.client import AIOKafkaClient

from consumer.config.settings import KafkaSettings
from consumer.errors import BrokerError, ConfigError
from consumer.kafka.cluster import Cluster
from consumer.kafka.oauth import ClientCredentialsToken, FixedToken
from consumer.kafka.security import client_options
from consumer.sandbox.children import free_port
from tests.support.apache import ApacheKafka
from tests.support.secured import PASSWORD, PROTOCOLS, USER, add_scram_user, pkcs8, secured

TOPIC = "events"


def options_of(bootstrap: str = "localhost:9092", **security: Any) -> dict[str, Any]:
    """The client's options for these settings."""
    return client_options(KafkaSettings.model_validate({"bootstrap_servers": [bootstrap], "security": security}))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private CA."""
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """The CA, and a client's certificate and key, as files."""
    client = authority.issue_cert("client.example")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    return {f"{name}_file": str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key")}


def test_plaintext_needs_nothing_more() -> None:
    """No TLS, no login."""
    assert options_of() == {
        "bootstrap_servers": ["localhost:9092"],
        "client_id": "pendo-consumer",
        "security_protocol": "PLAINTEXT",
    }


def test_tls_checks_the_brokers_certificate_and_name(files: dict[str, str]) -> None:
    """Against the given CA alone, or the system's."""
    own = options_of(protocol="SSL", ca_file=files["ca_file"])["ssl_context"]
    system = options_of(protocol="SSL")["ssl_context"]
    for context in (own, system):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(own.get_ca_certs()) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_login_by_password_is_handed_on(protocol: str, mechanism: str) -> None:
    """Under the client's names; TLS beside it only when asked for."""
    options = options_of(protocol=protocol, sasl_mechanism=mechanism, username=USER, password=PASSWORD)
    assert options["security_protocol"] == protocol
    assert options["sasl_mechanism"] == mechanism
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == (USER, PASSWORD)
    assert ("ssl_context" in options) is (protocol == "SASL_SSL")


async def test_a_login_by_token_takes_a_fixed_one_or_asks_a_server() -> None:
    """The secret is no user's password then."""
    login = {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "password": "secret"}
    fixed = options_of(**login)
    asked = options_of(**login, username="id", oauth_token_url="https://login.example/token")
    assert isinstance(fixed["sasl_oauth_token_provider"], FixedToken)
    assert isinstance(asked["sasl_oauth_token_provider"], ClientCredentialsToken)
    for options in (fixed, asked):
        assert isinstance(options["sasl_oauth_token_provider"], AbstractTokenProvider)
        assert "sasl_plain_password" not in options
    assert await fixed["sasl_oauth_token_provider"].token() == "secret"


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
@pytest.mark.parametrize("content", ["", "no PEM", None])
def test_a_file_that_cannot_be_used_is_a_configuration_error(
    files: dict[str, str], name: str, content: str | None
) -> None:
    """Empty, something else, or gone: at the start, by its name."""
    path = Path(files[f"{name}_file"])
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(ConfigError, match=rf"kafka\.security: .*{name}\.pem"):
        options_of(protocol="SSL", **files)


def test_a_key_of_another_certificate_is_a_configuration_error(authority: trustme.CA, files: dict[str, str]) -> None:
    """The broker would only say that the handshake failed."""
    authority.issue_cert("other.example").private_key_pem.write_to_path(files["key_file"])
    with pytest.raises(ConfigError, match=r"key\.pem"):
        options_of(protocol="SSL", **files)


def test_an_encrypted_key_is_a_configuration_error_and_nobody_is_asked_for_its_password(
    files: dict[str, str],
) -> None:
    """OpenSSL would ask on the terminal, and the service would stand still."""
    path = Path(files["key_file"])
    path.write_bytes(pkcs8(path.read_bytes(), password=b"secret"))
    with pytest.raises(ConfigError, match="the key unencrypted"):
        options_of(protocol="SSL", **files)


ON_A_TERMINAL = """
import sys
from consumer.config.settings import KafkaSettings
from consumer.errors import ConfigError
from consumer.kafka.security import client_options
names = ("ca_file", "cert_file", "key_file")
security = {"protocol": "SSL", **dict(zip(names, sys.argv[1:], strict=True))}
try:
    client_options(KafkaSettings.model_validate({"security": security}))
except ConfigError:
    sys.exit(78)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process gets its terminal here as Linux hands it over")
def test_an_encrypted_key_asks_nobody_on_a_terminal_either(files: dict[str, str]) -> None:
    """There OpenSSL would wait for an answer."""
    path = Path(files["key_file"])
    path.write_bytes(pkcs8(path.read_bytes(), password=b"secret"))
    control, terminal = os.openpty()
    try:
        ended = subprocess.run(
            [sys.executable, "-c", ON_A_TERMINAL, *files.values()],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            timeout=10,
            check=False,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),  # no thread of ours runs
        )
    finally:
        os.close(control)
        os.close(terminal)
    assert ended.returncode == 78


def unsecured_token(user: str, lifetime_s: int = 600) -> str:
    """A JWS without a signature, which Kafka's own validator for tests takes."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + lifetime_s})
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


async def round_trip(options: dict[str, Any], value: bytes) -> bool:
    """Ask for the topics, write a record, read it back."""
    cluster = Cluster(options)
    try:
        if TOPIC not in await cluster.topics():
            return False
    finally:
        await cluster.close()
    async with AIOKafkaProducer(**options, acks="all") as producer:
        await producer.send_and_wait(TOPIC, value)
    async with AIOKafkaConsumer(TOPIC, **options, auto_offset_reset="earliest") as consumer:
        async with asyncio.timeout(10):
            while (await consumer.getone()).value != value:
                pass
    return True


async def assert_a_missing_token_is_a_failed_connect(options: dict[str, Any]) -> None:
    """An error that the client does not take for that would end its background task, and with it the reading."""
    client = AIOKafkaClient(**options)
    await client.bootstrap()
    try:
        [node] = [broker.nodeId for broker in client.cluster.brokers()]
        nowhere = f"http://127.0.0.1:{free_port()}/"
        client._sasl_oauth_token_provider = ClientCredentialsToken(nowhere, USER, PASSWORD, None)
        assert not await client.ready(node)
    finally:
        await client.close()


@pytest.mark.apache
@pytest.mark.timeout(180)
async def test_every_way_in_works_and_is_shut_without_its_credential(
    authority: trustme.CA, files: dict[str, str]
) -> None:
    """TLS with a private CA, mTLS, and each SASL mechanism, on one broker."""
    settings = {"num.partitions": "1"}
    kafka = ApacheKafka(settings=settings)
    ports = {name: free_port() for name in PROTOCOLS}
    settings.update(secured(kafka, authority, ports))
    ca = {"ca_file": files["ca_file"]}
    login = {"username": USER, "password": PASSWORD}
    token = {"sasl_mechanism": "OAUTHBEARER", "password": unsecured_token(USER)}
    mechanisms = [{"sasl_mechanism": name, **login} for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")]
    good: list[tuple[str, dict[str, str]]] = [
        ("TLS", ca),
        ("MTLS", files),
        *(("SASL", mechanism) for mechanism in [*mechanisms, token]),
        *(("SASLTLS", mechanism | ca) for mechanism in [mechanisms[0], mechanisms[2], token]),
    ]
    bad: list[tuple[str, dict[str, str]]] = [
        ("TLS", {}),
        ("MTLS", ca),
        *(("SASL", mechanism | {"password": "wrong"}) for mechanism in mechanisms),
        ("SASL", token | {"password": unsecured_token(USER, lifetime_s=-60)}),
        ("SASLTLS", mechanisms[0]),
    ]

    def options(listener: str, security: dict[str, str]) -> dict[str, Any]:
        return options_of(f"127.0.0.1:{ports[listener]}", protocol=PROTOCOLS[listener], **security)

    async with kafka:
        await kafka.create_topics([TOPIC])
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            await add_scram_user(kafka.bootstrap, mechanism)
        for number, (listener, security) in enumerate(good):
            assert await round_trip(options(listener, security), str(number).encode()), (listener, security)
        await assert_a_missing_token_is_a_failed_connect(options("SASL", token))
        for listener, security in bad:
            with pytest.raises(BrokerError):
                await Cluster(options(listener, security)).topics()
