"""docs/facts.md: each rule of Pendo and of Segment names tests, and these exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
FACTS = (TESTS.parent / "docs" / "facts.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in FACTS.splitlines()
    if line.startswith("|") and not re.match(r"^\|( rule \| \||[-|]+$)", line)
]
MARKS = {"C", "T", "I", "U"}


@cache
def functions_of(file: Path) -> set[str]:
    """The names of a test module's tests."""
    tree = ast.parse(file.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_each_rule_names_tests_that_exist(row: list[str]) -> None:
    """By module and function, or as a golden case."""
    rule, marks, shown_by = row
    assert rule
    assert set(marks.split()) <= MARKS
    assert marks
    named = re.findall(r"`([^`]+)`", shown_by)
    assert named, f"nothing shows that {rule}"
    for name in named:
        path, _, function = name.partition("::")
        assert (TESTS / path).is_file(), f"there is no {path}"
        assert path.startswith("golden/") or function in functions_of(TESTS / path), f"there is no {name}"


def test_no_rule_stands_there_twice() -> None:
    """Then one of them would grow old."""
    rules = [row[0] for row in ROWS]
    assert len(rules) > 100
    assert len(rules) == len(set(rules))


def test_what_is_unknown_has_a_switch_or_is_read_either_way() -> None:
    """A rule that is marked so names a test of the simulator's switch, or of a reader that takes what comes."""
    unknown = [row for row in ROWS if "U" in row[1].split()]
    assert len(unknown) >= 8
    for rule, _, shown_by in unknown:
        assert re.search(r"sandbox/|pendo/test_verdicts", shown_by), rule
