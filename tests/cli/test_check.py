"""`check`: valid or not, for persons and for scripts."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

API_KEY = "PENDO_CONSUMER_PENDO__API_KEY"


def test_a_valid_configuration_is_ok(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what has no effect beside it, and without the secret."""
    monkeypatch.setenv(API_KEY, "hunter2")
    monkeypatch.setenv("PENDO_CONSUMER_TYPO", "x")
    assert run("check") == 0
    captured = capsys.readouterr()
    assert captured.out == "configuration ok\nwarning: configuration: PENDO_CONSUMER_TYPO: ignored, it names no key\n"
    assert "hunter2" not in captured.err


def test_json_is_one_object_a_line(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, subject, message."""
    monkeypatch.setenv(API_KEY, "hunter2")
    assert run("check", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"state": "ok", "subject": "configuration", "message": "ok"}


def test_json_holds_the_problems_too(run: Run, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """A script reads one stream."""
    (directory / "c.yaml").write_text("a: 1\nb: 2\n")
    assert run("check", "--json", "--config", "c.yaml") == 78
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["state"], line["message"]) for line in found] == [
        ("problem", "c.yaml:1: a: unknown key"),
        ("problem", "c.yaml:2: b: unknown key"),
    ]


def test_the_credentials_of_the_routes_are_a_part_of_the_check(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--connect` too."""
    assert run("check") == 78
    assert "pendo.api_key: is needed" in capsys.readouterr().err


def test_connect_ends_with_78_when_nothing_answers(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka and Pendo are told apart."""
    monkeypatch.setenv(API_KEY, "hunter2")
    monkeypatch.setenv("PENDO_CONSUMER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__DATA_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PENDO_CONSUMER_LOG__FORMAT", "json")
    assert run("check", "--connect", "--json") == 78
    captured = capsys.readouterr()
    states = {line["subject"]: line["state"] for line in map(json.loads, captured.out.splitlines())}
    assert states == {"configuration": "ok", "kafka": "problem", "pendo data host": "problem"}
    assert "hunter2" not in captured.out + captured.err


def test_the_schema_is_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no configuration."""
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Configuration of pendo-consumer"
