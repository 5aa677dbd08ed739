"""`python -m tests.chaos --events N [--seed S] [--processes N] [--json]`: one chaos run and its report."""

import argparse
import logging
import random
import sys
import tempfile
from pathlib import Path

import orjson
import uvloop

from tests.chaos.oracle import judge
from tests.chaos.report import to_json, to_text
from tests.chaos.run import Options, chaos


def main() -> int:
    """Run once; the exit status says whether all promises were kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, help="of traffic and faults; without it a new one, which is printed")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rate", type=int, default=1000, help="events produced a second, about")
    parser.add_argument("--by-calls", action="store_true", help="all routes at once: state goes to the Metadata API")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    # What the harness's own Kafka clients have to say of a broker that is away is no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    seed = random.SystemRandom().randrange(1_000_000) if arguments.seed is None else arguments.seed
    options = Options(
        events=arguments.events,
        seed=seed,
        processes=arguments.processes,
        rate=arguments.rate,
        by_calls=arguments.by_calls,
    )
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    sys.stderr.write(f"seed {seed}, {options.rounds} rounds of faults, logs in {folder}\n")
    findings = judge(uvloop.run(chaos(options, folder)))
    if arguments.json:
        sys.stderr.write(to_text(findings) + "\n")
    as_json = orjson.dumps(to_json(findings), option=orjson.OPT_NON_STR_KEYS).decode()
    sys.stdout.write((as_json if arguments.json else to_text(findings)) + "\n")
    return 0 if findings.ok else 1


if __name__ == "__main__":
    sys.exit(main())
