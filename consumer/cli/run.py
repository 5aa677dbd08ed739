"""`run`: the service, until SIGTERM or SIGINT."""

import argparse

from consumer.cli.configuration import add_config_option, load_configuration
from consumer.config.checks import require_credentials
from consumer.log import get_logger

log = get_logger(__name__)


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "run",
        help="deliver events from Kafka to Pendo until stopped",
        description="Deliver events from Kafka to Pendo. SIGTERM or Ctrl-C drains, commits and leaves the group.",
        epilog="Example: pendo-consumer run --config consumer.yaml. Ends with 0 when all that was not settled was "
        "released, 1 if a commit was not confirmed, 78 when the configuration cannot be used.",
    )
    add_config_option(parser)
    parser.set_defaults(execute=_execute)


def _execute(args: argparse.Namespace) -> int:
    from consumer.process import run_service  # noqa: PLC0415  # other commands start without the clients

    loaded = load_configuration(args)
    require_credentials(loaded.settings)
    for warning in loaded.warnings:
        log.warning("configuration", problem=warning)
    return run_service(loaded)
