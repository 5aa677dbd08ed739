"""The incidents: each breaks something, waits until every witness names the cause, and heals it as they say."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final

from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from consumer.sandbox.broker import admin_client
from consumer.sandbox.simulator_faults import Answer, Latency, Rule
from tests.e2e.pipe import event
from tests.rehearsal.stage import Cause, Stage

Incident = Callable[[Stage], Awaitable[None]]

DOWN: Final = Rule(answer=Answer(status=503))
UNREACHABLE: Final = "Pendo is unreachable: keeping the records in Kafka and probing"


def events(count: int, prefix: str = "m") -> Iterator[dict[str, Any]]:
    """Track events of as many visitors."""
    return (event(f"{prefix}-{number}", user=f"{prefix}{number}") for number in range(count))


async def wrong_key(stage: Stage) -> None:
    """The API key was rotated, and the new one is wrong."""
    key = stage.folder / "api-key"
    key.write_text("wrong")
    async with stage.pod(pendo__api_key="", pendo__api_key_file=str(key)) as pod:
        await stage.produce(events(100))
        cause = Cause(
            page="Pendo refuses our credential",
            lag="Pendo refuses the credential: replace it",
            log="Pendo refuses the credential: nothing is delivered until it is replaced; records stay in Kafka",
            metric=("stalled", {"reason": "credentials"}, 1),
            ready=("credentials",),
        )
        await stage.shows(pod, cause)
        key.write_text(stage.simulator.api_key)
        stage.account.healed_by = "the right key in its file, without a restart"
        await stage.settled(pod)


async def pendo_down(stage: Stage) -> None:
    """Pendo answers 503 for a while."""
    stage.simulator.faults.add(DOWN)
    async with stage.pod() as pod:
        await stage.produce(events(300))
        cause = Cause(
            page="Pendo has answered nothing",
            lag="Pendo is unreachable: nothing to do here",
            log=UNREACHABLE,
            metric=("gate_state", {"route": "segmentio"}, 1),
        )
        await stage.shows(pod, cause)
        stage.simulator.faults.clear()
        stage.account.healed_by = "nothing: it went on by itself"
        await stage.settled(pod)


async def poison_visitor(stage: Stage) -> None:
    """Pendo fails at one visitor's events, and takes all others."""
    stage.simulator.faults.add(Rule(id="bad", answer=Answer(status=500)))
    # Long enough for an operator's two commands on a machine that is busy otherwise.
    async with stage.pod(delivery__retry_window_s="25", delivery__min_attempts="3") as pod, stage.traffic():
        position, _ = await stage.produce([event("first", user="bad"), event("second", user="bad")], partition=0)
        told = ""
        while f"{position} waits for" not in told:
            _, told = await stage.command("lag", "--no-rate", "--url", pod.url)
        # For whoever does not want to wait for the retry window, in production fifteen minutes.
        while (await stage.command("skip", position, "--url", pod.url))[0]:
            pass
        cause = Cause(
            page="1 exhausted",
            log="an event is given up: it fails while others pass",
            metric=("events_settled_total", {"reason": "operator"}, 1),
        )
        await stage.shows(pod, cause)
        stage.account.seen["lag"] = next(line for line in told.splitlines() if position in line)
        stage.account.healed_by = "`skip`, and for the second event its retry window"
    async with stage.pod() as pod:
        await stage.settled(pod)


async def broken_mapping(stage: Stage) -> None:
    """A handler fails at every event; mended, what it parked is sent again."""
    module = stage.folder / "rehearsed.py"
    module.write_text("def handle(event):\n    return event['not there']\n")
    settings = {"mapping__handlers": "rehearsed:handle"}
    stage.python_path(stage.folder)
    async with stage.pod(**settings) as pod:
        await stage.produce(events(50))
        cause = Cause(
            page="50 became dead letters",
            log="a mapping handler failed",
            metric=("events_settled_total", {"reason": "handler_error"}, 50),
        )
        await stage.shows(pod, cause)
    module.write_text("def handle(event):\n    return event\n")
    async with stage.pod(**settings) as pod:
        status, told = await stage.command("dlq", "replay", "--reason", "handler_error", "--yes", **settings)
        assert status == 0, told
        assert sum(stage.simulator.store.accepted.values()) == 50, told
        stage.account.healed_by = "a mended handler, then `dlq replay --reason handler_error`"
        await stage.settled(pod)


async def refused_by_pendo(stage: Stage) -> None:
    """A change at the source makes Pendo refuse nearly all; the flood stop keeps the rest out of the topic."""
    refusing = stage.simulator.faults.add(Rule(answer=Answer(status=400)))
    async with stage.pod(dead_letter__flood_min_events="50") as pod:
        await stage.produce(events(400))
        cause = Cause(
            page="Pendo refuses most of what is sent",
            lag="most events are refused: `dlq list --group-by case --reason refused` says why",
            log="most events are refused: delivery is stopped but for probes, the events stay in Kafka. "
            "Look into the dead-letter topic for the reason",
            metric=("gate_state", {"route": "segmentio"}, 3),
            ready=("flood",),
        )
        await stage.shows(pod, cause)
        stage.simulator.faults.remove(refusing)
        await stage.settled(pod)
        status, told = await stage.command("dlq", "replay", "--reason", "refused", "--yes")
        assert status == 0, told
        assert sum(stage.simulator.store.accepted.values()) == 400, told
        stage.account.healed_by = "a mended source, then `dlq replay --reason refused`"


