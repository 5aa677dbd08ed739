"""The process's own part of a stop: which signal asks for it, and what ends a process that does not come to its end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROCESS = """
import asyncio, sys, time
from consumer import process

class Slow:
    def __init__(self): self.asked = asyncio.Event()
    def stop(self): self.asked.set()
    async def run(self):
        print("runs", flush=True)
        await self.asked.wait()
        print("stops", flush=True)
        {way_down}
        return 3

process.EXIT_MARGIN_S = 0.5
sys.exit(process.run_until_stopped(Slow, 0.0))
"""


def _run(directory: Path, way_down: str, signals: list[signal.Signals]) -> tuple[int, str]:
    script = directory / "slow.py"
    script.write_text(PROCESS.format(way_down=way_down))
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "runs\n"
        for signal_ in signals:
            child.send_signal(signal_)
        try:
            _, errors = child.communicate(timeout=20)
        finally:
            child.kill()
    return child.returncode, errors


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGTERM, signal.SIGINT]])
def test_signals_ask_for_an_orderly_end_with_its_own_status(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """However many there are; Python's own way with them, an exception or a death, is never taken."""
    assert _run(tmp_path, "await asyncio.sleep(0.1)", signals) == (3, "")


@pytest.mark.parametrize("way_down", ["await asyncio.Event().wait()", "time.sleep(60)"])
def test_a_process_that_does_not_come_to_its_end_is_ended_and_says_where_it_stood(
    tmp_path: Path, way_down: str
) -> None:
    """A part that never returns, or a loop that stands still, keeps no pod from being replaced."""
    status, errors = _run(tmp_path, way_down, [signal.SIGTERM])
    assert status == 1
    assert "Timeout" in errors
    assert "run_until_stopped" in errors
