"""A replay's dry run: what would become of each letter, newer events considered. Nothing is sent, nothing committed."""

from contextlib import AsyncExitStack
from typing import Any

from consumer.config.settings import Settings
from consumer.delivery.memory import Memory
from consumer.kafka.records import parse_position
from consumer.kafka.security import client_options
from consumer.outcomes import Outcome, Reason
from consumer.pendo.requests import Request
from consumer.replays.newer import Newer, memory_for
from consumer.replays.plan import Plan, Planned
from consumer.replays.readmission import Origin
from consumer.writing import stamp_at


async def dry_run(settings: Settings, plan: Plan) -> list[dict[str, Any]]:
    """A row a letter: those that would be sent with their ends, then the others with why not.

    Args:
        settings: The service's.
        plan: With its requests.

    Raises:
        BrokerError: The source topics cannot be read.
    """
    memory = memory_for(plan)
    async with AsyncExitStack() as stack:
        newer = Newer(plan.router, memory, plan, send=lambda _: None)
        await newer.open(stack, client_options(settings.kafka), settings.kafka.topics)
    return [_row(planned, memory) for planned in plan.all()] + plan.left_to_json()


def _row(planned: Planned, memory: Memory) -> dict[str, Any]:
    outcome, reason, without = planned.outcome, planned.reason, list[str]()
    if planned.request is not None:
        stamp = stamp_at(planned.request, _origin(planned))
        judged = memory.judge(planned.request, stamp)
        if isinstance(judged, Request):
            memory.note(judged, stamp)
            without = _missing(planned.request, judged)
        else:
            outcome, reason = Outcome.SUPPRESSED.value, Reason(judged).value
    return planned.to_json(outcome, reason) | {"without": without}


def _missing(before: Request, after: Request) -> list[str]:
    """Names of the fields that newer events have written."""
    if before.state is None or after is before:
        return []
    kept = () if after.state is None else after.state.fields
    return [field for field in before.state.fields if field not in kept]


def _origin(planned: Planned) -> Origin:
    partition, offset = parse_position(planned.origin)
    return Origin(partition.topic, partition.partition, offset, planned.came_ms, None, None, ())
