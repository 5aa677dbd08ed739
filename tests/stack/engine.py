"""A container engine of this test's own, and images for it on a machine that reaches no registry of images.

Needs root and Debian's packages docker.io, docker-compose and debootstrap. The base image is a small Debian of the
machine's own release with its Python, made once into `.build/stack`; the engine's data lie there, too, so that a second
run finds every layer that it has built.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Self

from tests.support.tools import tool

REPOSITORY: Final = Path(__file__).parents[2]
STACK: Final = REPOSITORY / ".build" / "stack"
BASE: Final = "python-of-debian:local"
_CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"
_START_S: Final = 30.0


class Engine:
    """A running `dockerd`; as a context manager it ends, and with it all its containers."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self.host = f"unix://{self._folder / 'docker.sock'}"
        self._docker = tool("docker", "Debian's docker.io")
        self._compose = tool("docker-compose", "Debian's docker-compose")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and wait until it answers."""
        (STACK / "engine").mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [
            *(tool("dockerd", "Debian's docker.io"), "--host", self.host),
            *("--data-root", STACK / "engine", "--exec-root", self._folder / "exec"),
            *("--pidfile", self._folder / "pid"),
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < until, (self._folder / "log").read_text()
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        # The engine leaves its network namespace mounted.
        for mount in (self._folder / "exec" / "netns").glob("*"):
            subprocess.run(["umount", mount], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def docker(self, *arguments: str, timeout_s: float = 300, stdin: Any = None) -> str:
        """Run a command of docker's, and return what it printed."""
        command = [self._docker, *arguments]
        return _output(command, env=self._environment(), timeout_s=timeout_s, stdin=stdin)

    def compose(self, *arguments: str, variables: dict[str, str]) -> str:
        """Run a command of compose's on our stack."""
        command = [self._compose, "--project-name", "stack-test", *arguments]
        return _output(command, env=self._environment() | variables, timeout_s=300)

    def inspect(self, name: str) -> Any:
        """What the engine knows of a container or an image."""
        return json.loads(self.docker("inspect", name))[0]

    def make_base(self) -> None:
        """Make the base image, unless it is there."""
        if self.docker("images", "--quiet", BASE):
            return
        root = STACK / "root"
        shutil.rmtree(root, ignore_errors=True)
        release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
        suite = release["VERSION_CODENAME"]
        mirrors = _output(["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"])
        mirror = next(line.split()[1] for line in mirrors.splitlines() if line.startswith(f"{suite} "))
        packages = "python3,python3-pip,ca-certificates"
        made = ["debootstrap", "--variant=minbase", f"--include={packages}", suite, str(root), mirror]
        tool("debootstrap", "Debian's debootstrap")
        _output(made)
        shutil.copy(f"/{_CERTIFICATES}", root / _CERTIFICATES)
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        # As in the image that it stands in for, pip may install what it is told to.
        for marker in (root / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
            marker.unlink()
        left = ("./var/cache/apt/archives", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/locale")
        excluded = [f"--exclude={folder}/*" for folder in left]
        changes = [f"--change=ENV PIP_CERT=/{_CERTIFICATES}", '--change=CMD ["python"]']
        with subprocess.Popen(["tar", "-C", root, *excluded, "-c", "."], stdout=subprocess.PIPE) as packed:
            self.docker("import", *changes, "-", BASE, stdin=packed.stdout)
        shutil.rmtree(root, ignore_errors=True)

    def build(self, folder: Path, tag: str, *arguments: str) -> None:
        """Build an image upon the base, on the machine's own network."""
        base = f"--build-arg=PYTHON_IMAGE={BASE}"
        self.docker("build", "--network=host", base, f"--tag={tag}", *arguments, str(folder), timeout_s=600)

    def _answers(self) -> bool:
        asked = [self._docker, "version"]
        return subprocess.run(asked, check=False, capture_output=True, env=self._environment()).returncode == 0

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "DOCKER_"))}
        return kept | {"DOCKER_HOST": self.host}


def _output(command: list[Any], *, env: dict[str, str] | None = None, timeout_s: float = 600, stdin: Any = None) -> str:
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env=env, timeout=timeout_s, stdin=stdin, cwd=REPOSITORY
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout[-3000:]}{ended.stderr[-3000:]}"
    return ended.stdout
