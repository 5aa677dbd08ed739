"""A group is scaled as Kubernetes would do it: one member, three more at once, then two of the four are taken away.

What it looks like comes in as `Options`, what was noted goes out; whether it went well is for `measures` and for the
oracle of chaos, which look at it from Pendo's side.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

import aiohttp
import yaml

from tests.chaos import readings
from tests.chaos.log import Evidence, Fault, FaultKind, Requests
from tests.chaos.processes import Member, Members, metrics_of, sum_of
from tests.chaos.readings import DEAD_LETTER_PARTITIONS, DEAD_LETTERS, GROUP, TOPIC
from tests.chaos.run import endpoint
from tests.chaos.schedule import REQUEST_TIMEOUT_S
from tests.scaling.load import Load
from tests.scaling.record import Look, Marks, Options, Scaling, Span
from tests.support.apache import ApacheKafka

TAKEN: Final = (0, 3)
"""Who is taken away: the oldest and one of the new ones, since an orchestrator may take any."""
LEFT: Final = (1, 2)
_DEPLOYMENT: Final = Path(__file__).parents[2] / "config" / "kubernetes" / "base" / "deployment.yaml"
_BACKLOG: Final = "pendo_consumer_backlog_records{"
_LOOK_S: Final = 0.5
_PROBE_S: Final = 0.05
_READY_S: Final = 60.0
_REST_S: Final = 90.0
_SETTLED_S: Final = 60.0
_CALM: Final = 0.5
"""Of a second's records: with no more of them open or unread, there is no backlog."""
_CALM_LOOKS: Final = 4

Say = Callable[[str], None]


def grace_s() -> float:
    """What our manifests give a pod to stop."""
    deployment: dict[str, Any] = yaml.safe_load(_DEPLOYMENT.read_text())
    return float(deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])


class Play:
    """A run on a stage that stands."""

    def __init__(self, options: Options, broker: ApacheKafka, members: Members, session: aiohttp.ClientSession) -> None:
        self.marks = Marks()
        self.looks: list[Look] = []
        self.load = Load(broker.bootstrap, options.rate, options.seed)
        self.faults: list[Fault] = []
        self.fresh: list[int] = []
        self.options = options
        self._bootstrap = broker.bootstrap
        self._members = members
        self._session = session

    async def act(self, say: Say) -> None:
        """All of it, until everything is delivered and all members have ended."""
        watching = [asyncio.create_task(self._members.watch()), asyncio.create_task(self._look_on())]
        marks = self.marks
        try:
            await self._start(0)
            async with self.load.running():
                marks.began_s = monotonic()
                say("scaling: one member")
                await asyncio.sleep(self.options.alone_s)
                say("scaling: three more")
                marks.out_s = monotonic()
                await asyncio.gather(*map(self._start, (1, 2, 3)))
                await self._until_rested()
                await asyncio.sleep(self.options.together_s)
                say("scaling: two are taken away")
                marks.in_s = monotonic()
                await asyncio.gather(*map(self._take, TAKEN))
                self.fresh.append(len(self.load.traffic.produced))
                await asyncio.sleep(self.options.left_s)
            marks.quiet_s = monotonic()
            await self._until_settled()
            await self._ask_owners()
            await asyncio.gather(*(self._members.end(slot, grace_s()) for slot in LEFT))
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _start(self, slot: int) -> None:
        began_s = monotonic()
        member = await self._members.start(slot)
        async with asyncio.timeout(_READY_S):
            while await self._status(member, "/readyz") != 200:
                await asyncio.sleep(_PROBE_S)
        self.marks.starts[member.number] = Span(began_s, monotonic())

    async def _take(self, slot: int) -> None:
        number, began_s = self._members.slots[slot].number, monotonic()
        await self._members.end(slot, grace_s())
        span = self.marks.ends[number] = Span(began_s, monotonic())
        self.faults.append(Fault(kind=FaultKind.TERM, began_s=began_s, ended_s=span.ended_s, sender=number))

    async def _until_rested(self) -> None:
        """Until the autoscaler's metric says of all partitions, for a while, that there is no backlog."""
        calm = self.options.rate * _CALM
        async with asyncio.timeout(_REST_S):
            while not all(self._is_whole(look) and look.backlog <= calm for look in self.looks[-_CALM_LOOKS:]):
                await asyncio.sleep(_PROBE_S)
        self.marks.rested_s = monotonic()

    def _is_whole(self, look: Look) -> bool:
        return look.at_s > self.marks.out_s and look.partitions == self.options.partitions

    async def _until_settled(self) -> None:
        """Until all is committed, as long as that may take: whatever is missing is for the oracle to tell."""
        deadline_s, partitions = monotonic() + _SETTLED_S, self.options.partitions
        ends = await readings.ends(self._bootstrap, partitions)
        while await readings.committed(self._bootstrap, partitions) != ends and monotonic() < deadline_s:
            await asyncio.sleep(_LOOK_S)
        self.marks.settled_s = monotonic()

    async def _ask_owners(self) -> None:
        for slot in LEFT:
            member = self._members.slots[slot]
            async with self._session.get(f"{member.url}/api/partitions") as response:
                for each in (await response.json())["partitions"]:
                    self.marks.owners.setdefault(each["partition"], []).append(member.number)

    async def _look_on(self) -> None:
        """Add up what the living members say of the backlog, as the query of the autoscaler does."""
        while True:
            living = [member for member in self._members.slots.values() if member.process.returncode is None]
            said = await asyncio.gather(*(metrics_of(self._session, member) for member in living))
            text = "\n".join(filter(None, said))
            self.looks.append(Look(monotonic(), sum_of(text, _BACKLOG), text.count(f"\n{_BACKLOG}")))
            await asyncio.sleep(_LOOK_S)

    async def _status(self, member: Member, path: str) -> int:
        try:
            async with self._session.get(member.url + path) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            assert member.process.returncode is None, member.log_path.read_text(errors="replace")[-1500:]
            return 0


