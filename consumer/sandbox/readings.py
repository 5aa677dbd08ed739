"""What can be read off the running parts: the service's metrics, the simulator's memory, the dead-letter topic.

Addresses come in, plain values go out. It judges none of them.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from prometheus_client.parser import text_string_to_metric_families

from consumer.sandbox.ledger import Letter
from consumer.sandbox.traffic import identity_of

_PREFIX: Final = "pendo_consumer_"
_REASON: Final = "pendo.dlq.reason"
_MESSAGE_ID: Final = "pendo.dlq.message-id"

# All is there already when it is read; this bounds a broker that hangs.
_READ_S: Final = 10.0


@dataclass(slots=True)
class Metrics:
    """The service's own count.

    Attributes:
        received: Events.
        settled: Events by type, outcome and reason.
        open: Events.
        unaccounted: Events; anything but 0 is a bug.
    """

    received: int = 0
    settled: dict[tuple[str, str, str], int] = field(default_factory=dict)
    open: int = 0
    unaccounted: int = 0

    def by_outcome(self) -> Counter[str]:
        """Return how many events were settled, by outcome."""
        counts: Counter[str] = Counter()
        for (_, outcome, _), count in self.settled.items():
            counts[outcome] += count
        return counts


class Readings:
    """Reads from the service and the simulator over one HTTP session."""

    def __init__(self, session: aiohttp.ClientSession, service_url: str, pendo_url: str) -> None:
        self._session = session
        self._service_url = service_url
        self._pendo_url = pendo_url

    async def metrics(self) -> Metrics:
        """Return what the service counts at this moment."""
        async with self._session.get(f"{self._service_url}/metrics") as response:
            return parse_metrics(await response.text())

    async def control(self, method: str, name: str, asked: object = None) -> Any:  # noqa: ANN401 - JSON
        """Ask the simulator's control."""
        url = f"{self._pendo_url}/_sim/{name}"
        async with self._session.request(method, url, json=asked, raise_for_status=True) as response:
            return orjson.loads(await response.read())

    async def attempts(self) -> Counter[int]:
        """Return how many messages took how many requests."""
        entries = (await self.control("GET", "log"))["entries"]
        requests = Counter(entry["message_id"] for entry in entries if entry["message_id"] is not None)
        return Counter(requests.values())


def parse_metrics(exposition: str) -> Metrics:
    """Return what the ledger needs of Prometheus' text format."""
    metrics = Metrics()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            count = int(sample.value)
            match sample.name.removeprefix(_PREFIX):
                case "events_received_total":
                    metrics.received += count
                case "events_settled_total":
                    labels = sample.labels
                    metrics.settled[labels["type"], labels["outcome"], labels["reason"]] = count
                case "events_open":
                    metrics.open = count
                case "events_unaccounted":
                    metrics.unaccounted = count
                case _:
                    pass
    return metrics


async def read_letters(bootstrap: str, topic: str) -> list[Letter]:
    """Return all dead letters that lie in a topic."""
    letters: list[Letter] = []
    async with asyncio.timeout(_READ_S), _reader(bootstrap, topic) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                records = await consumer.getmany(partition, timeout_ms=200)
                letters += [to_letter(record) for each in records.values() for record in each]
    return letters


def to_letter(record: "ConsumerRecord[bytes | None, bytes | None]") -> Letter:
    """Return a dead letter by the identity of its event: the `messageId`, else the record's very bytes."""
    headers = {name: value.decode() for name, value in record.headers if name in {_REASON, _MESSAGE_ID}}
    return Letter(headers.get(_MESSAGE_ID) or identity_of(record.value or b""), headers[_REASON])


def _reader(bootstrap: str, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
