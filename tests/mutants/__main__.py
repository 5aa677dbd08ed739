"""`python -m tests.mutants [NAME …]`: takes guards out of the code, one at a time, and sees to it that a test fails.

Each mutation of `mutations` is made in a copy of the repository, in which the one test runs that must catch it. Before
that, all these tests must pass in a copy that nothing was taken out of. Exit status 0 only when every mutant is caught.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from tests.mutants.mutations import MUTATIONS, Mutation

REPOSITORY: Final = Path(__file__).parents[2]
NEEDED: Final = ("consumer", "tests", "config", "benchmarks", "pyproject.toml", "Makefile", "README.md", "docs")
TIMEOUT_S: Final = 120.0
"""For one mutant; a test that never ends without its guard has noticed it too."""
WORKERS: Final = 2
TESTS_FAILED: Final = 1
"""pytest's exit status; 2 to 5 say that no test has run, which catches nothing."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant.

    Attributes:
        mutation: The mutant.
        caught: Whether its test failed.
        detail: In a few words how, or why not.
        took_s: Seconds.
    """

    mutation: Mutation
    caught: bool
    detail: str
    took_s: float


def main() -> int:
    """Run the mutations that were asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutations to run; without one all of them")
    parser.add_argument("--list", action="store_true", help="only show them")
    args = parser.parse_args()
    unknown = set(args.names) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}")
    chosen = [mutation for mutation in MUTATIONS if not args.names or mutation.name in args.names]
    if args.list:
        print("\n".join(f"{m.name:32} {m.guard}" for m in chosen))
        return 0
    return _run(chosen)


def _run(chosen: list[Mutation]) -> int:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        whole = _copy(Path(folder) / "whole")
        tests = sorted({test for mutation in chosen for test in mutation.tests})
        status, output = _pytest(whole, tests)
        if status != 0:
            print(output)
            print("the tests do not pass before anything is taken out")
            return 1
        with ThreadPoolExecutor(WORKERS) as pool:
            results = list(pool.map(lambda m: _try(m, Path(folder)), chosen))
    escaped = [result for result in results if not result.caught]
    print(f"\n{len(results) - len(escaped)} of {len(results)} mutants caught")
    for result in escaped:
        print(f"  escaped: {result.mutation.name} ({result.mutation.file}): {result.detail}")
    return 1 if escaped else 0


def _try(mutation: Mutation, folder: Path) -> Result:
    started = monotonic()
    copy = _copy(folder / mutation.name)
    try:
        caught, detail = _mutate_and_test(mutation, copy)
    finally:
        shutil.rmtree(copy)
    result = Result(mutation, caught, detail, monotonic() - started)
    print(f"{'caught ' if caught else 'ESCAPED'} {mutation.name:34} {result.took_s:5.1f} s  {detail}", flush=True)
    return result


def _mutate_and_test(mutation: Mutation, copy: Path) -> tuple[bool, str]:
    file = copy / "consumer" / mutation.file
    source = file.read_text()
    if source.count(mutation.old) != 1:
        return False, f"what is to be taken out stands there {source.count(mutation.old)} times"
    file.write_text(source.replace(mutation.old, mutation.new))
    try:
        status, output = _pytest(copy, mutation.tests)
    except subprocess.TimeoutExpired:
        return True, "its test does not end"
    if status == TESTS_FAILED:
        return True, _first_failure(output)
    return False, "its test passes" if status == 0 else f"its test did not run (status {status}): {output[-500:]}"


def _first_failure(output: str) -> str:
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0][:110] if failed else "failed"


def _pytest(copy: Path, tests: "list[str] | tuple[str, ...]") -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--no-header"]
    command += [f"tests/{test}" for test in tests]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    done = subprocess.run(
        command, cwd=copy, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


def _copy(to: Path) -> Path:
    """Copy what the tests need; without what tools leave behind."""
    to.mkdir(parents=True)
    for name in NEEDED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules", ".build"))
        else:
            shutil.copy2(source, to / name)
    return to


if __name__ == "__main__":
    sys.exit(main())
