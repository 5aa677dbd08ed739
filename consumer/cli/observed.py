"""`schema --observed`: the field ledger of a file or of a sample of the topics, beside what Pendo has."""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from consumer.cli.configuration import load_configuration, print_warnings
from consumer.cli.events import values_of
from consumer.config.settings import Settings
from consumer.errors import UnansweredError, UnreachableError
from consumer.mapping.assembly import router_of
from consumer.mapping.ledger import Entry, Ledger
from consumer.outcomes import EventType
from consumer.pendo.endpoints import Endpoints, Kind
from consumer.segment.decode import decode
from consumer.segment.events import Event

_HEADER: Final = ("type", "field", "events", "values", "goes as", "at Pendo")
_KIND_OF: Final[Mapping[EventType, str]] = {EventType.IDENTIFY: "visitor", EventType.GROUP: "account"}

KINDS: Final[tuple[Kind, ...]] = ("visitor", "account")

Known = Mapping[str, Mapping[str, Sequence[str]]]
"""By kind and name what Pendo has; a kind that it does not tell of is absent."""


def print_observed(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print a line a field; what else there is to say goes to standard error."""
    loaded = load_configuration(args)
    print_warnings(loaded)
    settings = loaded.settings
    ledger = Ledger(router_of(settings))
    for value in values_of(args, parser, settings.kafka):
        for element in decode(value, settings.segment.envelope_keys):
            if isinstance(element, Event):
                ledger.add(element)
    key = settings.pendo.integration_key
    known = {} if key is None else asyncio.run(_known(settings, key.get_secret_value()))
    if args.json:
        for entry in ledger.entries():
            print(json.dumps(_as_json(entry, known)))
    else:
        columns = len(_HEADER) - (not known)
        rows = [_HEADER, *(_as_row(entry, known) for entry in ledger.entries())]
        print("\n".join(_aligned([row[:columns] for row in rows])))
    rest = f"; {ledger.unlisted:,} fields came for which there was no room" if ledger.unlisted else ""
    print(f"{ledger.events:,} events{rest}", file=sys.stderr)
    return 0


async def _known(settings: Settings, key: str) -> Known:
    from consumer.pendo.client import Client  # noqa: PLC0415  # without a key nobody is asked
    from consumer.pendo.fields import known_fields  # noqa: PLC0415

    pendo = settings.pendo
    endpoints = Endpoints.from_settings(pendo)
    known: dict[str, Mapping[str, Sequence[str]]] = {}
    client = Client(timeout_s=settings.delivery.request_timeout_s, ca_file=pendo.ca_file, proxy=pendo.proxy)
    async with client:
        for kind in KINDS:
            try:
                known[kind] = await known_fields(client, endpoints, key, kind)
            except (UnreachableError, UnansweredError) as error:
                print(f"warning: Pendo does not tell its fields of {kind}s: {error}", file=sys.stderr)
    return known


def _at_pendo(entry: Entry, known: Known) -> dict[str, Sequence[str]] | None:
    """What Pendo has under the names as which the field goes; None when it does not tell."""
    fields = known.get(_KIND_OF.get(entry.type, ""))
    return None if fields is None else {name: fields.get(name, []) for name in entry.names}


def _as_json(entry: Entry, known: Known) -> dict[str, object]:
    return {
        "type": entry.type,
        "field": entry.name,
        "events": entry.events,
        "values": dict(entry.kinds.most_common()),
        "goes_as": dict(entry.names.most_common()),
        "left_out": entry.left_out,
        "at_pendo": _at_pendo(entry, known),
    }


def _as_row(entry: Entry, known: Known) -> tuple[str, ...]:
    goes_as = _listed(entry.names + Counter({"(left out)": entry.left_out}), entry.events)
    at_pendo = _at_pendo(entry, known)
    has = "" if at_pendo is None else ", ".join(", ".join(groups) or "(new)" for groups in at_pendo.values())
    return (entry.type, entry.name, f"{entry.events:,}", _listed(entry.kinds, entry.events), goes_as, has)


def _listed(counts: Counter[str], events: int) -> str:
    """Names, with their shares where not all are the same."""
    return ", ".join(
        name if count == events else f"{name} {100 * count / events:.0f} %"
        for name, count in counts.most_common()
        if count
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
