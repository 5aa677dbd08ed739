"""Writes what the SDKs send into the golden cases; see README.md."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.capture import python_sdk

GOLDEN = Path(__file__).parent.parent / "golden"
NODE_SDK = Path(__file__).parent / "node_sdk" / "capture.mjs"

ADDED_BY_SEGMENT = {
    "originalTimestamp": "2026-03-01T12:30:45.678Z",
    "sentAt": "2026-03-01T12:30:46.000Z",
    "receivedAt": "2026-03-01T12:30:46.123Z",
    "timestamp": "2026-03-01T12:30:45.801Z",
    "projectId": "P0OJ3CTID1",
    "channel": "server",
    "version": 2,
    "_metadata": {"bundled": [], "unbundled": [], "bundledIds": []},
}
"""What Segment's service adds between an SDK and the topic; `timestamp` is replaced by the skew-corrected time."""


def main() -> None:
    """Write every captured event into its case, which is begun when there is none."""
    for name, message in (*python_sdk.capture(), *_capture_node()):
        path = GOLDEN / f"{name}.json"
        case = json.loads(path.read_text("utf-8")) if path.exists() else {"name": name, "expect": {}}
        case["event"] = message | ADDED_BY_SEGMENT
        path.write_text(json.dumps(case, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _capture_node() -> Iterator[tuple[str, dict[str, Any]]]:
    done = subprocess.run(["node", str(NODE_SDK)], check=True, capture_output=True, timeout=60)
    for case, message in json.loads(done.stdout).items():
        yield f"sdk_node_{case}", message


if __name__ == "__main__":
    main()
