"""`verify`: whether Pendo holds what was delivered, by a sample of visitors and accounts."""

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Final

from consumer.cli.configuration import add_config_option, load_configuration
from consumer.cli.times import moment, since
from consumer.config.settings import Settings
from consumer.errors import ConfigError

if TYPE_CHECKING:
    from consumer.verification import Verified

EXIT_DIFFERS: Final = 1


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "verify",
        help="compare a sample of what was delivered with what Pendo holds",
        description="Compare the fields of some visitors and accounts, as they were delivered last, with what Pendo "
        "holds of them. It needs pendo.integration_key, which may be one that only reads, and asks Pendo once for each "
        "of the sample. Values are not printed. Track events are not compared: Pendo has no way to read one back.",
        epilog="Example: pendo-consumer verify --since 24h --sample 500. Ends with 0, or with 1 when Pendo lacks "
        "something.",
    )
    add_config_option(parser)
    parser.add_argument(
        "--since", type=since, metavar="TIME", default="24h", help="came since: an ISO time, or 90m, 24h, 7d ago [24h]"
    )
    parser.add_argument(
        "--until", type=since, metavar="TIME", default="10m", help="came before [10m]: Pendo shows what it took later"
    )
    parser.add_argument("--sample", type=_size, metavar="N", default=200, help="visitors and accounts at most [200]")
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="another one gives another sample [0]")
    parser.add_argument("--json", action="store_true", help="print one JSON object: counts, share, and what differs")
    parser.set_defaults(execute=_execute)


def _size(text: str) -> int:
    size = int(text)
    if size < 1:
        raise argparse.ArgumentTypeError("a sample has at least one")
    return size


def reading_key(settings: Settings) -> str:
    """The key with which Pendo is read.

    Raises:
        ConfigError: There is none.
    """
    key = settings.pendo.integration_key
    if key is None:
        variable = "PENDO_CONSUMER_PENDO__INTEGRATION_KEY"
        needed = "pendo.integration_key: needed to read from Pendo, and one that only reads is enough"
        raise ConfigError([f"{needed}; set {variable}, or {variable}_FILE to a file's name"])
    return key.get_secret_value()


def _execute(args: argparse.Namespace) -> int:
    from consumer.verification import verify  # noqa: PLC0415  # other commands need no client of Kafka

    settings = load_configuration(args).settings
    asked = {"since_ms": args.since, "until_ms": args.until, "size": args.sample, "seed": args.seed}
    verified = asyncio.run(verify(settings, reading_key(settings), **asked))
    if args.json:
        print(json.dumps(_as_json(verified)))
    else:
        _print(verified, args.since, args.until)
    return EXIT_DIFFERS if verified.rows else 0


def _as_json(verified: "Verified") -> dict[str, object]:
    held = {held.value: count for held, count in verified.held.items()}
    counts = {"ids": verified.ids, "sampled": verified.sampled, "unknown": verified.unknown}
    return counts | {"fields": held, "share": verified.share, "differences": verified.rows}


def _print(verified: "Verified", since_ms: int, until_ms: int) -> None:
    for row in verified.rows:
        print(f"{row['kind']} {row['id']}  {row['field']}  {row['held']}  sent by {row['position']}")
    if verified.share is None:
        span = f"between {moment(since_ms)} and {moment(until_ms)}"
        print(
            f"nothing that writes fields was delivered {span}; for what came later give a later --until",
            file=sys.stderr,
        )
        return
    unknown = f"; {verified.unknown:,} of them Pendo does not know" if verified.unknown else ""
    print(
        f"{verified.share:.2%} of {verified.held.total():,} fields of {verified.sampled:,} visitors and accounts hold "
        f"what was sent last{unknown} (of about {verified.ids:,} in all)",
        file=sys.stderr,
    )
