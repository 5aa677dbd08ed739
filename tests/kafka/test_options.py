"""What the client is told."""

import pytest

from consumer.config.settings import KafkaSettings
from consumer.kafka.options import consumer_options


@pytest.mark.parametrize(("session_s", "heartbeat_ms"), [(6.0, 600), (10.0, 1_000), (30.0, 1_000), (1800.0, 1_000)])
def test_a_member_learns_of_a_rebalance_within_a_second(session_s: float, heartbeat_ms: int) -> None:
    """However long the session is: what a pod left that went away stands still until the others know."""
    settings = KafkaSettings(topics=("events",), session_timeout_s=session_s)
    assert consumer_options(settings, {})["heartbeat_interval_ms"] == heartbeat_ms
