"""`config/consumer.yaml` is the documentation of the configuration: complete, valid, and equal to the defaults."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from consumer.cli.schema import configuration_schema
from consumer.config.keys import KEYS, SECRETS
from consumer.config.load import load
from consumer.config.settings import Settings

FILE = Path(__file__).parents[2] / "config" / "consumer.yaml"


def keys_in(text: str) -> list[str]:
    """Dotted keys in the order of the file, those that are commented out included."""
    found: list[str] = []
    open_sections: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"( *)(?:# )?([a-z_]+):(?: [^ ].*)?$", line):
            depth = len(match[1]) // 2
            open_sections[depth:] = [match[2]]
            found.append(".".join(open_sections))
    return found


def test_it_is_equal_to_the_defaults() -> None:
    """Whoever starts from it changes nothing."""
    loaded = load(FILE, {})
    assert loaded.settings == Settings()
    assert loaded.warnings == ()


def test_it_has_every_key_in_the_order_of_the_settings() -> None:
    """Keys without a default stand as comments."""
    keys = [key for key in keys_in(FILE.read_text("utf-8")) if key in KEYS]
    assert keys == list(KEYS)


def test_its_commented_keys_can_be_commented_in(tmp_path: Path) -> None:
    """Where they stand they would belong to the right section."""
    text = re.sub(r"^( *)# ([a-z_]+:)$", r"\1\2", FILE.read_text("utf-8"), flags=re.MULTILINE)
    file = tmp_path / "consumer.yaml"
    file.write_text(text.replace("  file:\n", ""), "utf-8")
    assert load(file, {}).settings == Settings()


def test_the_schema_accepts_it() -> None:
    """An editor that knows the schema shows no error in it."""
    schema = configuration_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(FILE.read_text("utf-8")), schema)


def test_the_schema_refuses_an_unknown_key() -> None:
    """As loading does."""
    with pytest.raises(jsonschema.ValidationError, match="bootstrap_serverz"):
        jsonschema.validate({"kafka": {"bootstrap_serverz": "x"}}, configuration_schema())


def test_the_schema_describes_every_key_and_hides_secrets() -> None:
    """A newcomer reads it in the editor."""
    sections = configuration_schema()["$defs"].values()
    properties = [(name, value) for section in sections for name, value in section["properties"].items()]
    assert [name for name, value in properties if "description" not in value and "$ref" not in value] == []
    write_only = {name for name, value in properties if "writeOnly" in str(value)}
    assert write_only == {key.rpartition(".")[2] for key in SECRETS}
