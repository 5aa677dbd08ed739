"""`schema`: the JSON schema of the configuration, for editors and for deployments that check before they deploy."""

import argparse
import json
from typing import Any, Final

from consumer.config.settings import Settings

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON schema of the configuration",
        description="Print the JSON schema of the configuration file: every key, its default and what it means.",
    )
    parser.set_defaults(execute=_execute)


def _execute(_: argparse.Namespace) -> int:
    print(json.dumps(configuration_schema(), indent=2))
    return 0


def configuration_schema() -> dict[str, Any]:
    """The JSON schema of the configuration file."""
    schema = Settings.model_json_schema(mode="validation")
    for section in (schema, *schema["$defs"].values()):
        # YAML reads a section of which every key is commented out as null.
        section["type"] = ["object", "null"]
    return {"$schema": _DIALECT} | schema | {"title": "Configuration of pendo-consumer"}
