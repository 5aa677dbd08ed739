"""Which letters a command means: the filters of `dlq list`, `export` and `replay`."""

import argparse

from consumer.cli.configuration import add_config_option
from consumer.cli.times import since
from consumer.letters import Wanted
from consumer.outcomes import EventType


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Let a command take them, and `--config`."""
    add_config_option(parser)
    parser.add_argument("--reason", action="append", default=[], help="of this reason, repeatable; `foreign`: not ours")
    parser.add_argument("--status", action="append", default=[], help="of this last status, repeatable")
    parser.add_argument("--type", action="append", default=[], choices=[t.value for t in EventType], help="repeatable")
    parser.add_argument("--since", type=since, metavar="TIME", help="parked since: an ISO time, or 90m, 24h, 7d ago")
    parser.add_argument("--until", type=since, metavar="TIME", help="parked before")
    parser.add_argument("--id", help="of this messageId, user or account")


def wanted_by(args: argparse.Namespace, letters: frozenset[str] = frozenset()) -> Wanted:
    """What they say; `letters` names some by their positions."""
    return Wanted(
        reasons=frozenset(args.reason),
        statuses=frozenset(args.status),
        types=frozenset(args.type),
        since_ms=args.since,
        until_ms=args.until,
        id=args.id,
        letters=letters,
    )
