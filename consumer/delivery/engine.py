"""The engine of one route, put together from the settings. It knows which parts there are, not what they do."""

import random
from dataclasses import dataclass
from typing import Final, assert_never

from consumer.config.settings import RateLimitSettings, Settings
from consumer.delivery.batch import Batch
from consumer.delivery.bucket import Bucket
from consumer.delivery.call_consequences import CallConsequences
from consumer.delivery.call_lanes import CallLanes
from consumer.delivery.callers import MAX_CALLS, Call, Callers
from consumer.delivery.flood import Flood
from consumer.delivery.gate import Gate
from consumer.delivery.lease import Lease
from consumer.delivery.letters import Letters
from consumer.delivery.limit import Limit
from consumer.delivery.memory import Memory
from consumer.delivery.poison import Poison
from consumer.delivery.retry import Backoff
from consumer.delivery.senders import Destination, Senders
from consumer.pendo.calls import Form, form_of
from consumer.pendo.requests import Route

DELETIONS_PER_S: Final = 1.0
"""For the whole group: Pendo takes one call a second."""


def memory_of(settings: Settings) -> Memory:
    """The memory that all routes share."""
    delivery = settings.delivery
    return Memory(
        ids=delivery.memory_ids,
        message_ids=delivery.memory_message_ids,
        suppress_unchanged=delivery.suppress_unchanged,
    )


def concurrency_of(route: Route, settings: Settings, routes: int) -> int:
    """Requests that one of so many routes may have in flight: its share of what the pod may, whoever is slow."""
    share = max(1, settings.delivery.max_concurrency // max(1, routes))
    return share if form_of(route) is None else min(share, MAX_CALLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all routes have in common.

    Attributes:
        settings: All of them.
        memory: What Pendo is known to have.
        lease: Whether anything may be sent.
        max_lane: Deliveries in one lane from which on its partitions wait.
        letters: Where dead letters go.
        routes: How many routes there are.
    """

    settings: Settings
    memory: Memory
    lease: Lease
    max_lane: int
    letters: Letters
    routes: int = 1


def senders_of(route: Route, shared: Shared, destination: Destination) -> Senders:
    """The senders of a route of one event a request, with their gate."""
    return Senders(
        route,
        gate=_gate(route, shared, concurrency_of(route, shared.settings, shared.routes)),
        memory=shared.memory,
        backoff=_backoff(shared),
        poison=_poison(shared),
        max_lane=shared.max_lane,
        destination=destination,
        letters=shared.letters,
    )


def callers_of(route: Route, form: Form, shared: Shared, call: Call) -> Callers:
    """The callers of a route whose calls carry many ids, with their gate."""
    gate = _gate(route, shared, concurrency_of(route, shared.settings, shared.routes))
    lanes = CallLanes(shared.max_lane)
    batch = Batch(shared.settings.delivery.max_batch)
    consequences = CallConsequences(
        route,
        gate=gate,
        lanes=lanes,
        memory=shared.memory,
        backoff=_backoff(shared),
        poison=_poison(shared),
        letters=shared.letters,
        batch=batch,
    )
    return Callers(
        route,
        gate=gate,
        lanes=lanes,
        memory=shared.memory,
        consequences=consequences,
        batch=batch,
        form=form,
        call=call,
    )


def _gate(route: Route, shared: Shared, concurrency: int) -> Gate:
    delivery, letters = shared.settings.delivery, shared.settings.dead_letter
    return Gate(
        limit=Limit(concurrency),
        lease=shared.lease,
        flood=Flood(letters.flood_share, letters.flood_min_events),
        bucket=Bucket(_quota(route, delivery.rate_limit)),
        max_probe_delay_s=delivery.max_retry_delay_s,
        random=random.random,
    )


def _backoff(shared: Shared) -> Backoff:
    return Backoff(shared.settings.delivery.max_retry_delay_s, random.random)


def _poison(shared: Shared) -> Poison:
    delivery = shared.settings.delivery
    return Poison(delivery.retry_window_s, delivery.min_attempts)


def _quota(route: Route, limits: RateLimitSettings) -> float | None:
    match route:
        case Route.SEGMENTIO:
            return limits.segmentio
        case Route.TRACK:
            return limits.track
        case Route.METADATA:
            return limits.metadata
        case Route.BULKDELETE:
            return DELETIONS_PER_S
        case _:
            assert_never(route)
