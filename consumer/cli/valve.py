"""`pause`, `resume`, `skip`: an operator's hand, through the admin HTTP of running pods."""

import argparse
import sys
from typing import Any

from consumer.cli.configuration import load_configuration
from consumer.cli.pods import act, add_url_option, report, urls_of
from consumer.kafka.records import parse_position

EXIT_USAGE = 2


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the commands."""
    needs = "It needs http.admin_token, here and in the pods."
    for name, does in (
        ("pause", "stop delivery in these pods until `resume` or a restart; reading stops when the buffer is full"),
        ("resume", "let these pods deliver again"),
    ):
        parser = subparsers.add_parser(
            name,
            help=does.partition(";")[0],
            description=f"{does[0].upper()}{does[1:]}. For a whole group set delivery.paused in the file. {needs}",
            epilog=f"Example: pendo-consumer {name} --url http://pod-0:8080. Pods are named one by one. "
            "Ends with 0 when one pod did it, else with 1.",
        )
        add_url_option(parser)
        parser.set_defaults(execute=_execute, act=name)
    parser = subparsers.add_parser(
        "skip",
        help="dead-letter what is open of one record",
        description=f"Dead-letter what is open of one record, with the reason `operator`. {needs}",
        epilog="Example: pendo-consumer skip segment-events-0@42. All pods may be named: those that do not read the "
        "partition say so. Ends with 0 when one pod did it, with 1 when none, with 2 for what is no position.",
    )
    parser.add_argument("position", metavar="TOPIC-PARTITION@OFFSET", help="as logs and `lag` print it")
    add_url_option(parser)
    parser.set_defaults(execute=_execute, act="skip")


def _execute(args: argparse.Namespace) -> int:
    asked: dict[str, Any] = {}
    if args.act == "skip":
        try:
            parse_position(args.position)
        except ValueError as error:
            print(f"{args.position}: {error}", file=sys.stderr)
            return EXIT_USAGE
        asked = {"position": args.position}
    secret = load_configuration(args).settings.http.admin_token
    token = secret.get_secret_value() if secret else None
    return report(act(urls_of(args), args.act, asked, token), as_json=args.json)
