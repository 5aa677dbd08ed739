"""Commands run in this process, in a directory and an environment of their own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumer.cli import main
from tests.support.logs import restored

Run = Callable[..., int]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory, no variable of ours, and logging as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PENDO_CONSUMER_")]:
        monkeypatch.delenv(name)
    with restored():
        yield tmp_path


@pytest.fixture
def run() -> Run:
    """Runs one command line; gives its exit status."""

    def run_command(*argv: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert isinstance(end.value.code, int)
        return end.value.code

    return run_command
