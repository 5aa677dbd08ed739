"""The mapping file: what it may hold, and what is said of what it may not."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from consumer.cli.schema import mapping_schema
from consumer.config.yaml_tree import read_tree
from consumer.errors import ConfigError
from consumer.mapping.rules.file import parse_rules, read_rules
from consumer.mapping.rules.model import FieldRules, MappingFile, TypeFields

FILE = Path(__file__).parents[2] / "config" / "mapping.yaml"


def problems_of(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "mapping.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_rules(file)
    return [problem.removeprefix(f"{tmp_path}/mapping.yaml:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("deny:\n- event: x", "2: deny[0].event: unknown key; did you mean events?"),
        ("a: 1\n", "1: a: unknown key"),
        ("\nfelds: {}", "2: felds: unknown key; did you mean fields?"),
        ("fields:\n  trak: {}", "2: fields.trak: unknown key; did you mean track?"),
        ("fields:\n  track:\n    flaten: true", "3: fields.track.flaten: unknown key; did you mean flatten?"),
        ("overrides:\n- {types: track, fields: {kep: a}}", "2: overrides[0].fields.kep: unknown key; did you"),
        ("personal_data:\n  drop:\n    trait: a", "3: personal_data.drop.trait: unknown key; did you mean"),
        (
            "deny:\n- types:\n  - page\n  - trak\n",
            "4: deny[0].types[1]: must be 'identify', 'group', 'track', 'page', 'screen', 'alias' or 'delete'; did you",
        ),
        ("deny:\n- types: trak\n", "2: deny[0].types: must be 'identify'"),
        ("fields: {track: {coerce: {a: int}}}", "1: fields.track.coerce.a: must be 'text', 'number', 'integer'"),
        ("deny:\n- {}", "2: deny[0]: needs types, events, context, traits or properties"),
        ("only:\n- name: x", "2: only[0]: needs types, events"),
        ("deny: {types: track}", "1: deny: must be a list"),
        ("deny: [track]", "1: deny[0]: must be a section, keys with values"),
        ("deny: [{events: 5}]", "1: deny[0].events: must be text; write it in quotes"),
        ("deny: [{events: ['']}]", "1: deny[0].events[0]: must not be blank"),
        ("deny: [{context: {a: {b: c}}}]", "1: deny[0].context.a: must be text, a number, true, false or null"),
        ("deny: [{context: {a: []}}]", "1: deny[0].context.a: must be text, a number"),
        ("deny: [{context: {a: .nan}}]", "1: deny[0].context.a: must be text, a number"),
        ("deny: [{context: {a..b: 1}}]", "1: deny[0].context.a..b: must be a name, or names joined by dots"),
        ("account: [company_id]", "1: account[0]: must begin with traits., properties. or context."),
        ("account: traits.", "1: account: must begin with traits."),
        ("names: {page: '{nam}'}", "1: names.page: a place is {name}, {category} or {properties.NAME}, not {nam}"),
        ("names: {page: ['{']}", "1: names.page[0]: "),
        ("names: {track: {a: ''}}", "1: names.track.a: must not be blank"),
        ("fields: {track: {flatten: maybe}}", "1: fields.track.flatten: must be true or false"),
        ("fields: {track: {constants: {a: {b: 1}}}}", "1: fields.track.constants.a: must be text, a number"),
        ("fields: {track: {constants: {a: .inf}}}", "1: fields.track.constants.a: must be text, a number"),
        ("fields: {track: {rename: [a]}}", "1: fields.track.rename: must be a mapping of names to values"),
        ("- a\n", "1: the file: must be a section, keys with values"),
        ("deny: []\ndeny: []", "2: deny: written twice, first in line 1"),
        ("deny:\n- ? [a]\n  : 1", "2: deny[0]: a key must be text"),
        ("deny: [{events: !!binary aGk=}]", "1: deny[0].events: must be text, a number, true, false or null"),
        ("names: {track: {a: !!int x}}", "1: names.track.a: has a value that is not what it looks like"),
        ("deny: [", "1: not valid YAML"),
    ],
)
def test_a_problem_names_line_rule_and_what_is_near(tmp_path: Path, text: str, problem: str) -> None:
    """An analyst knows where to look and what to write."""
    assert [found for found in problems_of(tmp_path, text) if found.startswith(problem)], problems_of(tmp_path, text)


def test_all_problems_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    """Nobody wants to correct a file one error a start."""
    found = problems_of(tmp_path, "only:\n- typs: track\ndeny:\n- {events: a, event: b}\nfoo: 1\n")
    assert [problem.split(":")[0] for problem in found] == sorted(problem.split(":")[0] for problem in found)
    assert len(found) >= 3


def test_a_missing_file_is_a_problem_without_a_trace(tmp_path: Path) -> None:
    """With the name that was given."""
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        read_rules(tmp_path / "absent.yaml")


@pytest.mark.parametrize("text", ["", "# nothing\n", "deny:\nfields:\n  track:\n", "null"])
def test_what_is_commented_out_is_no_rule(tmp_path: Path, text: str) -> None:
    """A key may stand without a value."""
    file = tmp_path / "mapping.yaml"
    file.write_text(text)
    assert read_rules(file).rules == MappingFile()


def test_anchors_and_merges_are_yaml_too(tmp_path: Path) -> None:
    """One list for several types."""
    file = tmp_path / "mapping.yaml"
    file.write_text("fields:\n  page: &web {keep: [a], flatten: true}\n  screen: {<<: *web, keep: b}\n")
    assert read_rules(file).rules.fields.screen == FieldRules(keep=["b"], flatten=True)


def test_dates_and_numbers_stay_what_json_has(tmp_path: Path) -> None:
    """YAML's dates are text there."""
    file = tmp_path / "x.yaml"
    file.write_text("a: 2024-01-31\nb: 2024-01-31T12:00:00Z\n1: 2\nc: [1.5, yes, ~]\n")
    tree = read_tree(file)
    assert tree.value == {"a": "2024-01-31", "b": "2024-01-31T12:00:00Z", "1": 2, "c": [1.5, True, None]}
    assert tree.origin(("c", 2)).line == 4


