"""Letters as they lie in their topic, and a plan of them."""

import json
from typing import Any

from consumer.config.settings import RoutesSettings
from consumer.kafka.committed import Committed
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.filed import read_letter
from consumer.kafka.records import Partition
from consumer.mapping.router import Router
from consumer.outcomes import EventType, Reason
from consumer.pendo.endpoints import route_table
from consumer.replays.plan import Plan
from tests.delivery.conftest import FakeRecord

DEAD = Partition("dead", 0)
SOURCE = Partition("events", 0)


EPOCH_MS = 1_700_000_000_000
"""When the tests' events happen: times of long ago are taken for none."""


def router() -> Router:
    """The default routes."""
    return Router(route_table(RoutesSettings()), "skip")


def identify(user: str = "ann", *, at_ms: int = 1_000, **traits: Any) -> dict[str, Any]:
    """An identify event that happened so many milliseconds after `EPOCH_MS`."""
    return {
        "type": "identify",
        "userId": user,
        "messageId": f"{user}-{at_ms}",
        "timestamp": EPOCH_MS + at_ms,
        "traits": traits,
    }


def letter(
    offset: int,
    event: Any,
    *,
    origin: int | None = None,
    came_ms: int = 1_000,  # after `EPOCH_MS`
    replays: int = 0,
    index: int | None = None,
    value: bytes | None = None,
) -> FakeRecord:
    """A letter at an offset of its topic; its event's record lies at `origin`."""
    headers = [("source", b"web")]
    if replays:
        headers.append(("pendo.dlq.replays", str(replays).encode()))
    record = FakeRecord(
        topic="events",
        partition=0,
        offset=offset if origin is None else origin,
        timestamp=EPOCH_MS + came_ms,
        key=b"key",
        value=json.dumps(event).encode() if value is None else value,
        headers=headers,
    )
    parked = DeadLetter(
        record=record,
        type=EventType.IDENTIFY,
        reason=Reason.REFUSED,
        stage=Stage.DELIVER,
        error="RefusedError",
        message="Pendo answered 400",
        index=index,
    )
    return FakeRecord("dead", 0, offset, 9_000, b"key", record.value, parked.headers())


def plan_of(
    *letters: FakeRecord,
    finished: Committed | None = None,
    force: bool = False,
    wanted: bool = True,
    with_requests: bool = False,
) -> Plan:
    """A plan of these letters."""
    commits = {DEAD: finished or Committed()}
    plan = Plan(router(), (), commits, force=force, with_requests=with_requests)
    for each in letters:
        plan.see(read_letter(each), wanted=wanted)
    return plan
