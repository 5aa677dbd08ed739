"""What `make dist` makes works where it is installed: in a clean environment of every Python on this machine."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import pytest

from consumer import __version__

pytestmark = [pytest.mark.dist, pytest.mark.timeout(300)]

REPOSITORY: Final = Path(__file__).parents[2]
DIST: Final = REPOSITORY / "dist"
NEWEST_MINOR: Final = 20
"""Of Python 3: as far as is looked for."""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, in an environment without the development's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=kept)
    assert ended.returncode == 0, f"{command}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout


def pythons() -> list[str]:
    """One Python of each version from 3.11 on: ours, else of the PATH or of pyenv; each can make environments."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = {sys.version_info.minor: sys.executable}
    for minor in range(11, NEWEST_MINOR):
        candidates = [shutil.which(f"python3.{minor}"), *map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/python3")))]
        for one in candidates:
            if one and minor not in found and _works(one):
                found[minor] = one
    return [found[minor] for minor in sorted(found)]


def _works(python: str) -> bool:
    asked = subprocess.run([python, "-c", "import ensurepip, venv"], check=False, capture_output=True)
    return asked.returncode == 0


@pytest.fixture(scope="module", autouse=True)
def dist(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Made anew, as `make dist` does; once in a run, by its first worker: others may install from it by then."""
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    made = tmp_path_factory.getbasetemp().parent / f"dist-{run_id}"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(DIST, ignore_errors=True)
            run("make", "dist", cwd=REPOSITORY)
            made.touch()


def test_wheel_source_and_bill_of_materials_are_of_this_version() -> None:
    """The version is taken from consumer/__init__.py."""
    assert {file.name for file in DIST.iterdir()} == {
        f"pendo_consumer-{__version__}-py3-none-any.whl",
        f"pendo_consumer-{__version__}.tar.gz",
        f"pendo_consumer-{__version__}.cdx.json",
    }
    assert "\nversion =" not in (REPOSITORY / "pyproject.toml").read_text()


def test_the_wheel_holds_the_package_alone() -> None:
    with zipfile.ZipFile(next(DIST.glob("*.whl"))) as wheel:
        tops = {name.split("/")[0] for name in wheel.namelist()}
        assert "consumer/py.typed" in wheel.namelist()
    assert tops == {"consumer", f"pendo_consumer-{__version__}.dist-info"}


def test_the_source_holds_what_the_wheel_is_made_from() -> None:
    with tarfile.open(next(DIST.glob("*.tar.gz"))) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "consumer/__init__.py"} <= names
    assert not [name for name in names if re.match(r"\.env$|\.venv|\.build|dist", name)]


# The source makes the same wheel with every Python: once is enough.
@pytest.mark.parametrize(
    ("kind", "python"), [*(("*.whl", python) for python in pythons()), ("*.tar.gz", sys.executable)]
)
def test_it_is_installed_and_the_demo_runs(kind: str, python: str, tmp_path: Path) -> None:
    """From a folder that is not the repository, so that nothing is taken from there."""
    run(python, "-m", "venv", "env", cwd=tmp_path)
    pip = (tmp_path / "env" / "bin" / "python", "-m", "pip", "install", "--quiet")
    run(*pip, "--require-hashes", "-r", REPOSITORY / "lock" / "sandbox.txt", cwd=tmp_path)
    if kind == "*.tar.gz":
        run(*pip, "--require-hashes", "-r", REPOSITORY / "lock" / "build.txt", cwd=tmp_path)
    run(*pip, "--no-deps", "--no-build-isolation", next(DIST.glob(kind)), cwd=tmp_path)
    command = tmp_path / "env" / "bin" / "pendo-consumer"
    assert "All 200 events are accounted for, one by one." in run(command, "demo", "--events", "200", cwd=tmp_path)
