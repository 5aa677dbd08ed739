"""`check`: is the configuration valid, and with `--connect` do Kafka and Pendo take it?"""

import argparse
import asyncio
import json
from collections.abc import Iterable
from typing import Final

from consumer.cli.configuration import add_config_option, load_configuration
from consumer.config.checks import require_credentials
from consumer.config.load import Loaded
from consumer.errors import ConfigError
from consumer.mapping.assembly import router_of

EXIT_OK: Final = 0
EXIT_CONFIG: Final = 78
"""`EX_CONFIG` of sysexits.h."""

Line = tuple[str, str, str]
"""State (`ok`, `warning`, `problem`), subject, message."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "check",
        help="validate configuration and mapping; --connect also asks Kafka and Pendo",
        description="Validate the configuration and the mapping file. Nothing is read from the topic, nothing is sent.",
        epilog="Example: pendo-consumer check --connect --config consumer.yaml. Ends with 0, or with 78 when something "
        "must be fixed.",
    )
    add_config_option(parser)
    parser.add_argument("--connect", action="store_true", help="also ask Kafka and Pendo whether they take it")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line: state, subject, message")
    parser.set_defaults(execute=_execute)


def _execute(args: argparse.Namespace) -> int:
    try:
        loaded = load_configuration(args)
        require_credentials(loaded.settings)
        router_of(loaded.settings)
    except ConfigError as error:
        if not args.json:
            raise
        return _report((("problem", "configuration", problem) for problem in error.problems), as_json=True)
    lines: list[Line] = [("ok", "configuration", "ok")]
    lines += [("warning", "configuration", warning) for warning in loaded.warnings]
    lines += _connected(loaded) if args.connect else []
    return _report(lines, as_json=args.json)


def _connected(loaded: Loaded) -> list[Line]:
    from consumer.inspection import inspect  # noqa: PLC0415  # a plain check needs no client of Kafka or Pendo

    findings = asyncio.run(inspect(loaded.settings))
    return [("ok" if finding.ok else "problem", finding.subject, finding.message) for finding in findings]


def _report(lines: Iterable[Line], *, as_json: bool) -> int:
    status = EXIT_OK
    for state, subject, message in lines:
        status = EXIT_CONFIG if state == "problem" else status
        if as_json:
            print(json.dumps({"state": state, "subject": subject, "message": message}))
        else:
            print(f"{subject} ok" if message == state == "ok" else f"{state}: {subject}: {message}")
    return status
