"""`dlq`: the dead-letter topic. What lies there, as letters or as cases; one whole; as lines that `map` takes."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from consumer.cli import replay
from consumer.cli.configuration import add_config_option, load_configuration
from consumer.cli.letter_filters import add_filters, wanted_by
from consumer.config.settings import Settings
from consumer.kafka.records import parse_position
from consumer.letters import Wanted, cases_of, event_of, exported, row_of, shown

if TYPE_CHECKING:
    from consumer.kafka.filed import Filed
    from consumer.kafka.records import Partition
    from consumer.segment.events import Event

EXIT_NONE: Final = 1
EXIT_USAGE: Final = 2


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "dlq",
        help="the dead-letter topic: list, show, export, replay",
        description="Look into the dead-letter topic, and send what lies there again. Only `replay` changes anything.",
        epilog="Example: pendo-consumer dlq list --group-by case. Then `dlq show` the example of a case, "
        "`dlq export --reason invalid_id | pendo-consumer map` for what would become of such letters now, and "
        "`dlq replay --reason invalid_id` to send them.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser(
        "list",
        help="a line a letter, or a line a case",
        description="List letters, or cases: letters alike in reason, status, type and failing field.",
        epilog="Example: pendo-consumer dlq list --group-by case --since 24h. Ends with 0.",
    )
    listing.add_argument("--group-by", choices=["case"], help="a line a case: how many, first, last, an example")
    listing.add_argument("--open", action="store_true", help="only those that were not sent again")
    listing.add_argument("--json", action="store_true", help="print one JSON object a line")
    add_filters(listing)
    listing.set_defaults(execute=_list)
    showing = commands.add_parser(
        "show",
        help="one letter whole: headers, event, and what would become of it now",
        description="Show one letter whole, as JSON. It holds what the event holds, personal data included.",
        epilog="Example: pendo-consumer dlq show segment-events-dead-letter-0@17. Ends with 0, or 1: no such letter.",
    )
    showing.add_argument("letter", metavar="LETTER", help="TOPIC-PARTITION@OFFSET, as `list` prints it")
    showing.add_argument("--json", action="store_true", help="print it as one JSON object on one line")
    add_config_option(showing)
    showing.set_defaults(execute=_show)
    exporting = commands.add_parser(
        "export",
        help="the events as JSON lines, which `map` takes",
        description="Print the events of letters, one JSON value a line, as `map` and `test` take them. They hold "
        "personal data.",
        epilog="Example: pendo-consumer dlq export --reason refused | pendo-consumer map. Ends with 0.",
    )
    add_filters(exporting)
    exporting.set_defaults(execute=_export)
    replay.add_to(commands)


def _list(args: argparse.Namespace) -> int:
    settings = load_configuration(args).settings
    replayed = _replayed(settings)
    found = [
        (filed, event)
        for filed, event in _letters(settings, wanted_by(args))
        if not (args.open and replayed(filed.letter))
    ]
    if args.group_by:
        rows = cases_of(found)
    else:
        rows = [row_of(filed, event, replayed=replayed(filed.letter)) for filed, event in found]
        rows.sort(key=lambda row: row["parked_ms"])
    if args.json:
        for row in rows:
            print(json.dumps(row))
    else:
        _print_table(rows, by_case=bool(args.group_by))
    return 0


def _show(args: argparse.Namespace) -> int:
    from consumer.mapping.assembly import router_of  # noqa: PLC0415  # `list` and `export` map nothing
    from consumer.mapping.explain import explain  # noqa: PLC0415
    from consumer.pendo.endpoints import Endpoints  # noqa: PLC0415

    try:
        partition, offset = parse_position(args.letter)
    except ValueError as error:
        print(f"{args.letter}: {error}", file=sys.stderr)
        return EXIT_USAGE
    settings = load_configuration(args).settings
    envelope = settings.segment.envelope_keys
    router, describe = router_of(settings), Endpoints.from_settings(settings.pendo).describe
    for filed in _read(settings, partition.topic, (partition, offset)):
        event = event_of(filed, envelope)
        letter = shown(filed, event, envelope, lambda value: explain(value, envelope, router, describe))
        print(json.dumps(letter, indent=None if args.json else 2, ensure_ascii=False))
        return 0
    print(f"{args.letter}: there is no such letter; it may have expired", file=sys.stderr)
    return EXIT_NONE


def _export(args: argparse.Namespace) -> int:
    settings = load_configuration(args).settings
    left_out = 0
    for filed, event in _letters(settings, wanted_by(args)):
        value = exported(filed, event, settings.segment.envelope_keys)
        if value is None:
            left_out += 1
        else:
            sys.stdout.buffer.write(value + b"\n")
    sys.stdout.buffer.flush()
    if left_out:
        print(f"{left_out} left out: without a value, or not a line of text; see `dlq show`", file=sys.stderr)
    return 0


def _letters(settings: Settings, wanted: Wanted) -> Iterator[tuple["Filed", "Event | None"]]:
    for filed in _read(settings, settings.dead_letter.topic, None):
        event = event_of(filed, settings.segment.envelope_keys)
        if wanted.holds(filed, event):
            yield filed, event


def _replayed(settings: Settings) -> Callable[[str], bool]:
    """Tells by its position whether a letter was sent again."""
    from consumer.kafka.committed import Committed, commits_of  # noqa: PLC0415
    from consumer.kafka.security import client_options  # noqa: PLC0415

    options, topic = client_options(settings.kafka), settings.dead_letter.topic
    commits = asyncio.run(commits_of(options, settings.kafka.replay_group, [topic]))

    def replayed(letter: str) -> bool:
        partition, offset = parse_position(letter)
        return bool(commits.get(partition, Committed()).is_finished(offset))

    return replayed


def _read(settings: Settings, topic: str, only: "tuple[Partition, int] | None") -> list["Filed"]:
    from consumer.kafka.filed import letters_in  # noqa: PLC0415  # other commands need no client of Kafka
    from consumer.kafka.security import client_options  # noqa: PLC0415

    async def read() -> list["Filed"]:
        return [filed async for filed in letters_in(client_options(settings.kafka), topic, only=only)]

    return asyncio.run(read())


_LETTER_COLUMNS: Final = ("parked", "letter", "position", "reason", "status", "type", "attempts", "replayed", "message")
_CASE_COLUMNS: Final = ("count", "reason", "status", "type", "field", "first", "last", "example", "message")


def _print_table(rows: list[dict[str, Any]], *, by_case: bool) -> None:
    columns = _CASE_COLUMNS if by_case else _LETTER_COLUMNS
    lines = [columns, *(tuple(_cell(row, column) for column in columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    total = sum(row["count"] for row in rows) if by_case else len(rows)
    print(
        f"{total:,} letter{'' if total == 1 else 's'}" + (f" in {len(rows)} cases" if by_case else ""), file=sys.stderr
    )


def _cell(row: dict[str, Any], column: str) -> str:
    if column in {"parked", "first", "last"}:
        at_ms = row["parked_ms" if column == "parked" else column]
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    if column == "replayed":
        return "yes" if row[column] else "no"
    return str(row[column]) or "-"