def examples() -> list[str]:
    """The examples in the file's comments."""
    found: list[str] = []
    reading = False
    for line in FILE.read_text("utf-8").splitlines():
        text = line.strip()
        if text == "# Example:":
            found.append("")
            reading = True
        elif reading and text.startswith("#   "):
            found[-1] += text.removeprefix("#   ") + "\n"
        else:
            reading = False
    return found


def test_the_shipped_file_changes_nothing() -> None:
    """Whoever starts from it starts from today."""
    assert read_rules(FILE).rules == MappingFile()


def test_the_shipped_file_has_every_rule() -> None:
    """In the order of the schema; the fields of one type stand for those of all."""
    written = yaml.safe_load(FILE.read_text("utf-8"))
    assert list(written) == list(MappingFile.model_fields)
    fields = written.pop("fields")
    assert list(fields["identify"]) == list(FieldRules.model_fields)
    assert list(fields) == list(TypeFields.model_fields)
    assert list(written["names"]) == ["track", "page", "screen"]
    assert list(written["personal_data"]) == ["drop", "hash"]
    for parts in written["personal_data"].values():
        assert list(parts) == ["traits", "properties", "context"]


@pytest.mark.parametrize("text", examples())
def test_the_examples_are_rules(tmp_path: Path, text: str) -> None:
    """And the schema agrees."""
    file = tmp_path / "mapping.yaml"
    file.write_text(text, "utf-8")
    assert read_rules(file).rules != MappingFile()
    jsonschema.validate(read_tree(file).value, mapping_schema())


def test_there_is_an_example_of_every_rule() -> None:
    """By the key that it is about."""
    text = "\n".join(examples())
    keys = ("only", "deny", "drop", "hash", "account", "track", "page", "screen", "overrides")
    for key in (*keys, *FieldRules.model_fields):
        assert f"{key}:" in text or key == "flatten"


def test_the_schema_describes_every_key_and_refuses_others() -> None:
    """What an editor shows."""
    schema = mapping_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(FILE.read_text("utf-8")), schema)
    jsonschema.validate({"deny": None, "fields": {"track": {"keep": None}}}, schema)
    wrongs: list[dict[str, Any]] = [
        {"felds": {}},
        {"deny": [{"types": "trak"}]},
        {"fields": {"track": {"coerce": {"a": "int"}}}},
    ]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    for section in (schema, *schema["$defs"].values()):
        assert [key for key, value in section["properties"].items() if "description" not in value] == []


def test_parsed_rules_know_their_lines(tmp_path: Path) -> None:
    """For `map --explain`."""
    file = tmp_path / "mapping.yaml"
    file.write_text("names:\n  track:\n    a: b\ndeny:\n  - events: x\n")
    source = parse_rules(read_tree(file))
    assert source.line(("names", "track")) == 2
    assert source.line(("deny", 0)) == 5
    assert source.line(("only",)) == 0
