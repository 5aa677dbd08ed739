"""`map`: what would become of each event, one JSON object a line. Nothing is sent, no credential is needed."""

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from consumer.cli.configuration import add_config_option, load_configuration, print_warnings
from consumer.config.settings import Settings
from consumer.errors import RejectedError
from consumer.mapping.assembly import router_of
from consumer.mapping.encode import encode
from consumer.mapping.explain import explain
from consumer.outcomes import Reason
from consumer.pendo.endpoints import Endpoints

_BOM: Final = b"\xef\xbb\xbf"


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "map",
        help="show what would become of events, sending nothing",
        description="Show what would become of each event, as one JSON object a line. Sends nothing, needs no key.",
        epilog="Ends with 0, or with 1 if a line is not JSON at all.",
    )
    add_config_option(parser)
    parser.add_argument("--explain", action="store_true", help="also say, rule by rule, what the mapping file did")
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        help="one JSON value a line, or one JSON document; without it, or with -, standard input",
    )
    parser.set_defaults(execute=lambda args: _execute(args, parser))


def _execute(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    loaded = load_configuration(args)
    print_warnings(loaded)
    if args.file is None or str(args.file) == "-":
        return _map(sys.stdin.buffer, loaded.settings, with_rules=args.explain)
    try:
        with args.file.open("rb") as file:
            return _map(file, loaded.settings, with_rules=args.explain)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        parser.error(f"{args.file}: {error.strerror}")


def _map(file: BinaryIO, settings: Settings, *, with_rules: bool) -> int:
    router = router_of(settings)
    describe = Endpoints.from_settings(settings.pendo).describe
    status = 0
    for value in _values(file):
        for explained in explain(value, settings.segment.envelope_keys, router, describe, with_rules=with_rules):
            print(_line(explained), flush=True)
            if explained["reason"] == Reason.UNDECODABLE and not _is_json(value):
                status = 1
    return status


def _line(explained: dict[str, Any]) -> str:
    try:
        return encode(explained).decode()
    except RejectedError:
        # An event may be sent as it came though it is nested too deeply to be written anew.
        for request in explained["requests"]:
            request["body"] = None
        for rule in explained.get("rules", ()):
            rule["changes"] = []
        return encode(explained | {"message": "the body is nested too deeply to be shown"}).decode()


def _values(file: BinaryIO) -> Iterator[bytes]:
    """One value a line, as soon as it is there; but a document over several lines is one value."""
    lines = (line.strip() for line in file)
    first = next((line for line in lines if line), b"")
    if _is_json(first):
        yield from chain([first], filter(None, lines))
        return
    rest = list(lines)
    whole = b"\n".join([first, *rest])
    yield from [whole] if _is_json(whole) else filter(None, [first, *rest])


def _is_json(value: bytes) -> bool:
    try:
        orjson.loads(value.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return False
    return True
