"""`lag`: how far behind each partition is, how long it will take, and what blocks it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from typing import Any, Final

from consumer.cli.configuration import load_configuration
from consumer.cli.pods import DEFAULT_URL, add_url_option, partitions_of, urls_of
from consumer.config.settings import Settings

RATE_S: Final = 2.0
"""Between the two looks that tell how fast a backlog goes."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "lag",
        help="per partition: lag, backlog, age, time to drain, and what blocks",
        description="How far behind each partition is, as Kafka tells; what its oldest open record waits for, as the "
        "pods tell that are named by --url. A pod's own backlog counts what is open beyond the commit, too.",
        epilog="Example: pendo-consumer lag --url http://pod-0:8080. Ends with 0; with 1 when Kafka does not answer.",
    )
    add_url_option(parser)
    parser.add_argument("--no-rate", action="store_true", help="look once: at once, and without a time to drain")
    parser.set_defaults(execute=_execute)


def _execute(args: argparse.Namespace) -> int:
    from consumer.lagging import look  # noqa: PLC0415  # other commands need no client of Kafka

    settings: Settings = load_configuration(args).settings
    rows = asyncio.run(look(settings, 0.0 if args.no_rate else RATE_S))
    told = _told(args)
    for row in rows:
        row.update(told.get((row["topic"], row["partition"]), {}))
    if args.json:
        for row in rows:
            print(json.dumps(row))
    else:
        print(_table(rows))
    return 0


def _told(args: argparse.Namespace) -> dict[tuple[str, int], dict[str, Any]]:
    """What the pods say of their partitions; without --url a pod that is not there is no trouble."""
    told: dict[tuple[str, int], dict[str, Any]] = {}
    for answer in partitions_of(urls_of(args)):
        if answer.status != 200 and args.url:  # noqa: PLR2004  # HTTP's OK
            print(f"{answer.url}: {answer.message or answer.status}", file=sys.stderr)
        for one in answer.body.get("partitions", ()):
            kept = ("backlog", "blocked_by", "blocked_s", "oldest_ms")
            told[one["topic"], one["partition"]] = {key: one[key] for key in kept} | {"pod": answer.url}
    if not told and not args.url:
        print(f"no pod at {DEFAULT_URL}: name them by --url to see what blocks", file=sys.stderr)
    return told


_HEADER: Final = ("partition", "lag", "backlog", "oldest", "drains in", "blocked by")


def _table(rows: Iterable[dict[str, Any]]) -> str:
    lines = [_HEADER, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['topic']}-{row['partition']}",
        _number(row["lag"]),
        _number(row["backlog"]),
        _duration(None if row["oldest_ms"] is None else row["oldest_ms"] / 1000),
        _duration(row["drain_s"]),
        _blocked(row["blocked_by"]),
    )


def _blocked(by: dict[str, Any] | None) -> str:
    if by is None:
        return "-"
    attempts = "1 attempt" if by["attempts"] == 1 else f"{by['attempts']} attempts"
    tried = f", {attempts}, last {by['status']}" if by["attempts"] else ""
    front = f" behind {by['front']}" if by["behind"] else ""
    return f"{by['position']} waits for {by['waits_for']}{front}{tried}: {by['remedy']}"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"
