"""What tests of the transports share: each of them by name, a private CA, and no proxy."""

import os
import ssl
from typing import cast

import pytest
import trustme

from tests.support.transports import TRANSPORTS, Transport


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxy is none of a test's business."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Each of them: what follows holds for both."""
    return cast("Transport", request.param)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A private CA."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side, with a certificate of the private CA for whatever stands for this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "::1", "localhost", "xn--bcher-kva.example").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Our side, which trusts that CA."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    authority.configure_trust(context)
    return context
