"""Captured events, for tests that send them."""

from pathlib import Path
from typing import Any

import orjson

GOLDEN = Path(__file__).parent.parent / "golden"


def golden_events(pattern: str) -> list[dict[str, Any]]:
    """The events of the golden cases whose name matches, in the order of their names."""
    cases = [orjson.loads(path.read_bytes()) for path in sorted(GOLDEN.glob(f"{pattern}.json"))]
    return [case["event"] for case in cases if "event" in case]
