"""The YAML file: its text comes in, values by dotted key with their lines go out.

Only structure is judged here: syntax, duplicate and unknown keys, sections that are none. No message quotes a value.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

from consumer.config.found import Found, Origin
from consumer.config.keys import FILE_VARIABLES, KEYS, SECTIONS, nearest, variable
from consumer.config.yaml_text import is_null, read_text, syntax_problem
from consumer.errors import ConfigError


def read_yaml(path: Path) -> Found:
    """Everything that the file holds.

    Raises:
        ConfigError: It cannot be read, or is no YAML.
    """
    found = Found()
    loader = yaml.SafeLoader(read_text(path))
    try:
        root = loader.get_single_node()
        if root is not None and not is_null(root):
            _File(path, loader, found).section(root, "")
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([syntax_problem(path, error)]) from None
    finally:
        loader.dispose()
    return found


class _File:
    """One reading of one file."""

    def __init__(self, path: Path, loader: yaml.SafeLoader, found: Found) -> None:
        self._path = path
        self._loader = loader
        self._found = found

    def _origin(self, node: yaml.Node) -> Origin:
        return Origin(str(self._path), node.start_mark.line + 1)

    def section(self, node: yaml.Node, section: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            what = f"{section}: must be a section, keys with values" if section else "must be a mapping of sections"
            self._found.complain(self._origin(node), what)
            return
        prefix = f"{section}." if section else ""
        for key_node, value_node in self._once(node, prefix):
            self._entry(f"{prefix}{key_node.value}", key_node, value_node)

    def _once(self, node: yaml.MappingNode, prefix: str) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """The entries whose key is written for the first time."""
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            origin = self._origin(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._found.complain(origin, f"{prefix}?: a key must be text")
            elif first := lines.get(key_node.value):
                self._found.complain(origin, f"{prefix}{key_node.value}: written twice, first in line {first}")
            else:
                lines[key_node.value] = origin.line
                yield key_node, value_node

    def _entry(self, key: str, key_node: yaml.ScalarNode, value_node: yaml.Node) -> None:
        origin = self._origin(key_node)
        self._found.origins[key] = origin
        if key in SECTIONS:
            if not is_null(value_node):
                self.section(value_node, key)
        elif key in KEYS:
            self._leaf(key, value_node, origin)
        else:
            self._found.complain(origin, f"{key}: unknown key{_advice(key)}")

    def _leaf(self, key: str, node: yaml.Node, origin: Origin) -> None:
        if isinstance(node, yaml.MappingNode):
            list(self._once(node, f"{key}."))
        try:
            value = self._loader.construct_object(node, deep=True)
        except ValueError:
            self._found.complain(origin, f"{key}: has a value that is not what it looks like; write it in quotes")
        else:
            self._found.add(key, value, origin)


def _advice(key: str) -> str:
    file_variable = variable(key)
    if file_variable in FILE_VARIABLES:
        return f"; a secret's file is named by the environment variable {file_variable}"
    return nearest(key, (*KEYS, *SECTIONS))
