"""The walk-through in `docs/mapping.md`, as a reader follows it."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run

DOCUMENT = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_walk_through_leads_where_it_says(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event, a case, rules with a mistake, the diff, the rule that made it, and no failure at the end."""
    event, trace = blocks("json")
    _, case, rules, *_ = blocks("yaml")
    [failure] = blocks("text")
    (directory / "event.json").write_text(event)
    (directory / "rules-tests.yaml").write_text(case)
    (directory / "rules.yaml").write_text(rules)
    monkeypatch.setenv("PENDO_CONSUMER_MAPPING__FILE", "rules.yaml")
    assert run("test", "rules-tests.yaml") == 1
    assert capsys.readouterr().out == failure
    assert run("map", "--explain", "event.json") == 0
    assert json.loads(trace) in json.loads(capsys.readouterr().out)["rules"]
    (directory / "rules.yaml").write_text(rules.replace("town", "city"))
    assert run("test", "rules-tests.yaml") == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


def test_the_handler_of_the_example_is_one(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small orders are filtered, one without a total is a dead letter that names the handler."""
    [source] = blocks("python")
    (directory / "our_events").mkdir()
    (directory / "our_events" / "pendo.py").write_text(source)
    monkeypatch.syspath_prepend(str(directory))
    config = next(block for block in blocks("yaml") if "handlers" in block)
    (directory / "c.yaml").write_text(config)
    orders = [{"type": "track", "userId": "u", "event": "Order Completed", "properties": p} for p in ({"total": 5}, {})]
    (directory / "events.jsonl").write_text("\n".join(map(json.dumps, orders)))
    assert run("map", "--config", "c.yaml", "events.jsonl") == 0
    small, broken = map(json.loads, capsys.readouterr().out.splitlines())
    assert (small["outcome"], small["reason"]) == ("filtered", "rule")
    assert (broken["reason"], broken["message"]) == (
        "handler_error",
        "the handler our_events.pendo:large_orders_only failed: KeyError",
    )
