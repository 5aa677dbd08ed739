"""The engine of one route, put together from the settings. It knows which parts there are, not what they do."""

import random
from typing import assert_never

from consumer.config.settings import RateLimitSettings, Settings
from consumer.delivery.bucket import Bucket
from consumer.delivery.flood import Flood
from consumer.delivery.gate import Gate
from consumer.delivery.lease import Lease
from consumer.delivery.letters import Letters
from consumer.delivery.limit import Limit
from consumer.delivery.memory import Memory
from consumer.delivery.poison import Poison
from consumer.delivery.retry import Backoff
from consumer.delivery.senders import Post, Senders
from consumer.pendo.requests import Route


def memory_of(settings: Settings) -> Memory:
    """The memory that all routes share."""
    delivery = settings.delivery
    return Memory(
        ids=delivery.memory_ids,
        message_ids=delivery.memory_message_ids,
        suppress_unchanged=delivery.suppress_unchanged,
    )


def concurrency_of(settings: Settings, routes: int) -> int:
    """Requests that one of so many routes may have in flight: its share of what the pod may, whoever is slow."""
    return max(1, settings.delivery.max_concurrency // max(1, routes))


def senders_of(
    route: Route,
    settings: Settings,
    *,
    memory: Memory,
    lease: Lease,
    max_lane: int,
    post: Post,
    letters: Letters,
    routes: int = 1,
) -> Senders:
    """One route's senders, with their gate.

    Args:
        route: The way into Pendo.
        settings: All of them.
        memory: Shared by all routes.
        lease: Likewise.
        max_lane: Deliveries in one lane from which on its partitions wait.
        post: Sends a body.
        letters: Where dead letters go.
        routes: How many there are.
    """
    delivery = settings.delivery
    gate = Gate(
        limit=Limit(concurrency_of(settings, routes)),
        lease=lease,
        flood=Flood(settings.dead_letter.flood_share, settings.dead_letter.flood_min_events),
        bucket=Bucket(_quota(route, delivery.rate_limit)),
        max_probe_delay_s=delivery.max_retry_delay_s,
        random=random.random,
    )
    return Senders(
        route,
        gate=gate,
        memory=memory,
        backoff=Backoff(delivery.max_retry_delay_s, random.random),
        poison=Poison(delivery.retry_window_s, delivery.min_attempts),
        max_lane=max_lane,
        post=post,
        letters=letters,
    )


def _quota(route: Route, limits: RateLimitSettings) -> float | None:
    match route:
        case Route.SEGMENTIO:
            return limits.segmentio
        case Route.TRACK:
            return limits.track
        case Route.METADATA:
            return limits.metadata
        case Route.BULKDELETE:
            return None
        case _:
            assert_never(route)
