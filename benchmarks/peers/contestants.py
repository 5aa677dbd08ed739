"""The contestants: a setting comes in, a command goes out. Each one's settings stand here, in plain sight.

All have 256 requests in flight and post each event as it stands in the topic. What is not set has the contestant's own
default. None of them is measured here.
"""

import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Final

import orjson

from benchmarks.peers.building import SOURCES, build_go, build_java, build_venv
from benchmarks.peers.setting import Setting
from consumer import __version__
from consumer.sandbox.children import free_port

DEAD_LETTER_TOPIC: Final = "peers-dead-letter"

_MQ_BRIDGE_BATCH: Final = 16
"""Of 1, 4 and 16 with as many workers as slots the cheapest; fewer workers with more beside each other wait for each
batch's slowest answer, and reach a third of the rate at lognormal latency.
"""


class Contestant(StrEnum):
    """Who is compared."""

    FLOOR = "floor"
    BARE = "bare"
    KEYED = "keyed"
    SERVICE = "service"
    SERVICE_SESSION = "service-session"
    MQ_BRIDGE = "mq-bridge"
    CONFLUENT = "confluent"
    BENTHOS = "benthos"


USUAL: Final = tuple(one for one in Contestant if one is not Contestant.SERVICE_SESSION)
"""Those of a full run."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a contestant is started."""

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


Start = Callable[[Setting, Path], Command]
"""What starts it, from a setting and a folder for its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One contestant.

    Attributes:
        about: What it is, with its settings, for the page.
        version: Of what is measured.
        prepare: Builds what is needed; gives what starts it, or raises UnavailableError.
        reads_kafka: Whether it does; what does not has no group to come back to after a kill.
    """

    about: str
    version: Callable[[], str]
    prepare: Callable[[], Awaitable[Start]]
    reads_kafka: bool = True


def _ours(module: str) -> Callable[[], Awaitable[Start]]:
    async def prepare() -> Start:
        return lambda setting, _: Command((sys.executable, "-m", f"benchmarks.peers.{module}", setting.to_json()))

    return prepare


def _service(**more: object) -> Callable[[], Awaitable[Start]]:
    async def prepare() -> Start:
        return lambda setting, _: Command((sys.executable, "-m", "consumer", "run"), _environ(setting, more))

    return prepare


def _environ(setting: Setting, more: dict[str, object]) -> dict[str, str]:
    settings: dict[str, object] = {
        "kafka__bootstrap_servers": setting.bootstrap,
        "kafka__topics": setting.topic,
        "kafka__group_id": setting.group,
        "dead_letter__topic": DEAD_LETTER_TOPIC,
        "delivery__max_concurrency": setting.concurrency,
        "pendo__data_url": setting.base,
        "pendo__api_key": "benchmark-key",
        "http__host": "127.0.0.1",
        "http__port": free_port(),
    } | more
    if setting.ca_file:
        settings["pendo__ca_file"] = setting.ca_file
    if setting.session_timeout_s:
        settings["kafka__session_timeout_s"] = setting.session_timeout_s
    return {f"PENDO_CONSUMER_{name.upper()}": str(value) for name, value in settings.items()}


async def _mq_bridge() -> Start:
    python, program = await build_venv("bridge"), SOURCES / "bridge" / "run.py"

    def start(setting: Setting, _: Path) -> Command:
        options = [["auto.offset.reset", "earliest"]]
        if setting.session_timeout_s:
            options.append(["session.timeout.ms", str(setting.session_timeout_s * 1000)])
        http: dict[str, object] = {
            "url": setting.url,
            "custom_headers": {"Content-Type": "application/json"},
            # A worker's batch goes one after another: beside each other, the workers' would be more than allowed.
            "batch_concurrency": 1,
        }
        if setting.ca_file:
            http["tls"] = {"required": True, "ca_file": setting.ca_file}
        kafka = {"url": setting.bootstrap, "topic": setting.topic, "group_id": setting.group}
        route = {
            "input": {"kafka": kafka | {"consumer_options": options}},
            "output": {"http": http},
            "concurrency": setting.concurrency,
            "batch_size": _MQ_BRIDGE_BATCH,
        }
        return Command((str(python), str(program), orjson.dumps(route).decode()))

    return start


async def _confluent() -> Start:
    class_path = await build_java("confluent")
    java = ("java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", class_path, "Peer")
    return lambda setting, _: Command((*java, *_words(setting)))


