"""What we ask Kafka beside reading and writing: which topics exist, what was committed, how a topic is configured.

Questions go out through an admin client of their own, so that an answer also says that the brokers are there: the
consumer's `getmany` shows an outage as an idle topic. Every question is bounded in time.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from consumer.errors import BrokerError
from consumer.kafka.records import Partition
from consumer.kafka.starting import start
from consumer.kafka.trouble import told

QUESTION_TIMEOUT_S: Final = 10.0
"""Longer than a leader election usually takes, shorter than anybody wants to wait for a probe."""

T = TypeVar("T")


class Cluster:
    """An admin client that starts when it is first asked, and anew after a failure."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._admin: AIOKafkaAdminClient | None = None
        self._lock = asyncio.Lock()

    async def topics(self) -> set[str]:
        """The names of all topics that we may see.

        Asking for all never creates one, which asking for a name can do on a broker with
        `auto.create.topics.enable`.

        Raises:
            BrokerError: No answer.
        """
        admin = await self._started()
        return set(await self._ask("the topics", admin.list_topics()))

    async def partitions(self) -> dict[str, int]:
        """How many partitions each topic has that we may see; creates none, as `topics`.

        Raises:
            BrokerError: No answer.
        """
        admin = await self._started()
        described = await self._ask("the topics' partitions", admin.describe_topics())
        return {topic["topic"]: len(topic["partitions"]) for topic in described}

    async def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, str]]:
        """Committed offsets with their metadata, for those partitions that have a commit.

        Raises:
            BrokerError: No answer.
        """
        admin = await self._started()
        # Partitions are named, since some brokers cannot answer for "all".
        asked = [TopicPartition(*partition) for partition in partitions]
        answer = await self._ask("committed offsets", admin.list_consumer_group_offsets(group, partitions=asked))
        # aiokafka ignores an error of the whole group, like a coordinator that is still loading: nothing is answered
        # then, which must not be taken for "no commit".
        if not answer.keys() >= set(asked):
            raise BrokerError("Kafka was asked for committed offsets: it did not answer for every partition")
        return {
            Partition(*tp): (found.offset, found.metadata or "") for tp, found in answer.items() if found.offset >= 0
        }

    async def topic_config(self, topic: str) -> dict[str, str]:
        """A topic's effective configuration.

        Raises:
            BrokerError: No answer, or not allowed to ask.
        """
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # noqa: PLC0415  # only `check`

        admin = await self._started()
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        answers = await self._ask("the topic's configuration", admin.describe_configs([resource]))
        config: dict[str, str] = {}
        for answer in answers:
            for found in answer.to_object()["resources"]:
                if found["error_code"]:
                    raise BrokerError(f"the configuration of {topic} may not be read (error {found['error_code']})")
                config |= {entry["config_names"]: entry["config_value"] for entry in found["config_entries"]}
        return config

    async def close(self) -> None:
        """Let go of the connections."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()

    async def _started(self) -> AIOKafkaAdminClient:
        async with self._lock:
            if self._admin is None:
                admin = AIOKafkaAdminClient(**self._options, request_timeout_ms=int(QUESTION_TIMEOUT_S * 1000))
                try:
                    await self._ask("a connection", start(admin.start()))
                except (BrokerError, asyncio.CancelledError):
                    await admin.close()
                    raise
                self._admin = admin
            return self._admin

    async def _ask(self, what: str, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(QUESTION_TIMEOUT_S):
                return await answer
        except asyncio.CancelledError:
            # Who asked would not wait as long as we do: a connection that does not answer must not be asked again.
            await self.close()
            raise
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise BrokerError(f"Kafka was asked for {what}: {told(error)}") from error
