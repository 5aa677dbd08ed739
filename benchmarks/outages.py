"""Outages: Pendo away for an hour of a virtual clock and a minute of the real one, a wrong key, no dead-letter topic.

How long comes in; what was lost, what was dead-lettered and how long it took to heal go out, as the simulated Pendo and
the dead-letter topic tell.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from benchmarks.events import KEYS, bodies
from benchmarks.figures import Figure
from benchmarks.rig import TOPIC, engine_of, record, router
from consumer.delivery.ticket import Ticket
from consumer.errors import UnreachableError
from consumer.kafka.dead_letter import DeadLetter
from consumer.kafka.progress import Progress
from consumer.outcomes import Outcome
from consumer.pendo.verdicts import ACCEPTED, Verdict
from consumer.sandbox.simulator import Simulator
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.delivery.virtual_loop import run_virtually
from tests.e2e.pipe import Pipe, Running, event
from tests.support.apache import ApacheKafka
from tests.support.awaited import ByTasks

HOUR_S: Final = 3_600.0
REAL_S: Final = 60.0
HOUR_EVENTS: Final = 5_000
REAL_EVENTS: Final = 2_000
_CONCURRENCY: Final = 128
_LATENCY_S: Final = 0.05
_HEALED_S: Final = 300.0
"""The longest pause between two probes is a minute by default."""
_LOOK_S: Final = 0.1
_VIRTUAL_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outage:
    """What became of one.

    Attributes:
        case: Which.
        events: How many there were.
        lost: How many came to no end.
        dead_letters: How many were dead-lettered without need.
        healed_s: From the end of the trouble to the last event's end.
    """

    case: str
    events: int
    lost: int
    dead_letters: int
    healed_s: float


class _Counted:
    """Letters of the virtual hour: there should be none."""

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Settle it; the tally counts."""
        owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason)


def virtual_hour(seconds: float, events: int) -> Outage:
    """Pendo does not answer for so long, on a clock that jumps."""
    return run_virtually(_virtual(seconds, events))


async def _virtual(seconds: float, events: int) -> Outage:
    clock = asyncio.get_running_loop().time
    over = clock() + seconds

    async def post(_: bytes) -> tuple[Verdict, int]:
        await asyncio.sleep(_LATENCY_S)
        if clock() < over:
            raise UnreachableError("timeout", "no answer in time")
        return ACCEPTED, 200

    engine = engine_of(ByTasks(post), _CONCURRENCY, router(), _Counted())
    sending = asyncio.create_task(engine.senders.run())
    records = [record(offset, 0, value) for offset, value in enumerate(bodies(events))]
    engine.admission.admit(Progress(TOPIC, 0, 0), records, records[0].timestamp)
    async with asyncio.timeout(seconds + _HEALED_S):
        while engine.tally.open_events:  # noqa: ASYNC110 - counted, not signalled
            await asyncio.sleep(_VIRTUAL_LOOK_S)
    sending.cancel()
    settled = engine.tally.settled
    letters = sum(count for (_, outcome, _), count in settled.items() if outcome is Outcome.DEAD_LETTERED)
    return Outage(f"{seconds:,.0f} s on a virtual clock", events, events - settled.total(), letters, clock() - over)


async def run_real(outage_s: float, events: int, say: Callable[[str], None]) -> list[Outage]:
    """Play all others, on Apache Kafka, with the service as a process.

    Raises:
        TimeoutError: One did not heal.
    """
    done = []
    async with ApacheKafka() as broker:
        for play in (_away, _wrong_key, _no_letters):
            async with Simulator() as pendo:
                pipe = Pipe(broker, pendo)
                await broker.create_topics([pipe.topic], 2)
                say(f"outages: {play.__name__.strip('_').replace('_', ' ')}")
                done.append(await play(pipe, outage_s, events))
    return done


async def _away(pipe: Pipe, outage_s: float, events: int) -> Outage:
    rule = Rule(answer=Answer(status=503))
    pipe.simulator.faults.add(rule)
    async with _loaded(pipe, events) as service:
        await service.until(lambda m: m.sum("requests_total") > 0)
        await asyncio.sleep(outage_s)
        pipe.simulator.faults.clear()
        return await _heal(pipe, service, f"{outage_s:,.0f} s of 503, real clock", events)


async def _wrong_key(pipe: Pipe, outage_s: float, events: int) -> Outage:
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "api_key"
        secret.write_text("wrong\n")
        async with _loaded(pipe, events, pendo__api_key="", pendo__api_key_file=str(secret)) as service:
            await service.until_reasons(["credentials"])
            await asyncio.sleep(outage_s / 4)
            secret.write_text(pipe.simulator.api_key)
            return await _heal(
                pipe, service, f"wrong key for {outage_s / 4:.0f} s, then the right one in its file", events
            )


async def _no_letters(pipe: Pipe, outage_s: float, events: int) -> Outage:
    """One poison record, and no topic to put it: the others are delivered, it waits."""
    async with _loaded(pipe, events, letters=False) as service:
        await pipe.produce([b"poison"])
        await service.until_settled(events, _HEALED_S)
        await asyncio.sleep(outage_s / 4)
        began = monotonic()
        await pipe.broker.create_topics([pipe.dead_letter_topic], 2)
        await service.until_settled(events + 1, _HEALED_S)
        healed_s = monotonic() - began
    letters = await pipe.dead_letters()
    lost = events - len(set(pipe.accepted())) + (b"poison" not in {letter.value for letter in letters})
    return Outage("no dead-letter topic, one poison record", events + 1, lost, len(letters) - 1, healed_s)


@asynccontextmanager
async def _loaded(pipe: Pipe, events: int, *, letters: bool = True, **settings: str) -> AsyncIterator[Running]:
    if letters:
        await pipe.broker.create_topics([pipe.dead_letter_topic], 2)
    await pipe.produce([event(number, user=f"u{number % KEYS}") for number in range(events)])
    async with pipe.process(**settings) as service:
        yield service


async def _heal(pipe: Pipe, service: Running, case: str, events: int) -> Outage:
    began = monotonic()
    async with asyncio.timeout(_HEALED_S):
        while len(set(pipe.accepted())) < events:  # noqa: ASYNC110 - the simulator's log is looked at
            await asyncio.sleep(_LOOK_S)
    healed_s = monotonic() - began
    await service.until(lambda m: m.sum("events_open") == 0)
    return Outage(case, events, events - len(set(pipe.accepted())), len(await pipe.dead_letters()), healed_s)


def figures(outages: list[Outage]) -> list[Figure]:
    """As lines of the results."""
    return [
        Figure(
            what="outages: needless dead letters · lost; heals by itself",
            case=outage.case,
            aim="0 · 0; heals",
            value=f"{outage.dead_letters} · {outage.lost}; healed in {outage.healed_s:.0f} s",
            met=not outage.dead_letters and not outage.lost,
            note=f"{outage.events:,} events",
        )
        for outage in outages
    ]
