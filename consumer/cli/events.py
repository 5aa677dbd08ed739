"""Where events come from, for commands that look at some: a file, standard input, or the newest of the topics."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from consumer.config.settings import KafkaSettings

_BOM: Final = b"\xef\xbb\xbf"


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Let a command take FILE or `--sample`."""
    parser.add_argument(
        "--sample",
        metavar="N",
        type=_count,
        help="instead of FILE the newest N records of kafka.topics; reads without a group, commits nothing",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        help="one JSON value a line, or one JSON document; without it, or with -, standard input",
    )


def values_of(
    args: argparse.Namespace, parser: argparse.ArgumentParser, settings: KafkaSettings
) -> Iterator[bytes | None]:
    """The values, of records or as they stand in the file.

    Raises:
        BrokerError: A topic cannot be read.
    """
    if args.sample is not None:
        if args.file is not None:
            parser.error("FILE and --sample exclude each other")
        yield from asyncio.run(_newest(settings, args.sample))
        return
    if args.file is None or str(args.file) == "-":
        yield from _values(sys.stdin.buffer)
        return
    try:
        file = args.file.open("rb")
    except OSError as error:
        parser.error(f"{args.file}: {error.strerror}")
    with file:
        yield from _values(file)


def is_json(value: bytes | None) -> bool:
    """Whether it is JSON at all; an empty record is as good."""
    try:
        orjson.loads((value or b"null").removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return False
    return True


async def _newest(settings: KafkaSettings, count: int) -> list[bytes | None]:
    from consumer.kafka.sampling import newest_records  # noqa: PLC0415  # a file needs no client of Kafka
    from consumer.kafka.security import client_options  # noqa: PLC0415

    options = client_options(settings)
    share = -(-count // len(settings.topics))
    records = [record for topic in settings.topics for record in await newest_records(options, topic, share)]
    return [record.value for record in records[:count]]


def _values(file: BinaryIO) -> Iterator[bytes]:
    """One value a line, as soon as it is there; but a document over several lines is one value."""
    lines = (line.strip() for line in file)
    first = next((line for line in lines if line), b"")
    if is_json(first):
        yield from chain([first] if first else [], filter(None, lines))
        return
    rest = list(lines)
    whole = b"\n".join([first, *rest])
    yield from [whole] if is_json(whole) else filter(None, [first, *rest])


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number from 1")
    return int(text)