async def hot_account(stage: Stage) -> None:
    """An account's traits change with every event, so its visitors wait for each other."""
    stage.simulator.latency = Latency(0.05)
    groups = (
        {"type": "group", "userId": f"u{number}", "groupId": "acme", "messageId": f"g-{number}"}
        | {"traits": {"plan": "pro", "seen_at": number}}
        for number in range(600)
    )
    async with stage.pod() as pod:
        await stage.produce(groups)
        cause = Cause(
            page="deny traits that change",
            lag="another version of its account's traits goes first: deny traits that change",
            metric=("blocked_seconds", {}, 0.0),
        )
        await stage.shows(pod, cause)
        before = sum(stage.simulator.store.accepted.values())
        assert before < 600
    rules = stage.folder / "mapping.yaml"
    rules.write_text("fields:\n  group:\n    drop: [seen_at]\n")
    async with stage.pod(mapping__file=str(rules)) as pod:
        stage.account.healed_by = "`fields.group.drop: [seen_at]` in the mapping: equal traits go side by side"
        await stage.settled(pod)


async def dead_letter_topic_down(stage: Stage) -> None:
    """The dead-letter topic is not there, and an event needs it."""
    topic, stage.pipe.dead_letter_topic = stage.pipe.dead_letter_topic, stage.pipe.dead_letter_topic + "-missing"
    async with stage.pod() as pod:
        await stage.produce([event("bad", user="x", properties=[])], partition=0)
        await stage.produce(events(50))
        cause = Cause(
            page="Dead letters cannot be published",
            lag="its dead letter is not acknowledged: look at the dead-letter topic",
            log="no dead letter can be published; nothing is committed past one",
            metric=("dead_letters_parked", {}, 1),
            ready=("dead_letter",),
        )
        await stage.shows(pod, cause)
        await stage.pipe.broker.create_topics([stage.pipe.dead_letter_topic], 2)
        stage.account.healed_by = "the topic was created; no restart"
        await stage.settled(pod)
    assert topic != stage.pipe.dead_letter_topic


async def rebalance_storm(stage: Stage) -> None:
    """One pod of two starts and ends again and again."""
    async with stage.pod() as pod:
        await stage.settled(pod)
        for turn in range(4):
            await stage.produce(events(100, prefix=f"s{turn}-"))
            async with stage.pod() as other:
                await other.until(lambda m: m.sum("rebalances_total") > 0)
                await stage.produce(events(100, prefix=f"t{turn}-"))
        cause = Cause(
            page="Partitions change hands again and again",
            metric=("rebalances_total", {}, 6),
        )
        await stage.shows(pod, cause)
        stage.account.healed_by = "the other pod came to rest"
        await stage.settled(pod)


async def expired_offsets(stage: Stage) -> None:
    """All pods were away for longer than the topic keeps its records: these are lost, and counted to the record."""
    async with stage.pod() as pod:
        await stage.produce(events(20), partition=0)
        await stage.settled(pod)
    await stage.produce(events(100, prefix="late"), partition=0)
    async with admin_client(stage.pipe.broker.bootstrap) as admin:
        await admin.delete_records({TopicPartition(stage.pipe.topic, 0): RecordsToDelete(90)})
    async with stage.pod() as pod:
        cause = Cause(
            page="Kafka has deleted 70 records before they were read",
            log="records expired before they were read: raise the topic's retention",
            metric=("records_expired_total", {}, 70),
        )
        await stage.shows(pod, cause)
        stage.account.healed_by = "nothing brings them back; what is there was delivered, and retention is to be raised"
        await stage.settled(pod)
    assert stage.account.expired == 70


async def slow_pendo(stage: Stage) -> None:
    """Pendo takes a second for each request, and the pod may have only a few at once."""
    stage.simulator.latency = Latency(1.0)
    async with stage.pod(delivery__max_concurrency="4") as pod:
        await stage.produce(events(1_500))
        cause = Cause(
            page="Catching up: 1,",
            lag="its request is on the wire",
            metric=("request_duration_seconds_sum", {}, 4),
        )
        await stage.shows(pod, cause)
    async with stage.pod(delivery__max_concurrency="256") as pod:
        stage.account.healed_by = "a higher `delivery.max_concurrency`, as the page says"
        await stage.settled(pod)


async def deploy_in_an_outage(stage: Stage) -> None:
    """While Pendo is away, every pod is replaced."""
    stage.simulator.faults.add(DOWN)
    async with stage.pod() as pod:
        await stage.produce(events(300))
        await pod.until(lambda m: m.sum("gate_state") == 1)
        assert await pod.stop() == 0
    async with stage.pod() as pod:
        cause = Cause(
            page="Pendo has answered nothing",
            lag="Pendo is unreachable: nothing to do here",
            log=UNREACHABLE,
            metric=("events_open", {}, 300),
        )
        await stage.shows(pod, cause)
        stage.simulator.faults.clear()
        stage.account.healed_by = "nothing: both pods ended and began as they should, with status 0"
        await stage.settled(pod)


INCIDENTS: Final[Iterable[Incident]] = (
    wrong_key,
    pendo_down,
    poison_visitor,
    broken_mapping,
    refused_by_pendo,
    hot_account,
    dead_letter_topic_down,
    rebalance_storm,
    expired_offsets,
    slow_pendo,
    deploy_in_an_outage,
)
