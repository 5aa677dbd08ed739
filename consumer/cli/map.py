"""`map`: what would become of each event, one JSON object a line. Nothing is sent, no credential is needed."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from consumer.cli.configuration import add_config_option, load_configuration, print_warnings
from consumer.cli.events import add_source_options, is_json, values_of
from consumer.config.settings import Settings
from consumer.errors import RejectedError
from consumer.mapping.assembly import handlers_of, router_of
from consumer.mapping.changes import changes
from consumer.mapping.encode import encode
from consumer.mapping.explain import explain
from consumer.mapping.router import Router
from consumer.mapping.rules.compiled import compile_rules
from consumer.mapping.rules.file import read_rules
from consumer.outcomes import Reason
from consumer.pendo.endpoints import Endpoints

MAX_LEVELS: Final = 6
"""How far down two requests are compared name by name: to `requests.0.body.0.values.NAME`."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "map",
        help="show what would become of events, sending nothing",
        description="Show what would become of each event, as one JSON object a line. Sends nothing, needs no key.",
        epilog="Example: pendo-consumer map --explain events.jsonl. Ends with 0, or with 1 if a line is not JSON at "
        "all.",
    )
    add_config_option(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--explain", action="store_true", help="also say, rule by rule, what the mapping file did")
    how.add_argument(
        "--against",
        metavar="OLD",
        type=Path,
        help="show only what would be different from under this mapping file: messageId, type, changes",
    )
    add_source_options(parser)
    parser.set_defaults(execute=lambda args: _execute(args, parser))


def _execute(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    loaded = load_configuration(args)
    print_warnings(loaded)
    settings, values = loaded.settings, values_of(args, parser, loaded.settings.kafka)
    if args.against is not None:
        return _compare(values, settings, args.against)
    return _map(values, settings, with_rules=args.explain)


def _map(values: Iterable[bytes | None], settings: Settings, *, with_rules: bool) -> int:
    status = 0
    for value, explained in _explained(values, settings, router_of(settings), with_rules=with_rules):
        print(_line(explained), flush=True)
        if explained["reason"] == Reason.UNDECODABLE and not is_json(value):
            status = 1
    return status


def _compare(values: Iterable[bytes | None], settings: Settings, old: Path) -> int:
    """Print what the settings' mapping makes different; and how much that is, apart from it."""
    before_router = router_of(settings, compile_rules(read_rules(old), handlers_of(settings)))
    after_router = router_of(settings)
    status = events = different = 0
    for value in values:
        before, after = (_explained([value], settings, router) for router in (before_router, after_router))
        for (_, was), (_, is_) in zip(before, after, strict=True):
            events += 1
            if found := list(changes(was, is_, MAX_LEVELS)):
                different += 1
                print(_line({"messageId": is_["messageId"], "type": is_["type"], "changes": found}), flush=True)
        status = status or int(not is_json(value))
    print(f"{different} of {events} events would be different", file=sys.stderr)
    return status


def _explained(
    values: Iterable[bytes | None], settings: Settings, router: Router, *, with_rules: bool = False
) -> Iterator[tuple[bytes | None, dict[str, Any]]]:
    describe = Endpoints.from_settings(settings.pendo).describe
    for value in values:
        for explained in explain(value, settings.segment.envelope_keys, router, describe, with_rules=with_rules):
            yield value, explained


def _line(explained: dict[str, Any]) -> str:
    try:
        return encode(explained).decode()
    except RejectedError:
        # An event may be sent as it came though it is nested too deeply to be written anew.
        for request in explained.get("requests", ()):
            request["body"] = None
        for holder in (explained, *explained.get("rules", ())):
            if "changes" in holder:
                holder["changes"] = []
        return encode(explained | {"message": "nested too deeply to be shown"}).decode()
