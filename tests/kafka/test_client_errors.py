"""Errors of the Kafka client in words."""

import pytest
from aiokafka.errors import (
    InvalidSessionTimeoutError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailed,
)

from consumer.kafka.trouble import UNJOINABLE, told

UNREACHED = "no answer in time: look at the brokers, kafka.bootstrap_servers and the network"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KafkaConnectionError(), "KafkaConnectionError; check kafka.bootstrap_servers and kafka.security"),
        (TimeoutError(), f"TimeoutError; {UNREACHED}"),
        (KafkaTimeoutError(), f"KafkaTimeoutError; {UNREACHED}"),
        (SaslAuthenticationFailed(), "SaslAuthenticationFailed"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_an_error_is_told_by_its_name_and_with_what_mends_it(error: BaseException, text: str) -> None:
    """Its own text is left out: it may hold what the brokers sent."""
    assert told(error) == text


@pytest.mark.parametrize("kind", UNJOINABLE)
def test_whoever_cannot_join_is_told_what_to_change(kind: type[KafkaError]) -> None:
    """Trying again alone would never help."""
    assert told(kind()).startswith(f"{kind.__name__}; ")


def test_the_session_timeout_is_named_by_its_key_and_by_those_of_the_brokers() -> None:
    """Either can be changed."""
    text = told(InvalidSessionTimeoutError())
    assert all(name in text for name in ("kafka.session_timeout_s", "group.min.session.timeout.ms"))
