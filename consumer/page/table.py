"""The table to be taken away: deliveries by day and name as CSV, which a spreadsheet may open. Pure.

Names come from outside. What a spreadsheet would take for a formula is given as text, by an apostrophe before it.
Source: OWASP, "CSV Injection".
"""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

HEADER: Final = ("day", "type", "event", "delivered")
OTHER: Final = "other"
"""What is said of all names beyond those that are counted."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  # they count, too
DAY_S: Final = 86_400


def csv_of(days: Iterable[dict[str, Any]]) -> str:
    """One line a day and name, the oldest day first; lines end as RFC 4180 has it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    for day in days:
        date = date_of(day["day"])
        for name in day["names"]:
            writer.writerow((date, name["type"], _harmless(name["event"]), name["delivered"]))
        if day["other"]:
            writer.writerow((date, "", OTHER, day["other"]))
    return text.getvalue()


def date_of(day: int) -> str:
    """An ISO date from days since the epoch."""
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text
