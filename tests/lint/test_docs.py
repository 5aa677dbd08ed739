"""The documents name what the code has: nothing less, and nothing that is not there."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

import pytest

from consumer.config.settings import CREDENTIALS
from consumer.kafka.dead_letter import DeadLetter, Extent, Stage
from consumer.kafka.records import Record
from consumer.mapping.visibility import RULES
from consumer.metrics import CATALOGUE
from consumer.outcomes import EventType, Outcome, Reason, WarningKind
from consumer.pendo.verdicts import Stall
from consumer.worker.probes import Unready
from tests.mutants.mutations import MUTATIONS, Mutation

REPOSITORY: Final = Path(__file__).parents[2]
OPERATING: Final = (REPOSITORY / "docs" / "operating.md").read_text()
GUARANTEES: Final = (REPOSITORY / "docs" / "guarantees.md").read_text()
DESIGN: Final = (REPOSITORY / "docs" / "design.md").read_text()
PENDO: Final = (REPOSITORY / "docs" / "pendo.md").read_text()
README: Final = (REPOSITORY / "README.md").read_text()
DEAD_LETTER_REASONS: Final = list(Reason)[list(Reason).index(Reason.UNDECODABLE) :]


def section(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


def test_operating_lists_every_metric_with_its_labels() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([a-z, ]*)\|", section(OPERATING, "Metrics"), re.MULTILINE)
    assert {name: labels.strip() for name, labels in rows} == {m.name: ", ".join(m.labels) for m in CATALOGUE}


def test_operating_explains_every_header_of_a_dead_letter() -> None:
    record = SimpleNamespace(topic="t", partition=0, offset=0, timestamp=0, key=None, value=b"", headers=())
    letter = DeadLetter(
        record=cast("Record", record),
        type=EventType.TRACK,
        reason=Reason.REFUSED,
        stage=Stage.DELIVER,
        error="",
        message="",
        index=0,
        message_id="m",
        status="400",
        first_attempt_ms=1,
    )
    headers = {name for name, _ in letter.headers(Extent.WITHOUT_VALUE)}
    assert headers == set(
        re.findall(r"`((?:__connect\.errors|pendo\.dlq)\.[a-z.-]+)`", section(OPERATING, "Dead letters"))
    )


@pytest.mark.parametrize("reason", DEAD_LETTER_REASONS)
def test_operating_explains_every_reason_of_a_dead_letter(reason: Reason) -> None:
    assert f"`{reason}`" in section(OPERATING, "Dead letters")


def test_the_guarantees_name_every_guard_that_is_taken_out() -> None:
    paragraphs = re.findall(r"^Guards: (.*?)\.$", GUARANTEES, re.MULTILINE | re.DOTALL)
    named = [name for paragraph in paragraphs for name in re.findall(r"`([a-z0-9-]+)`", paragraph)]
    assert named == [mutation.name for mutation in MUTATIONS]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_guard_that_is_taken_out_stands_in_the_code(mutation: Mutation) -> None:
    """A renamed variable is found in a second, not after the slow suite."""
    assert (REPOSITORY / "consumer" / mutation.file).read_text().count(mutation.old) == 1


@pytest.mark.parametrize("reason", [*Unready, *Stall])
def test_operating_says_what_to_do_when_it_is_not_ready(reason: str) -> None:
    assert f"| `{reason}` |" in section(OPERATING, "Probes")


@pytest.mark.parametrize("kind", WarningKind)
def test_every_warning_is_explained_with_its_line_of_pendos_documentation(kind: WarningKind) -> None:
    """The very line that `map` prints."""
    assert re.search(rf"^\| `{kind}` \| .* \| {re.escape(RULES[kind])} \|$", PENDO, re.MULTILINE)


@pytest.mark.parametrize("route", CREDENTIALS)
def test_every_route_is_explained_with_its_credential(route: str) -> None:
    [row] = re.findall(rf"^\| `{route}`.*$", section(PENDO, "Routes"), re.MULTILINE)
    assert f"`pendo.{CREDENTIALS[route]}`" in row


@pytest.mark.parametrize("outcome", Outcome)
def test_the_readme_explains_every_outcome(outcome: Outcome) -> None:
    assert f"| `{outcome}` |" in README


def test_the_file_map_names_every_module_and_no_other() -> None:
    """A newcomer names the file of every step in ten minutes, unless the map is old."""
    places = section(DESIGN, "File map")
    named: set[str] = set()
    for line in places.splitlines():
        folder = ""
        for name in re.findall(r"`([a-z_/]+\.py|consumer/[a-z]+/)`", line):
            folder = name.rpartition("/")[0] or folder
            named.add(name if "/" in name else f"{folder}/{name}")
    modules = {str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / "consumer").rglob("*.py")}
    wanted = {
        name
        for name in modules
        if not name.endswith(("__init__.py", "__main__.py"))
        and not name.startswith(("consumer/cli/", "consumer/sandbox/"))
    }
    assert {name for name in named if name.endswith(".py")} == wanted
    assert {"consumer/cli/"} <= named