async def scaling(options: Options, folder: Path, say: Say) -> Scaling:
    """Run once; logs of the members stay in `folder`."""
    log_path = folder / "requests.log"
    timeout = aiohttp.ClientTimeout(total=2.0)
    async with ApacheKafka() as broker, aiohttp.ClientSession(timeout=timeout) as session:
        await broker.create_topics([TOPIC], options.partitions)
        await broker.create_topics([DEAD_LETTERS], DEAD_LETTER_PARTITIONS)
        async with endpoint(log_path, options.seed) as (url, end_endpoint):
            members = Members(_settings(broker.bootstrap, options), url, folder)
            play = Play(options, broker, members, session)
            try:
                await play.act(say)
            finally:
                await members.close()
            await end_endpoint()
            evidence = await _evidence(play, members, broker.bootstrap, log_path)
    return Scaling(options=options, evidence=evidence, sent_s=play.load.sent_s, marks=play.marks, looks=play.looks)


async def _evidence(play: Play, members: Members, bootstrap: str, log_path: Path) -> Evidence:
    produced, partitions = play.load.traffic.produced, play.options.partitions
    return Evidence(
        produced=produced,
        requests=Requests(await asyncio.to_thread(log_path.read_bytes)),
        letters=await readings.letters(bootstrap),
        faults=play.faults,
        committed=await readings.committed(bootstrap, partitions),
        ends=await readings.ends(bootstrap, partitions),
        began_s=play.marks.began_s,
        settled_s=play.marks.settled_s,
        exits=members.exits,
        died=members.died,
        unaccounted=members.unaccounted,
        scrapes=members.scrapes,
        released=sum(member.released for member in members.all),
        fresh=[number for first in play.fresh for number in range(first, len(produced))],
        peak_rss_bytes={member.number: member.peak_rss_bytes for member in members.all},
        wanted=(FaultKind.TERM,),
    )


def _settings(bootstrap: str, options: Options) -> dict[str, str]:
    """The defaults, but for a pod that is too small for the load."""
    return {
        "KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA__TOPICS": TOPIC,
        "KAFKA__GROUP_ID": GROUP,
        "DEAD_LETTER__TOPIC": DEAD_LETTERS,
        "PENDO__API_KEY": "scaling-key",
        "DELIVERY__MAX_CONCURRENCY": str(options.concurrency),
        "DELIVERY__REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
        "HTTP__HOST": "127.0.0.1",
        "LOG__FORMAT": "json",
    }
