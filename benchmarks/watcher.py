"""A bare consumer that only looks at the clock: how old each event is when the Kafka client hands it out.

A process of its own (`python -m benchmarks.watcher BOOTSTRAP TOPIC EVENTS WARM_UP`). It prints one line when it
listens, and one with the median and 99th percentile after the warm-up at the end. No group, no decoding but for the
time in the messageId.
"""

import argparse
from time import monotonic_ns
from typing import Final

import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from benchmarks.parties import tell
from benchmarks.percentiles import median_and_p99
from benchmarks.processes import PARTITIONS

_STAMP: Final = b'"messageId":"at-'


async def _watch(bootstrap: str, topic: str, events: int, warm_up: int) -> None:
    late_ms: list[float] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        tell({"partitions": len(partitions)})
        while len(late_ms) < events:
            for records in (await consumer.getmany(timeout_ms=200, max_records=500)).values():
                late_ms += [_late_ms(record.value or b"") for record in records]
    median_ms, p99_ms = median_and_p99(late_ms[warm_up:])
    tell({"median_ms": median_ms, "p99_ms": p99_ms})


def _late_ms(value: bytes) -> float:
    begin = value.index(_STAMP) + len(_STAMP)
    return (monotonic_ns() - int(value[begin : value.index(b"-", begin)])) / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("events", type=int)
    parser.add_argument("warm_up", type=int)
    args = parser.parse_args()
    uvloop.run(_watch(args.bootstrap, args.topic, args.events, args.warm_up))
