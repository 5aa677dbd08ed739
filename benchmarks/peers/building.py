"""What is built before a run: the endpoint, and the peers that come from elsewhere, in `.build/peers`.

A folder of sources comes in, something that can be started goes out, or the reason why it is not to be had here. Each
peer's versions are pinned beside its sources; nothing of them enters the service's own locks.
"""

import asyncio
import os
import re
import shutil
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from sys import executable
from typing import Final

from consumer.sandbox.children import end_child, start_child

SOURCES: Final = Path(__file__).parent
FOLDER: Final = SOURCES.parent.parent / ".build" / "peers"
_KAFKA_POM: Final = SOURCES.parent.parent / "tests" / "support" / "pom.xml"
_BUILD_S: Final = 900.0
"""The largest takes two minutes with both cores to itself; some of that is fetching."""
_LAST_CHARACTERS: Final = 300


class UnavailableError(Exception):
    """A peer cannot be had on this machine; the message says why."""


async def build_go(name: str) -> Path:
    """Build a folder's Go program; what is built already costs a second."""
    _need("go", "Go")
    FOLDER.mkdir(parents=True, exist_ok=True)
    program = FOLDER / name
    # In its folder, which older ones cannot be told; the toolchain that is there: another one would have to be fetched.
    there = ("sh", "-c", 'cd "$0" && exec "$@"', str(SOURCES / name))
    await _run(*there, "go", "build", "-trimpath", "-o", str(program), ".", GOTOOLCHAIN="local")
    return program


async def build_java(name: str) -> str:
    """Fetch the jars of a folder's pom and compile its Java beside them; returns the class path."""
    _need("mvn", "Maven")
    _need("javac", "a JDK of 17 or newer")
    source = SOURCES / name
    folder = FOLDER / f"{name}-{_fingerprint(source)}"
    if not folder.exists():
        made = folder.with_suffix(f".{os.getpid()}")
        pom, jars = str(source / "pom.xml"), made / "jars"
        await _run("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={jars}")
        await _run("javac", "-cp", f"{jars}/*", "-d", str(made / "classes"), *map(str, source.glob("*.java")))
        made.rename(folder)
    return f"{folder / 'classes'}:{folder / 'jars'}/*"


async def build_venv(name: str) -> Path:
    """Make an environment of a folder's `requirements.txt`; returns its interpreter."""
    source = SOURCES / name
    folder = FOLDER / f"{name}-{_fingerprint(source)}"
    python = folder / "bin" / "python"
    # An environment cannot be moved, so the last thing that is written says that it is complete.
    complete = folder / "complete"
    if not complete.exists():
        await _run(executable, "-m", "venv", "--clear", str(folder))
        pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        await _run(*pip, "--require-hashes", "--only-binary=:all:", "-r", str(source / "requirements.txt"))
        complete.touch()
    return python


def tool_versions() -> dict[str, str]:
    """What compiles and runs the peers here, in its own words, and the broker's version."""
    asked = {"Go": ("go", "version"), "Java": ("java", "-version")}
    found = {name: _first_line(*command) for name, command in asked.items() if shutil.which(command[0])}
    kafka = re.search(r"kafka-tools</artifactId><version>(.*?)<", _KAFKA_POM.read_text())
    return found | {"Apache Kafka": kafka[1] if kafka else "unknown"}


def _first_line(*command: str) -> str:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.partition("\n")[0]


def _fingerprint(source: Path) -> str:
    """Other sources are built anew, beside the old ones."""
    digest = sha256()
    for file in sorted(source.iterdir()):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _need(command: str, what: str) -> None:
    if shutil.which(command) is None:
        raise UnavailableError(f"needs {what}: `{command}` is not on the PATH")


async def _run(*command: str, **environ: str) -> None:
    env: Mapping[str, str] = os.environ | environ
    process = await start_child(*command, output=PIPE, env=env)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _BUILD_S)
    except TimeoutError:
        raise UnavailableError(f"`{command[0]}` did not end within {_BUILD_S:.0f} s") from None
    finally:
        await end_child(process, 1.0)
    if process.returncode:
        what = " ".join(map(os.path.basename, command))[:_LAST_CHARACTERS]
        said = " ".join(output.decode(errors="replace").split())[-_LAST_CHARACTERS:]
        raise UnavailableError(f"`{what}` failed: {said}")
