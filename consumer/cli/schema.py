"""`schema`: the JSON schema of the configuration, for editors and for deployments that check before they deploy."""

import argparse
import json
from typing import Any, Final

from pydantic import BaseModel

from consumer.cli.configuration import add_config_option
from consumer.cli.events import add_source_options
from consumer.cli.observed import print_observed
from consumer.config.settings import Settings
from consumer.mapping.rules.model import MappingFile

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NULL: Final = {"type": "null"}


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON schema of the configuration, or the fields that events carry",
        description="Print the JSON schema of the configuration file: every key, its default and what it means; or "
        "which traits and properties events carry.",
        epilog="Example: pendo-consumer schema --observed --sample 1000. Ends with 0; with 1 when --sample cannot be "
        "read.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--mapping", action="store_true", help="of the mapping file instead")
    what.add_argument(
        "--observed",
        action="store_true",
        help="instead the traits and properties of events in FILE or a sample: how often, of which type, and as what "
        "they go to Pendo; beside them what Pendo has, if pendo.integration_key is set and may read it",
    )
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="with --observed: print one JSON object a field")
    add_source_options(parser)
    parser.set_defaults(execute=lambda args: _execute(args, parser))


def _execute(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if args.observed:
        return print_observed(args, parser)
    if args.file is not None or args.sample is not None:
        parser.error("FILE and --sample go with --observed")
    print(json.dumps(mapping_schema() if args.mapping else configuration_schema(), indent=2))
    return 0


def configuration_schema() -> dict[str, Any]:
    """The JSON schema of the configuration file."""
    return _schema(Settings, "Configuration of pendo-consumer")


def mapping_schema() -> dict[str, Any]:
    """The JSON schema of the mapping file."""
    schema = _schema(MappingFile, "Mapping file of pendo-consumer")
    for section in (schema, *schema["$defs"].values()):
        section["properties"] = {key: _or_null(value) for key, value in section["properties"].items()}
    return schema


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation")
    for section in (schema, *schema["$defs"].values()):
        # YAML reads a section of which every key is commented out as null.
        section["type"] = ["object", "null"]
    return {"$schema": _DIALECT} | schema | {"title": title}


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    """Likewise a list or a table; sections say so themselves."""
    if "$ref" in value:
        return value
    kept = {key: value[key] for key in ("description", "default", "title") if key in value}
    rest = {key: each for key, each in value.items() if key not in kept}
    kinds = rest["anyOf"] if list(rest) == ["anyOf"] else [rest]
    return kept | {"anyOf": kinds if _NULL in kinds else [*kinds, _NULL]}
