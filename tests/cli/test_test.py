"""`test`: mapping tests as data, and our own among them."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import Run

REPOSITORY = Path(__file__).parents[2]
CASES = """
- name: passes
  event: &ran {type: track, userId: u, event: Ran}
  expect: {outcome: deliver}
- name: fails
  event: *ran
  expect:
    requests: [{body: {event: Flew}}]
"""


def test_our_own_golden_cases_pass(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what the service makes of an event."""
    assert run("test", str(REPOSITORY / "tests" / "golden")) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.endswith(" passed, 0 failed\n")


def test_the_shipped_cases_pass_with_the_shipped_rules(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found beside the mapping file, without a path."""
    monkeypatch.setenv("PENDO_CONSUMER_MAPPING__FILE", str(REPOSITORY / "config" / "mapping.yaml"))
    assert run("test") == 0
    assert capsys.readouterr().out == "3 passed, 0 failed\n"


def test_a_failure_is_shown_as_a_diff(run: Run, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """Where, what was expected, what came."""
    (directory / "cases.yaml").write_text(CASES)
    assert run("test", "cases.yaml") == 1
    assert capsys.readouterr().out == (
        'FAILED fails (cases.yaml:5)\n  $.requests[0].body.event\n  - "Flew"\n  + "Ran"\n1 passed, 1 failed\n'
    )


def test_json_is_one_object_a_case(run: Run, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """For scripts."""
    (directory / "cases.yaml").write_text(CASES)
    assert run("test", "--json", "cases.yaml") == 1
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"name": "passes", "file": "cases.yaml", "line": 2, "failures": []},
        {
            "name": "fails",
            "file": "cases.yaml",
            "line": 5,
            "failures": ['$.requests[0].body.event: expected "Flew", got "Ran"'],
        },
    ]


def test_junit_shows_every_case(run: Run, directory: Path) -> None:
    """Signs that XML cannot hold included."""
    (directory / "cases.yaml").write_text(CASES.replace("name: fails", r'name: "fails \x07 <&>"'))
    assert run("test", "cases.yaml", "--junit", "out.xml") == 1
    root = ET.parse(directory / "out.xml").getroot()  # noqa: S314  # our own
    [suite] = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    passed, failed = suite
    assert (passed.get("name"), passed.get("file"), passed.get("line"), len(passed)) == ("passes", "cases.yaml", "2", 0)
    assert failed.get("name") == "fails \ufffd <&>"
    assert failed[0].text == '$.requests[0].body.event: expected "Flew", got "Ran"'


def test_a_file_that_is_none_fails_and_stops_nothing(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    """The other files are tried."""
    (directory / "cases").mkdir()
    (directory / "cases" / "a.yaml").write_text("- {event: {}, expct: {}}")
    (directory / "cases" / "b.yaml").write_text(CASES)
    (directory / "cases" / "c.json").write_text('{"event": {}, "expect": {}, "rules": {"x": 1}}')
    assert run("test", "cases") == 1
    out = capsys.readouterr().out
    assert "FAILED a.yaml (cases/a.yaml)\n  cases/a.yaml:1: expct: unknown key; did you mean expect?\n" in out
    assert "FAILED c (cases/c.json)\n  cases/c.json: x: unknown key\n" in out
    assert out.endswith("1 passed, 3 failed\n")


def test_no_case_is_no_success(run: Run, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """A folder that was mistyped must not pass."""
    (directory / "empty").mkdir()
    assert run("test", "empty") == 1
    assert capsys.readouterr().out == "0 passed, 0 failed\n"
    assert run("test", "absent") == 2
    assert run("test") == 2
    assert "config/mapping-tests.yaml: there is no such file or folder" in capsys.readouterr().err


def test_rules_that_cannot_be_used_end_with_78(run: Run, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """They are configuration; `check`, `map` and `test` say the same."""
    (directory / "rules.yaml").write_text("felds: {}\n")
    (directory / "c.yaml").write_text("mapping: {file: rules.yaml}\npendo: {api_key: k}\n")
    (directory / "cases.yaml").write_text(CASES)
    for argv in (("check",), ("map", "cases.yaml"), ("test", "cases.yaml")):
        assert run(*argv, "--config", "c.yaml") == 78
        assert capsys.readouterr().err == "rules.yaml:1: felds: unknown key; did you mean fields?\n"


def test_map_explains_rule_by_rule(run: Run, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """With the line of each; without the flag not a word."""
    (directory / "rules.yaml").write_text("names:\n  track: {Ran: Flew}\ndeny:\n- name: none\n  events: x\n")
    (directory / "c.yaml").write_text("mapping: {file: rules.yaml}\n")
    (directory / "e.json").write_text('{"type":"track","userId":"u","event":"Ran"}\n[]\n')
    assert run("map", "--config", "c.yaml", "e.json") == 0
    assert "rules" not in json.loads(capsys.readouterr().out.splitlines()[0])
    assert run("map", "--config", "c.yaml", "--explain", "e.json") == 0
    line, tombstone = capsys.readouterr().out.splitlines()
    assert json.loads(line)["rules"] == [
        {"rule": "none", "line": 4, "effect": "passed", "changes": []},
        {
            "rule": "names.track",
            "line": 2,
            "effect": "changed",
            "changes": [{"path": "event", "before": "Ran", "after": "Flew"}],
        },
    ]
    assert json.loads(tombstone).get("rules", []) == []


def test_the_schema_of_the_mapping_file(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside that of the configuration."""
    assert run("schema", "--mapping") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Mapping file of pendo-consumer"
