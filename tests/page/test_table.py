"""The table to be taken away, as a spreadsheet opens it."""

import csv
import io
from typing import Any

import pytest

from consumer.page.table import csv_of


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def day(*events: str, other: int = 0) -> dict[str, Any]:
    return {"day": 20_000, "names": [{"type": "track", "event": e, "delivered": 1} for e in events], "other": other}


def test_a_line_a_day_and_name_and_the_others_at_its_end() -> None:
    """What stands in the name survives."""
    text = csv_of([day('A "quoted", name', "two\nlines", other=7)])
    assert read(text) == [
        ["day", "type", "event", "delivered"],
        ["2024-10-04", "track", 'A "quoted", name', "1"],
        ["2024-10-04", "track", "two\nlines", "1"],
        ["2024-10-04", "", "other", "7"],
    ]
    assert text.startswith("day,type,event,delivered\r\n")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1+1"])  # noqa: RUF001
def test_no_name_is_a_formula(name: str) -> None:
    """Whoever sends an event must not run something in an analyst's spreadsheet."""
    [_, row] = read(csv_of([day(name)]))
    assert row[2] == f"'{name}"


def test_without_deliveries_there_is_the_head_alone() -> None:
    """An empty file would look like a failure."""
    assert csv_of([]) == "day,type,event,delivered\r\n"
