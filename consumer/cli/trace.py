"""`trace`: what became of one messageId, or of a user's events."""

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any, Final

from consumer.cli.configuration import load_configuration
from consumer.cli.pods import add_url_option, partitions_of, urls_of
from consumer.cli.times import since
from consumer.cli.verify import reading_key
from consumer.config.settings import Settings
from consumer.kafka.records import Partition

EXIT_UNKNOWN: Final = 1


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "trace",
        help="what became of a messageId, or of a user's events",
        description="What became of events, derived from the topics, the commit with its offset map, and dead letters. "
        "It reads all that the topics hold, or since --since. Pods named by --url tell open from unread.",
        epilog="Example: pendo-consumer trace 97980cfea0067 --since 24h. Ends with 0, or with 1 when nothing is found.",
    )
    parser.add_argument("id", metavar="ID", help="a messageId, or the id of a user or account")
    parser.add_argument("--since", type=since, metavar="TIME", help="came since: an ISO time, or 90m, 24h, 7d ago")
    add_url_option(parser)
    parser.add_argument(
        "--pendo",
        action="store_true",
        help="ask Pendo, too, which fields hold what was sent; needs pendo.integration_key",
    )
    parser.set_defaults(execute=_execute)


def _execute(args: argparse.Namespace) -> int:
    from consumer.traces import trace  # noqa: PLC0415  # other commands need no client of Kafka

    settings = load_configuration(args).settings
    key = reading_key(settings) if args.pendo else None
    rows = asyncio.run(trace(settings, args.id, since_ms=args.since, read_to=_read_to(args)))
    if key is not None:
        _ask_pendo(settings, key, rows, args.since)
    for row in rows:
        print(json.dumps(row) if args.json else _line(row))
    if not rows:
        print(f"{args.id}: not found in {', '.join(settings.kafka.topics)}; it may have expired", file=sys.stderr)
    return 0 if rows else EXIT_UNKNOWN


def _ask_pendo(settings: Settings, key: str, rows: list[dict[str, Any]], since_ms: int | None) -> None:
    """Give each event that wrote fields `pendo`: by field that no newer event wrote, whether it is held."""
    from consumer.verification import held_of  # noqa: PLC0415

    writing = [row for row in rows if row["outcome"] == "delivered" and row["type"] in {"identify", "group"}]
    lanes = {lane for row in writing for lane in row["lanes"]}
    held = asyncio.run(held_of(settings, key, lanes, since_ms=since_ms))
    for row in writing:
        fields: dict[str, str] = {}
        for lane in row["lanes"]:
            fields |= {name: found.value for name, found in held.get((lane, row["position"]), {}).items()}
        row["pendo"] = fields


def _read_to(args: argparse.Namespace) -> dict[Partition, int]:
    if not args.url:
        return {}
    told: dict[Partition, int] = {}
    for answer in partitions_of(urls_of(args)):
        if answer.status != 200:  # noqa: PLR2004  # HTTP's OK
            print(f"{answer.url}: {answer.message or answer.status}", file=sys.stderr)
        for one in answer.body.get("partitions", ()):
            told[Partition(one["topic"], one["partition"])] = one["read"] or 0
    return told


def _line(row: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(row["arrived_ms"] / 1000, UTC).isoformat(timespec="seconds")
    where = row["position"] + ("" if row["index"] is None else f" event {row['index']}")
    end = " ".join(part for part in (row["outcome"], row["reason"]) if part)
    told = f"{at}  {where}  {row['type']}  {row['messageId'] or '-'}  {row['state']}"
    letter = f", letter {row['letter']}" if row["letter"] else ""
    pendo = ", ".join(f"{name} {held}" for name, held in row.get("pendo", {}).items())
    noted = f" ({row['note']})" if row["note"] else ""
    return told + (f"  {end}" if end else "") + letter + noted + (f"; at Pendo: {pendo}" if pendo else "")
