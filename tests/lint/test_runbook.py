"""docs/runbook.md: whoever is paged finds every warning and error of the log there, word by word."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.delivery.gate_changes import REMEDIES

REPOSITORY = Path(__file__).resolve().parents[2]
RUNBOOK = (REPOSITORY / "docs" / "runbook.md").read_text()
LOUD = {"warning", "error", "exception", "critical"}
BY_NAME = {"REMEDIES[self._gate.stall or Stall.ENDPOINT]": tuple(REMEDIES.values())}
"""Messages that are looked up, by the expression that does."""


def loud_messages() -> Iterator[str]:
    """What the service logs at warning or above."""
    for file in sorted((REPOSITORY / "consumer").rglob("*.py")):
        if "sandbox" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _is_loud(node.func):
                message = node.args[0]
                if isinstance(message, ast.Constant):
                    yield str(message.value)
                else:
                    yield from BY_NAME[ast.unparse(message)]


def _is_loud(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LOUD
        and isinstance(function.value, ast.Name)
        and function.value.id == "log"
    )


@pytest.mark.parametrize("message", sorted(set(loud_messages())))
def test_every_loud_line_is_in_the_runbook(message: str) -> None:
    """In its own words, so that a search finds it."""
    assert f"`{message}`" in RUNBOOK


def test_there_are_loud_lines_at_all() -> None:
    """Else this test would have lost them."""
    assert len(set(loud_messages())) > 20
