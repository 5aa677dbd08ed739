"""What the repository promises about itself, beyond what linters know."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from consumer import __version__

REPOSITORY: Final = Path(__file__).parents[2]
MAX_LINES: Final = 300
TOP_LEVEL: Final = {
    *("pyproject.toml", "README.md", "consumer", "tests", "docker-compose.yml", "config", "Makefile", "Dockerfile"),
    *("LICENSE", "CHANGELOG.md", "benchmarks", "docs", "lock"),
}
# In pieces, so that this file does not name them either.
REGISTRIES: Final = [
    r"\.".join(pieces)
    for pieces in (
        ("py" + "pi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("npmjs", "org"),
        ("yarnpkg", "com"),
        ("repo1?", "maven"),
        ("maven", "org"),
        ("crates", "io"),
        ("proxy", "golang"),
        ("deb", "debian"),
        # With the slash: without it, it is the name of Debian's package.
        ("docker", "io/"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("gcr", "io"),
    )
]
LEFT_BEHIND: Final = {".git", ".venv", ".build", ".hypothesis", "__pycache__", "node_modules", "dist"}
LOCKS: Final = ("service", "sandbox", "dev", "build")


def our_files() -> Iterator[Path]:
    """All files of the project, but for what tools leave behind."""
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [
            name for name in folders if name not in LEFT_BEHIND and not name.endswith(("_cache", ".egg-info"))
        ]
        yield from (Path(folder) / name for name in files if not name.startswith(".coverage"))


def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def locked(name: str) -> dict[str, list[str]]:
    """The packages of a lock, by normalised name, each with its requirement and the lines that belong to it."""
    text = (REPOSITORY / "lock" / f"{name}.txt").read_text()
    entries = [[line.strip(" \\") for line in entry.splitlines()] for entry in re.split(r"\n(?=\S)", text.strip())]
    return {normalised(re.split(r"\[|==", entry[0])[0]): entry for entry in entries if not entry[0].startswith("#")}


def normalised(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def names(requirements: Iterable[str]) -> set[str]:
    return {normalised(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def test_no_module_is_longer_than_one_can_keep_in_mind() -> None:
    """A module over 300 lines does two things."""
    lines = {file: len(file.read_text().splitlines()) for file in (REPOSITORY / "consumer").rglob("*.py")}
    assert {str(file): count for file, count in lines.items() if count > MAX_LINES} == {}


def test_no_file_names_a_registry() -> None:
    """Where packages come from is the machine's configuration, not ours: behind a mirror all must work too."""
    pattern = re.compile("|".join(REGISTRIES), re.IGNORECASE)
    found = [
        f"{file.relative_to(REPOSITORY)}: {match[0]}"
        for file in our_files()
        for match in pattern.finditer(file.read_bytes().decode(errors="replace"))
    ]
    assert found == []


def test_the_top_level_holds_nothing_else() -> None:
    """A newcomer reads the top level first; each new name in it is a question."""
    top = {file.relative_to(REPOSITORY).parts[0] for file in our_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_the_build_backend_finds_the_version() -> None:
    """It reads it off the source by a pattern; without it nothing can be installed."""
    command = [sys.executable, "-m", "hatchling", "version"]
    found = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert found.stdout.strip() == __version__, found.stderr


def test_the_image_carries_the_version() -> None:
    assert f"ARG VERSION={__version__}\n" in (REPOSITORY / "Dockerfile").read_text()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_its_hashes(lock: str) -> None:
    """The locks are installed with `--require-hashes`; a package without one would stop it half way."""
    packages = locked(lock)
    assert packages
    for package, (requirement, *hashes) in packages.items():
        assert re.match(r"[^=]+==\S+", requirement), requirement
        assert hashes, package
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), package


@pytest.mark.parametrize("lock", LOCKS)
def test_extras_that_others_ask_for_are_locked_with_their_package(lock: str) -> None:
    """Without them pip takes the newest version for the extra, which has no hash here, from the day it is published."""
    locked_extras = {name for name, lines in locked(lock).items() if "[" in lines[0]}
    assert ("aiokafka" in locked_extras) == (lock != "build")
    assert lock != "dev" or "coverage" in locked_extras


def group(name: str) -> list[str]:
    """A group's own requirements, without those of groups that it includes."""
    return [one for one in project()["dependency-groups"][name] if isinstance(one, str)]


def test_every_dependency_is_locked() -> None:
    """Somebody added one and forgot `make lock`."""
    service = names(project()["project"]["dependencies"])
    sandbox = service | names(project()["project"]["optional-dependencies"]["sandbox"])
    build = names(group("build"))
    dev = sandbox | build | names(group("dev"))
    for lock, wanted in zip(LOCKS, (service, sandbox, dev, build), strict=True):
        assert wanted - set(locked(lock)) == set(), lock


def test_the_locks_agree() -> None:
    """What is tested is what is shipped: one version of a package in all locks."""
    service, sandbox, dev, build = (
        {name: lines[0].partition("==")[2].split()[0] for name, lines in locked(lock).items()} for lock in LOCKS
    )
    assert service.items() <= sandbox.items() <= dev.items()
    assert build.items() <= dev.items()


def test_the_production_lock_holds_nothing_of_the_sandbox() -> None:
    sandbox = names(project()["project"]["optional-dependencies"]["sandbox"])
    assert sandbox & set(locked("service")) == set()
