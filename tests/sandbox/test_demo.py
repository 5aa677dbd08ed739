"""The demo and the sandbox as a person starts them: real processes, and nothing left behind."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from consumer.cli import execute
from consumer.sandbox.stage import Stage, StageError

pytestmark = pytest.mark.timeout(90)


def test_the_demo_accounts_for_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["demo", "--events", "200"]) == 0
    printed = capsys.readouterr().out
    assert "All 200 events are accounted for, one by one." in printed
    assert "received 200 of 200" in printed


def test_the_demo_with_faults_accounts_for_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Pendo is down for a while, fails now and then, and refuses five events for good."""
    assert execute(["demo", "--events", "1000", "--faults"]) == 0
    table = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "refused 5" in table
    assert any(line.startswith("503 ") for line in table)
    assert any(line.startswith("2 ") for line in table), "some messages took more than one request"


@pytest.mark.parametrize("command", [["demo", "--events"], ["sandbox", "--rate"]])
@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_number_that_is_none_is_a_usage_error(command: list[str], number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        execute([*command, number])
    assert ended.value.code == 2


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_the_extra_it_says_what_to_install(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "consumer.sandbox", None)
    assert execute([command]) == 1
    assert "pip install 'pendo-consumer[sandbox]'" in capsys.readouterr().err


async def test_a_service_that_ends_is_told_with_what_it_logged() -> None:
    with pytest.raises(StageError, match="the service ended"):
        await Stage({"HTTP__PORT": "a number"}).__aenter__()


async def test_a_service_that_is_stopped_ends_with_0() -> None:
    async with Stage() as stage:
        stage.check()
        assert await stage.stop_service() == 0
        with pytest.raises(StageError, match="the service ended"):
            stage.check()


async def test_commands_ask_the_sandbox_once_a_shell_has_read_its_settings() -> None:
    """As the runbook's drill shows it: with the token, and with a key that reads back."""
    async with Stage() as stage:
        pod = f"{sys.executable} -m consumer pause --url {stage.service_url}"
        check = f"{sys.executable} -m consumer check --connect"
        shell = await asyncio.create_subprocess_shell(
            f". {stage.environment_path} && {check} && {pod}", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await shell.communicate()
    assert shell.returncode == 0, printed.decode()
    assert b"ok: pendo integration key" in printed
    assert b"paused" in printed


async def test_ctrl_c_ends_the_sandbox_and_all_its_children() -> None:
    command = [sys.executable, "-m", "consumer", "sandbox", "--rate", "20"]
    sandbox = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert sandbox.stdout is not None
    async with asyncio.timeout(60):
        printed = b""
        while b"received" not in printed:
            printed += await sandbox.stdout.readline()
        children = _children(sandbox.pid)
        sandbox.send_signal(signal.SIGINT)
        assert await sandbox.wait() == 0
    assert b"/_sim/state" in printed
    assert len(children) == 3
    assert not _running(children)


def _running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
