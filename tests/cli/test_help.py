"""What each command says of itself: an example that can be copied, how it ends, and `--json` where scripts read."""

import argparse
import re
import shlex
from collections.abc import Iterator

import pytest

from consumer.cli import _parser
from tests.cli.conftest import Run

EXAMPLE = re.compile(r"^Example: (pendo-consumer .+?)\.(?: |$)", re.MULTILINE)
SCRIPTED = {
    "check",
    "dlq list",
    "dlq replay",
    "dlq show",
    "lag",
    "pause",
    "resume",
    "schema",
    "skip",
    "test",
    "trace",
    "verify",
}
"""Read by persons and by scripts. `map` and `dlq export` print JSON lines anyway, `run` logs, `demo` and `sandbox` are
for persons: a script has their status."""


def commands_of(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and sub-command with its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part, inner in action.choices.items():
                yield f"{name} {part}".strip(), inner
                yield from commands_of(inner, f"{name} {part}".strip())


PARSERS = dict(commands_of(_parser()))
LEAVES = sorted(PARSERS.keys() - {"dlq"})


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as they were when they had no windows."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_an_example_stands_on_one_line_and_can_be_copied_as_it_is(name: str) -> None:
    """Each part of the pipe is a command line that is taken; the first is one of this command."""
    [example] = EXAMPLE.findall(PARSERS[name].format_help())
    parts = [shlex.split(part) for part in example.split("|")]
    for program, *argv in parts:
        assert program == "pendo-consumer"
        _parser().parse_args(argv)
    assert " ".join(parts[0][1:]).startswith(name)


@pytest.mark.parametrize("name", LEAVES)
def test_it_says_how_it_ends(name: str) -> None:
    """With which status, and what for."""
    assert re.search(r"[Ee]nds with \d", PARSERS[name].epilog or "")


@pytest.mark.parametrize("name", LEAVES)
def test_what_a_person_and_a_script_both_read_takes_json(name: str) -> None:
    """And nothing else does: a flag without an effect would be a riddle."""
    options = {option for action in PARSERS[name]._actions for option in action.option_strings}
    assert ("--json" in options) is (name in SCRIPTED)


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_is_explained(name: str) -> None:
    """In words."""
    unexplained = [action.dest for action in PARSERS[name]._actions if not action.help]
    assert unexplained == []


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_help_ends_with_0(run: Run, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a percent sign stands in it."""
    assert run(*name.split(), "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: pendo-consumer {name}")
