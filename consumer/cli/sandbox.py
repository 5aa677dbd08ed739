"""`sandbox`: the demo's parts with traffic that does not end, to look at and to play with, until Ctrl-C."""

import argparse
import asyncio
import sys


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "sandbox",
        help="the same without an end, to play with",
        description="Start a broker, a simulated Pendo, the service and Segment traffic on this machine, and print "
        "where to look. Needs the extra [sandbox].",
        epilog="Example: pendo-consumer sandbox --rate 200. Ctrl-C ends all of it. Ends with 0 then, with 1 when a "
        "part of it fails.",
    )
    parser.add_argument("--rate", metavar="N", type=_positive, default=50.0, help="events a second (default 50)")
    parser.set_defaults(execute=_execute)


def _execute(args: argparse.Namespace) -> int:
    try:
        from consumer.sandbox import playground, stage  # noqa: PLC0415  # absent from the production image
    except ImportError as error:
        print(f"{error.name} is missing: pip install 'pendo-consumer[sandbox]'", file=sys.stderr)
        return 1
    try:
        asyncio.run(playground.run_playground(args.rate))
    except KeyboardInterrupt:
        return 0
    except stage.StageError as error:
        print(error, file=sys.stderr)
    except ExceptionGroup as group:  # one of the parts failed, the others were taken down
        print(group.exceptions[0], file=sys.stderr)
    return 1


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number
