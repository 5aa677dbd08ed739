"""`python -m tests.scaling [--longer TIMES]`: one to four to two members under load on Apache Kafka, and its report."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.scaling.record import Options
from tests.scaling.report import to_text
from tests.scaling.run import scaling
from tests.scaling.verdict import verdict


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> int:
    """Run once; the exit status says whether all promises were kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.scaling", description=__doc__)
    parser.add_argument("--longer", type=float, default=1.0, help="phases so many times as long")
    arguments = parser.parse_args()
    # What the harness's own Kafka clients have to say of a broker that has just started is no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="scaling-"))
    _say(f"logs in {folder}")
    run = uvloop.run(scaling(Options().longer(arguments.longer), folder, _say))
    found = verdict(run)
    sys.stdout.write(to_text(run, found) + "\n")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
