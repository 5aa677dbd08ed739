"""What aiokafka's consumer is told: options that the service rests on, and those that a deployment adds.

Settings go in, keyword arguments come out. The comments name aiokafka's behaviour that each line answers to.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from consumer.config.settings import KafkaSettings
from consumer.errors import ConfigError

ONE_DAY_MS: Final = 24 * 3600 * 1000
"""Back pressure keeps us from polling for as long as an outage lasts; liveness is our own business."""
REBALANCE_MARGIN_S: Final = 30.0
"""Beyond `rebalance_drain_s`: a revoke also commits, and the other members do the same."""
HEARTBEAT_MS: Final = 1_000
"""How late a member may learn of a rebalance: what others left stands still till then, and who joins waits for it."""
METADATA_AGE_MS: Final = 60_000
"""How soon new partitions, or a topic that was made anew, are found; the client's own five minutes are long to wait."""
REQUEST_TIMEOUT_MS: Final = 40_000
"""aiokafka's own default."""
FETCH_BYTES: Final = 512 * 1024
"""Of one answer of a broker: while the client takes it apart, it holds it up to three times."""


def consumer_options(settings: KafkaSettings, options: Mapping[str, Any]) -> dict[str, Any]:
    """All but what depends on how many partitions there are.

    Args:
        settings: The section `kafka`.
        options: How to connect.

    Raises:
        ConfigError: A deployment's own option is none that the client knows.
    """
    _check_options(settings.consumer_options)
    session_ms = int(settings.session_timeout_s * 1000)
    rebalance_ms = int((settings.rebalance_drain_s + REBALANCE_MARGIN_S) * 1000)
    return {
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": min(HEARTBEAT_MS, session_ms // 10),
        # Its default is the session's timeout, and the time in our revoke callback counts against it.
        "rebalance_timeout_ms": rebalance_ms,
        # A join is answered when all members have come, which may take as long as a rebalance.
        "request_timeout_ms": max(REQUEST_TIMEOUT_MS, rebalance_ms + REQUEST_TIMEOUT_MS // 4),
        "metadata_max_age_ms": METADATA_AGE_MS,
        "fetch_max_bytes": FETCH_BYTES,
        # One JoinGroup goes out per assignor; aiokafka's sticky one is broken.
        "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
        **settings.consumer_options,
        **options,
        "group_id": settings.group_id,
        "enable_auto_commit": False,
        # It also rules what happens out of range, where `latest` would skip everything without a word.
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "max_poll_interval_ms": ONE_DAY_MS,
    }


def _check_options(options: Mapping[str, object]) -> None:
    """Refuse what the client does not know, before it is made.

    Raises:
        ConfigError: With the nearest name that it knows.
    """
    known = [name for name in signature(AIOKafkaConsumer).parameters if name != "topics"]
    problems = []
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"kafka.consumer_options: the Kafka client has no option {name}{hint}")
    if problems:
        raise ConfigError(problems)
