"""The mapping file in the running service: what it filters, changes, and what a handler's failure leaves behind."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.e2e.pipe import Pipe, event, headers_of

RULES = """
deny: [{events: Heartbeat}]
personal_data: {drop: {properties: email}}
names: {track: {Paid: Purchase}}
"""
HANDLER = """
def check(event):
    if event["event"] == "Broken":
        raise ValueError(event["properties"]["email"])
    return event
"""


async def test_rules_and_handlers_go_for_every_event(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filtered, changed, dead-lettered; the worker stays up, and nothing personal goes out or is said."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "own_checks.py").write_text(HANDLER)
    monkeypatch.syspath_prepend(str(tmp_path))
    properties: dict[str, Any] = {"email": "ann@example.com", "total": 5}
    names = ("Heartbeat", "Paid", "Broken", "Other")
    events = [event(n, event=name, properties=properties) for n, name in enumerate(names)]
    settings = {"mapping__file": str(tmp_path / "rules.yaml"), "mapping__handlers": "own_checks:check"}
    async with pipe.service(**settings) as service:
        await pipe.produce(events)
        metrics = await service.until_settled(4)
    assert metrics.sum("events_settled_total", outcome="filtered", reason="rule") == 1
    assert metrics.sum("events_settled_total", outcome="dead_lettered", reason="handler_error") == 1
    bodies = [orjson.loads(entry.body or "") for entry in pipe.simulator.log]
    assert [(body["event"], body["properties"]) for body in bodies] == [
        ("Purchase", {"total": 5}),
        ("Other", {"total": 5}),
    ]
    [letter] = await pipe.dead_letters()
    headers = headers_of(letter)
    assert headers["pendo.dlq.reason"] == "handler_error"
    assert headers["__connect.errors.exception.message"] == "the handler own_checks:check failed: ValueError"
