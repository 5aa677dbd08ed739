"""The command as a whole: exit statuses, help, no stack traces."""

import argparse
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from consumer import cli
from consumer.errors import BrokerError, ConfigError
from tests.cli.conftest import Run


def command(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The program as a process of its own, without an environment."""
    arguments = [sys.executable, "-m", "consumer", *argv]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=30, env={}, **options)  # type: ignore[call-overload,no-any-return]


def test_the_version_is_the_distributions(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """As installed."""
    assert run("--version") == 0
    assert capsys.readouterr().out == f"pendo-consumer {version('pendo-consumer')}\n"


def test_help_names_every_command_in_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer begins here."""
    assert run("-h") == 0
    text = capsys.readouterr().out
    for name in ("run", "check", "map", "schema", "demo", "sandbox"):
        assert f"\n    {name} " in text
    assert "pendo-consumer check" in text


@pytest.mark.parametrize("argv", [(), ("fly",), ("check", "--nope"), ("map", "a", "b"), ("map", "missing.json")])
def test_a_command_line_that_cannot_be_used_ends_with_2(
    run: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    """And says how it is used."""
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: pendo-consumer")


@pytest.mark.parametrize("name", ["run", "check", "map"])
def test_a_configuration_that_cannot_be_used_ends_with_78_and_a_line_for_each_problem(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, name: str
) -> None:
    """Every command that reads it says the same."""
    (directory / "consumer.yaml").write_text("kafka:\n  topicz: a\nhttp:\n  port: x\n")
    assert run(name, "--config", "consumer.yaml") == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "consumer.yaml:2: kafka.topicz: unknown key; did you mean kafka.topics?",
        "consumer.yaml:4: http.port: must be a whole number",
    ]


def test_run_needs_the_credentials_of_its_routes(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It must not start, join the group and stall."""
    assert run("run") == 78
    assert capsys.readouterr().err.startswith("pendo.api_key: is needed by the route segmentio")


class Scripted:
    """A command that ends as it is told."""

    def __init__(self, end: BaseException) -> None:
        self._end = end

    def add_to(self, subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Register as `scripted`."""
        subparsers.add_parser("scripted").set_defaults(execute=self._execute)

    def _execute(self, _: argparse.Namespace) -> int:
        raise self._end


@pytest.mark.parametrize(
    ("end", "status", "shown"),
    [
        (KeyboardInterrupt(), 130, ""),
        (ConfigError(["one", "two"]), 78, "one\ntwo\n"),
        (BrokerError("Kafka gave no answer"), 1, "Kafka gave no answer\n"),
    ],
)
def test_each_kind_of_end_has_its_status_and_no_stack_trace(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    end: BaseException,
    status: int,
    shown: str,
) -> None:
    """Scripts hold on to them."""
    monkeypatch.setattr(cli, "COMMANDS", (Scripted(end),))
    assert run("scripted") == status
    assert capsys.readouterr().err == shown


def test_the_module_is_the_same_command() -> None:
    """`python -m consumer`, with its exit status."""
    ended = command("check")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr.startswith("pendo.api_key: ")
    assert "Traceback" not in ended.stderr


def test_a_reader_that_has_gone_ends_the_command_quietly() -> None:
    """As with `| head`."""
    with subprocess.Popen(
        [sys.executable, "-m", "consumer", "map"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b'{"type":"alias"}\n')
        process.stdin.flush()
        assert process.stdout.readline().startswith(b'{"messageId"')
        process.stdout.close()
        _, stderr = process.communicate(b'{"type":"alias"}\n' * 2, timeout=30)
    assert (process.returncode, stderr) == (141, b"")
