"""The demo: real Segment events through the real service into the simulated Pendo, and a ledger of where each ended.

A number of events comes in; lines for people and whether all are accounted for go out. With faults Pendo fails a seeded
share of the requests, is down for a while, and refuses some events for good. It ends by itself.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import aiohttp

from consumer.outcomes import Outcome, Reason
from consumer.sandbox.ledger import Findings, problems_of, table_of
from consumer.sandbox.readings import Metrics, Readings, read_letters
from consumer.sandbox.stage import DEAD_LETTER_TOPIC, TOPIC, Stage
from consumer.sandbox.traffic import Produced, generate, produce

_SEED: Final = 1

# Set-up and installation have the rest of the minute and a half that a demo may take.
_DEADLINE_S: Final = 80.0
# From here on the ledger says what is missing; the rest of the deadline is for the service's stop.
_SETTLE_S: Final = 45.0
_POLL_S: Final = 0.25

# So many deliveries does Pendo refuse for good.
_REFUSED: Final = 5
# The outage begins when this share is settled, and lasts so long.
_OUTAGE_AT: Final = 0.3
_OUTAGE_S: Final = 3.0

_FAULTS: Final[Sequence[dict[str, object]]] = (
    {"rate": 0.03, "seed": 1, "answer": {"status": 500}},
    {"rate": 0.01, "seed": 2, "answer": {"reset": True}},
    {"rate": 0.002, "seed": 3, "answer": {"status": 429, "retry_after": 1}},
    {"rate": 0.02, "seed": 4, "answer": {"delay_s": 0.3}},
)

# A retry's longest wait is a minute by default: too long to watch.
_SETTINGS: Final = {"DELIVERY__MAX_RETRY_DELAY_S": "2"}


async def run_demo(events: int, *, faults: bool) -> bool:
    """Run the demo and print its ledger; return whether every event is accounted for.

    Raises:
        StageError: A part of it does not start.
        TimeoutError: It did not end in time.
    """
    produced = list(generate(events, _SEED))
    async with asyncio.timeout(_DEADLINE_S), Stage(_SETTINGS) as stage, aiohttp.ClientSession() as session:
        readings = Readings(session, stage.service_url, stage.pendo_url)
        print(f"Broker {stage.bootstrap}, Pendo {stage.pendo_url}, service {stage.service_url}", flush=True)
        if faults:
            produced = await _set_faults(readings, produced)
        findings = await _Run(stage, readings, produced, faults=faults).findings()
    return _print_ledger(findings)


def _print_ledger(findings: Findings) -> bool:
    problems = problems_of(findings)
    print("\n".join(["", *table_of(findings), ""]))
    if problems:
        print("\n".join(["NOT all events are accounted for:", *(f"  {problem}" for problem in problems)]))
    else:
        print(f"All {len(findings.produced):,} events are accounted for, one by one.")
    return not problems


async def _set_faults(readings: Readings, produced: list[Produced]) -> list[Produced]:
    """Tell Pendo to misbehave; return the records with what should become of them now."""
    delivered = [record for record in produced if record.outcome is Outcome.DELIVERED]
    step = max(1, len(delivered) // _REFUSED)
    refused = {record.identity for record in delivered[::step][:_REFUSED]}
    rules = [{"message_id": identity, "answer": {"status": 400}} for identity in sorted(refused)]
    await readings.control("POST", "faults", [*rules, *_FAULTS])
    return [_refused(record) if record.identity in refused else record for record in produced]


def _refused(record: Produced) -> Produced:
    return replace(record, outcome=Outcome.DEAD_LETTERED, reason=Reason.REFUSED)


class _Run:
    """One run over a stage that stands."""

    def __init__(self, stage: Stage, readings: Readings, produced: Sequence[Produced], *, faults: bool) -> None:
        self._stage = stage
        self._readings = readings
        self._produced = produced
        self._faults = faults
        self._began_s = time.monotonic()
        self._progress = Progress(len(produced))
        self._outage_due = asyncio.Event()

    async def findings(self) -> Findings:
        """Produce, wait until all is settled, stop the service, and read what is left behind."""
        async with asyncio.TaskGroup() as tasks:
            if self._faults:
                tasks.create_task(self._outage(), name="outage")
            tasks.create_task(produce(self._stage.bootstrap, TOPIC, self._produced), name="produce")
            metrics = await self._wait_settled()
            seconds = time.monotonic() - self._began_s
        exit_status = await self._stage.stop_service()
        counts = await self._readings.control("GET", "counts")
        return Findings(
            produced=self._produced,
            accepted=await self._readings.control("GET", "accepted"),
            letters=await read_letters(self._stage.bootstrap, DEAD_LETTER_TOPIC),
            settled=metrics.settled,
            statuses=counts["by_status"],
            attempts=await self._readings.attempts(),
            visitors=counts["visitors"],
            accounts=counts["accounts"],
            track_events=counts["track_events"],
            exit_status=exit_status,
            seconds=seconds,
        )

    async def _wait_settled(self) -> Metrics:
        """Return the service's count when all is settled, or when the time for it is over."""
        while True:
            metrics = await self._metrics()
            self._progress.show(metrics)
            settled = sum(metrics.settled.values())
            if settled >= _OUTAGE_AT * len(self._produced):
                self._outage_due.set()
            if self._is_settled(metrics) or time.monotonic() - self._began_s > _SETTLE_S:
                self._outage_due.set()
                self._progress.end(metrics)
                return metrics
            await asyncio.sleep(_POLL_S)

    async def _metrics(self) -> Metrics:
        try:
            return await self._readings.metrics()
        except aiohttp.ClientError:
            await asyncio.sleep(_POLL_S)  # until it is known how the service ended
            self._stage.check()
            raise

    def _is_settled(self, metrics: Metrics) -> bool:
        settled = sum(metrics.settled.values())
        return settled >= len(self._produced) and metrics.open == 0 and metrics.unaccounted == 0

    async def _outage(self) -> None:
        """Take Pendo down for a while when part of the events is settled."""
        await self._outage_due.wait()
        (rule,) = (await self._readings.control("POST", "faults", {"answer": {"status": 503}}))["rules"]
        await asyncio.sleep(_OUTAGE_S)
        await self._readings.control("DELETE", f"faults?rule={rule}")


class Progress:
    """Says how far it is, at most once a second: in place on a terminal, else line by line."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._began_s = time.monotonic()
        self._due_s = 0.0
        self._in_place = sys.stdout.isatty()

    def show(self, metrics: Metrics) -> None:
        """Print what the service counts, unless it was printed less than a second ago."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + 1
        begin, end = ("\r", "\x1b[K") if self._in_place else ("", "\n")
        print(f"{begin}{self._line(metrics, now_s)}", end=end, flush=True)

    def end(self, metrics: Metrics) -> None:
        """Print what the service counts at last, and leave the line."""
        self._due_s = 0.0
        self.show(metrics)
        if self._in_place:
            print(flush=True)

    def _line(self, metrics: Metrics, now_s: float) -> str:
        settled = ", ".join(f"{name} {count:,}" for name, count in sorted(metrics.by_outcome().items()))
        of = "" if self._total is None else f" of {self._total:,}"
        return (
            f"{now_s - self._began_s:5.1f} s: received {metrics.received:,}{of}, "
            f"open {metrics.open:,}{', ' if settled else ''}{settled}"
        )
