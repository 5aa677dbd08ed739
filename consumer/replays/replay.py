"""A replay: the pipeline run over the dead-letter topic, by a plan, in a group of its own.

The group is what keeps the progress, and what gives each letter to one process only. It ends by itself when all that
is planned is settled and newer state stands at Pendo; asked to stop, it lets go of what is not on the wire.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Final

from consumer.config.settings import RateLimitSettings, Settings
from consumer.delivery.lane import Delivery
from consumer.delivery.lease import Hold
from consumer.errors import BrokerError
from consumer.kafka.committed import commits_of
from consumer.kafka.filed import letters_in
from consumer.kafka.looking import ends_of
from consumer.kafka.security import client_options
from consumer.letters import Wanted, event_of
from consumer.log import get_logger
from consumer.mapping.assembly import router_of
from consumer.outcomes import Outcome, Reason
from consumer.pipeline import Pipeline
from consumer.replays.newer import Newer, memory_for
from consumer.replays.plan import Plan, Planned
from consumer.replays.readmission import Readmission, Told
from consumer.worker.admission import Admission
from consumer.worker.polling import Admitting
from consumer.worker.pressure import Pressure

log = get_logger(__name__)

CHECK_S: Final = 0.02
"""How often it is looked whether all is settled."""
FOLLOW_S: Final = 0.1
"""Between two looks at what newer events have written; each costs a question for the topics' ends."""
MEND_S: Final = 10.0
"""At a stop: for newer events to be sent once more that a letter may have overtaken."""
EVERY_EVENT: Final = 1 << 40
"""Letters that are not sent again stay open, and must not count as if they filled the buffer."""


async def plan_of(settings: Settings, wanted: Wanted, *, force: bool, with_requests: bool) -> Plan:
    """Look at all letters, and plan which are sent again.

    Raises:
        BrokerError: Kafka does not answer.
        ConfigError: The mapping cannot be used.
    """
    options, topic = client_options(settings.kafka), settings.dead_letter.topic
    envelope_path = settings.segment.envelope_keys
    commits = await commits_of(options, settings.kafka.replay_group, [topic])
    plan = Plan(router_of(settings), envelope_path, commits, force=force, with_requests=with_requests)
    async for filed in letters_in(options, topic):
        plan.see(filed, wanted=wanted.holds(filed, event_of(filed, envelope_path)))
    if origins := plan.origins():
        known = await commits_of(options, settings.kafka.replay_group, {origin.topic for origin in origins})
        plan.leave_expired(await ends_of(options, origins & known.keys()))
    return plan