def _words(setting: Setting) -> tuple[str, ...]:
    session_ms = str(setting.session_timeout_s * 1000) if setting.session_timeout_s else ""
    where = (setting.bootstrap, setting.topic, setting.group, setting.url)
    return (*where, str(setting.concurrency), setting.ca_file or "", session_ms)


async def _benthos() -> Start:
    program = await build_go("benthos")

    def start(setting: Setting, folder: Path) -> Command:
        kafka: dict[str, object] = {
            "addresses": [setting.bootstrap],
            "topics": [setting.topic],
            "consumer_group": setting.group,
        }
        if setting.session_timeout_s:
            kafka["group"] = {"session_timeout": f"{setting.session_timeout_s}s"}
        http: dict[str, object] = {
            "url": setting.url,
            "verb": "POST",
            "headers": {"Content-Type": "application/json"},
            "max_in_flight": setting.concurrency,
        }
        if setting.ca_file:
            http["tls"] = {"enabled": True, "root_cas_file": setting.ca_file}
        file = folder / "benthos.json"
        file.write_bytes(
            orjson.dumps(
                {
                    "http": {"enabled": False},
                    "logger": {"level": "WARN"},
                    "input": {"kafka": kafka},
                    "output": {"http_client": http},
                }
            )
        )
        return Command((str(program), "-c", str(file)))

    return start


def _pinned(file: str, pattern: str) -> Callable[[], str]:
    """The version that a peer's own file names."""

    def find() -> str:
        found = re.search(pattern, (SOURCES / file).read_text())
        return found[1] if found else "unknown"

    return find


ENTRIES: Final[dict[Contestant, Entry]] = {
    Contestant.FLOOR: Entry(
        about="No way to send events: 256 connections on uvloop that write the next request as soon as anything comes "
        "back. What the kernel and the loop take for a POST here, below which nothing in Python can be.",
        version=lambda: f"uvloop {version('uvloop')}",
        prepare=_ours("floor"),
        reads_kafka=False,
    ),
    Contestant.BARE: Entry(
        about="aiohttp's `ClientSession` in a loop of 256 tasks, the bodies in memory: no Kafka, no order, no retry. "
        "No limit of connections, no cookies, uvloop. The yardstick.",
        version=lambda: f"aiohttp {version('aiohttp')}",
        prepare=_ours("bare"),
        reads_kafka=False,
    ),
    Contestant.KEYED: Entry(
        about="A hundred lines of Python with docstrings: aiokafka, the same session, 256 senders, a lane for each "
        "record's key, the prefix committed each second, 20,000 records open at most, uvloop. It decodes no JSON.",
        version=lambda: f"aiokafka {version('aiokafka')}, aiohttp {version('aiohttp')}",
        prepare=_ours("keyed"),
    ),
    Contestant.SERVICE: Entry(
        about="This project: `consumer run`, with `delivery.max_concurrency: 256` and all else by default.",
        version=lambda: __version__,
        prepare=_service(),
    ),
    Contestant.SERVICE_SESSION: Entry(
        about="The same with `pendo.transport: session`.",
        version=lambda: __version__,
        prepare=_service(pendo__transport="session"),
    ),
    Contestant.MQ_BRIDGE: Entry(
        about="mq-bridge from PyPI (Rust core), route Kafka → HTTP, `concurrency: 256`, `batch_size: 16`, "
        "`batch_concurrency: 1`: of seven settings with 256 in flight the cheapest at lognormal latency.",
        version=_pinned("bridge/requirements.txt", r"mq-bridge==(\S+)"),
        prepare=_mq_bridge,
    ),
    Contestant.CONFLUENT: Entry(
        about="Confluent Parallel Consumer with its Vert.x client: order by key, `maxConcurrency` 256, a pool of 256 "
        "connections, the consumer's own commits each 5 s (its default), a heap of 512 MB at most.",
        version=_pinned("confluent/pom.xml", r"parallel-consumer-vertx</artifactId>\s*<version>(.*?)<"),
        prepare=_confluent,
    ),
    Contestant.BENTHOS: Entry(
        about="Benthos (Go), input `kafka`, output `http_client` with `max_in_flight: 256`; all else by default.",
        version=_pinned("benthos/go.mod", r"benthos/v4 v(\S+)"),
        prepare=_benthos,
    ),
}
