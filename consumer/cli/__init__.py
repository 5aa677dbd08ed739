"""The command `pendo-consumer`: one file a command, exit statuses that scripts hold on to.

78 is a configuration that cannot be used, 2 a command line that cannot, 130 Ctrl-C; the rest is each command's own.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from consumer import __version__
from consumer.cli import check, demo, dlq, lag, map, run, sandbox, schema, test, trace, valve, verify  # noqa: A004  # the command's name
from consumer.errors import ConfigError, ConsumerError

COMMANDS: Final = (run, check, map, test, lag, trace, verify, dlq, valve, schema, demo, sandbox)
"""In the order of the help text; each module registers itself by `add_to(subparsers)`."""
EXIT_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells have it."""
EXIT_BROKEN_PIPE: Final = 141
"""128 + SIGPIPE: whoever read our output has gone, as `head` does."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its status."""
    sys.exit(execute(argv))


def execute(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    args = _parser().parse_args(argv)
    try:
        status: int = args.execute(args)
        sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return check.EXIT_CONFIG
    except ConsumerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would complain once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pendo-consumer",
        description="Delivers Segment events from a Kafka topic to Pendo: in order, concurrently, with nothing lost.",
        epilog="Start with `pendo-consumer check`, which says what your configuration lacks. "
        "Each command explains itself: `pendo-consumer COMMAND -h`.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(subparsers)
    return parser
