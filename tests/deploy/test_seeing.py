"""Alert rules and dashboard: valid, of metrics that exist, and each alert explained in the runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from consumer.cli import execute
from consumer.metrics import CATALOGUE, PREFIX
from consumer.outcomes import Outcome
from tests.lint.docs_links import anchors_of
from tests.support.dashboards import expressions
from tests.support.promql import flaws, named
from tests.support.tools import tool

REPOSITORY: Final = Path(__file__).parents[2]
RULES_FILE: Final = REPOSITORY / "config" / "prometheus" / "rules.yaml"
RULES: Final[list[dict[str, Any]]] = yaml.safe_load(RULES_FILE.read_text())["groups"][0]["rules"]
CASES: Final = Path(__file__).with_name("alerts.yaml")
DASHBOARD: Final = json.loads((REPOSITORY / "config" / "grafana" / "dashboard.json").read_text())
RUNBOOK: Final = (REPOSITORY / "docs" / "runbook.md").read_text()
# Seen in no panel: what is of no use on a wall.
NOT_SHOWN: Final = {"events_released_total", "records_unkeyed_total", "operator_acts_total"}


def paragraphs() -> dict[str, str]:
    """The runbook's paragraphs of alerts, by heading."""
    section = RUNBOOK.split("\n## Alerts\n")[1].split("\n## ")[0]
    return {heading: text for heading, _, text in (part.partition("\n") for part in section.split("\n### ")[1:])}


def alerts() -> list[str]:
    return [rule["alert"] for rule in RULES]


def ids(rules: list[dict[str, Any]]) -> list[str]:
    return [rule["alert"] for rule in rules]


@pytest.mark.parametrize("rule", RULES, ids=ids(RULES))
def test_a_rule_names_only_what_the_service_exposes(rule: dict[str, Any]) -> None:
    """A renamed metric would else silence its alert for good."""
    assert flaws(rule["expr"]) == []
    assert rule["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.parametrize(("title", "expression"), expressions(DASHBOARD))
def test_a_panel_names_only_what_the_service_exposes(title: str, expression: str) -> None:
    assert flaws(expression) == [], title


def test_the_check_of_names_finds_what_is_wrong() -> None:
    """The test of the tests above."""
    assert flaws('sum by (route) (rate(pendo_consumer_requests_total{status="200"}[1m]))') == []
    assert flaws("pendo_consumer_request_total") == [
        "pendo_consumer_request_total is no metric of ours",
        "it names no metric",
    ]
    assert flaws('pendo_consumer_requests_total{outcome="x"}') == ["pendo_consumer_requests_total has no label outcome"]
    assert flaws("sum by (type) (pendo_consumer_requests_total)") == ["no metric in it has the label type"]
    assert flaws("sum by (le) (pendo_consumer_open_bytes)") == ["no metric in it has the label le"]


def test_outcomes_in_expressions_are_outcomes() -> None:
    every = [rule["expr"] for rule in RULES] + [expression for _, expression in expressions(DASHBOARD)]
    compared = {
        value
        for one in every
        for _, label, values in named(one).matched
        if label == "outcome"
        for value in values.split("|")
    }
    assert compared
    assert compared <= set(Outcome)


def test_the_dashboard_shows_every_metric_that_one_can_look_at() -> None:
    shown = {name for _, expression in expressions(DASHBOARD) for name in named(expression).metrics}
    plain = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert {metric.name for metric in CATALOGUE if PREFIX + metric.name not in plain} == NOT_SHOWN


def test_promtool_takes_rules_and_panels(tmp_path: Path) -> None:
    """Panels go as recording rules: it parses no bare expression."""
    promtool = tool("promtool", "Debian's prometheus")
    panels = [{"record": f"panel:{n}", "expr": expr} for n, (_, expr) in enumerate(expressions(DASHBOARD))]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": panels}]}))
    for rules in (RULES_FILE, file):
        checked = subprocess.run([promtool, "check", "rules", rules], check=False, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_fires_when_it_should_and_not_before() -> None:
    promtool = tool("promtool", "Debian's prometheus")
    tested = subprocess.run([promtool, "test", "rules", CASES], check=False, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_cases_of_both_kinds() -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(alerts())
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(alerts())


def test_every_alert_has_a_paragraph_and_every_paragraph_an_alert() -> None:
    """In the order of the file, so that one can be read beside the other."""
    assert sorted(paragraphs()) == sorted(alerts())
    assert len(set(alerts())) == len(alerts())


@pytest.mark.parametrize("rule", RULES, ids=ids(RULES))
def test_an_alert_leads_to_its_paragraph(rule: dict[str, Any]) -> None:
    """Which says what it means, what shows more and what heals, with a command each."""
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/runbook.md"
    assert anchor == rule["alert"].lower()
    assert anchor in anchors_of(RUNBOOK)
    meaning, _, does = paragraphs()[rule["alert"]].strip().partition("\n- more: ")
    more, _, heals = does.partition("\n- heals: ")
    assert meaning
    assert "`" in more
    assert heals
    assert meaning.startswith("Critical") == (rule["labels"]["severity"] == "critical")


def commands() -> list[str]:
    return sorted(set(re.findall(r"pendo-consumer ((?:dlq )?[a-z]+)[ `\n]", RUNBOOK)))


@pytest.mark.parametrize("command", commands())
def test_the_runbook_tells_commands_that_there_are(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        execute([*command.split(), "--help"])
    assert ended.value.code == 0
