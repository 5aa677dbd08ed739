"""`demo`: broker, simulated Pendo, real Segment events and the service on this machine, and a ledger at the end."""

import argparse
import asyncio
import sys


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "demo",
        help="watch events go from Kafka to a simulated Pendo, and count them",
        description="Start a broker, a simulated Pendo and the service on this machine, send real Segment events "
        "through, and print where each of them ended. Needs the extra [sandbox].",
        epilog="Example: pendo-consumer demo --events 20000 --faults. Ends with 0 only if every event is accounted "
        "for, else with 1.",
    )
    parser.add_argument("--events", metavar="N", type=_positive, default=5000, help="how many (default 5000)")
    parser.add_argument("--faults", action="store_true", help="let Pendo fail, be slow, be down, and refuse some")
    parser.set_defaults(execute=_execute)


def _execute(args: argparse.Namespace) -> int:
    try:
        from consumer.sandbox import demo, stage  # noqa: PLC0415  # absent from the production image
    except ImportError as error:
        print(f"{error.name} is missing: pip install 'pendo-consumer[sandbox]'", file=sys.stderr)
        return 1
    try:
        return 0 if asyncio.run(demo.run_demo(args.events, faults=args.faults)) else 1
    except stage.StageError as error:
        print(error, file=sys.stderr)
    except ExceptionGroup as group:  # one of the parts failed, the others were taken down
        print(group.exceptions[0], file=sys.stderr)
    except TimeoutError:
        print("The demo did not end in time; not every event is accounted for.", file=sys.stderr)
    return 1


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number