class Replay:
    """Sends the letters of a plan again.

    Attributes:
        ends: What became of them, by outcome and reason.
        stopped_by: Why it ended before all were settled; empty when it did not.
        interrupted: Whether somebody asked for that.
    """

    def __init__(self, settings: Settings, plan: Plan, *, rate: float | None, told: Told) -> None:
        """Nothing is connected yet. Call it in the running loop.

        Args:
            settings: The service's.
            plan: Which letters.
            rate: Requests a second at the most; None for what the settings say.
            told: Told what became of each.

        Raises:
            ConfigError: A file that the settings name cannot be used.
        """
        self.ends: Counter[tuple[Outcome, Reason]] = Counter()
        self.stopped_by = ""
        self.interrupted = False
        self._plan = plan
        self._told = told
        self._stop = asyncio.Event()
        memory = memory_for(plan)
        self._source_topics = settings.kafka.topics
        self._pipeline = Pipeline(
            _for_letters(settings, rate), plan.router, memory, pressure=Pressure(EVERY_EVENT), admit=self._admitting
        )
        self._newer = Newer(plan.router, memory, plan, self._send)

    def _admitting(self, admission: Admission) -> Admitting:
        self._letters = Readmission(admission, self._plan, begun=self._begun, told=self._ended)
        return self._letters

    def _send(self, delivery: Delivery) -> None:
        self._pipeline.routes.senders[delivery.request.route].add(delivery)

    def _begun(self, planned: Planned) -> None:
        self._newer.begun(planned)

    def _ended(self, planned: Planned, outcome: Outcome, reason: Reason) -> None:
        self._newer.ended(planned, outcome)
        self.ends[outcome, reason] += 1
        self._told(planned, outcome, reason)

    @property
    def outstanding(self) -> int:
        """Letters that are planned and not settled."""
        return sum(map(len, self._letters.outstanding.values()))

    @property
    def waits_for(self) -> str:
        """What keeps letters from going at present, in a word; empty when nothing does."""
        gates = (senders.gate for senders in self._pipeline.routes.senders.values())
        states = (gate.stall.value if gate.stall is not None else gate.state.name.lower() for gate in gates)
        return ", ".join(sorted({state for state in states if state != "open"}))

    def stop(self) -> None:
        """Ask for an orderly end; harmless when repeated."""
        if not self.stopped_by:
            self.stopped_by, self.interrupted = "it was interrupted", True
        self._stop.set()

    async def run(self) -> int:
        """Run until all is settled, or `stop` is called.

        Returns:
            0; or 1 if something that was settled may not have been committed, and may be sent once more.

        Raises:
            BrokerError: The source topic cannot be read.
            ExceptionGroup: A part died.
        """
        async with AsyncExitStack() as stack:
            await self._newer.open(stack, self._pipeline.options, self._source_topics)
            return await self._pipeline.run(self._until_done, follow=self._follow())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                await self._newer.catch_up()
            except BrokerError as error:
                log.warning("newer events cannot be read at present", problem=str(error))

    async def _until_done(self) -> None:
        while not self._stop.is_set():
            if self._is_done() and self._newer.settled:
                return
            if any(outcome is Outcome.DEAD_LETTERED for outcome, _ in self.ends) and self._pipeline.routes.flooded:
                self.stopped_by = "nearly all were refused again"
                break
            if self._pipeline.polling.unjoinable:
                self.stopped_by = self._pipeline.polling.problem or ""
                break
            await asyncio.sleep(CHECK_S)
        await self._let_go()

    def _is_done(self) -> bool:
        partitions, routes = self._pipeline.partitions, self._pipeline.routes
        if not partitions.rebalances or partitions.unrestored or routes.is_held(Hold.REBALANCE):
            return False
        if self._pipeline.tally.open_events:
            return False
        self._newer.none_open()
        outstanding = self._letters.outstanding
        # What lies behind where reading stands and is not open has expired since the plan was made.
        return all(
            not left or progress.last_read >= max(left)
            for partition, progress in partitions.owned.items()
            if (left := outstanding.get(partition)) is not None
        )

    async def _let_go(self) -> None:
        """Settle what is on the wire, let go of the rest, and see to newer state that was overtaken meanwhile."""
        pipeline, deadline = self._pipeline, asyncio.get_running_loop().time() + MEND_S
        clock = asyncio.get_running_loop().time
        pipeline.polling.stop()
        pipeline.routes.hold(Hold.OPERATOR)
        while pipeline.routes.in_flight() and clock() < deadline:  # noqa: ASYNC110  # rare; see `Partitions`
            await asyncio.sleep(CHECK_S)
        await pipeline.letterbox.flush(deadline - clock())
        if not await pipeline.commits.commit(pipeline.partitions.committable()):
            # What is not committed is for the pipeline's own end to see to.
            return
        pipeline.partitions.release_all()
        self._newer.none_open()
        pipeline.routes.free(Hold.OPERATOR)
        while not self._newer.settled and clock() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(CHECK_S)


def _for_letters(settings: Settings, rate: float | None) -> Settings:
    """The service's settings, made to read the dead-letter topic."""
    kafka = settings.kafka.model_copy(
        update={
            "topics": (settings.dead_letter.topic,),
            "group_id": settings.kafka.replay_group,
            "start_from": "earliest",
        }
    )
    limit = settings.delivery.rate_limit
    if rate is not None:
        limit = RateLimitSettings(segmentio=rate, track=rate, metadata=rate)
    delivery = settings.delivery.model_copy(update={"rate_limit": limit, "suppress_unchanged": False})
    return settings.model_copy(update={"kafka": kafka, "delivery": delivery})
