"""What an error of the Kafka client means: its name, and what a person can do about it where that is known."""

from collections.abc import Mapping
from typing import Final

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaConnectionError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

_UNREACHED: Final = "no answer in time: look at the brokers, kafka.bootstrap_servers and the network"

_MENDED_BY: Final[Mapping[type[BaseException], str]] = {
    KafkaConnectionError: "check kafka.bootstrap_servers and kafka.security",
    KafkaTimeoutError: _UNREACHED,
    TimeoutError: _UNREACHED,
    TopicAuthorizationFailedError: "the user lacks a right on the topic",
    GroupAuthorizationFailedError: "the user needs READ on the group",
    InvalidGroupIdError: "the brokers take no such kafka.group_id",
    InconsistentGroupProtocolError: "a program of another kind is in this group: choose another kafka.group_id",
    InvalidSessionTimeoutError: "kafka.session_timeout_s must lie between the brokers' group.min.session.timeout.ms "
    "and group.max.session.timeout.ms, 6 s and 30 min by default",
}

UNJOINABLE: Final = (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
)
"""The group does not take us, and trying again alone does not change that."""


def told(error: BaseException) -> str:
    """An error for a line of text."""
    name = error.__class__.__name__
    mended_by = next((remedy for kind, remedy in _MENDED_BY.items() if isinstance(error, kind)), None)
    return name if mended_by is None else f"{name}; {mended_by}"
