"""Any YAML file as plain values, with the line of every part.

Its text comes in; JSON-like values go out, with origins by path. It must not know what the values mean. Keys are text
as they are written, and so are dates: events and rules are JSON.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from consumer.config.found import Origin, Problem
from consumer.config.yaml_text import read_text, syntax_problem
from consumer.errors import ConfigError

TreePath = tuple[str | int, ...]
"""Keys and positions that lead to a part of the file."""

_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null"))
_TEXTS: Final = frozenset({_TAG + "timestamp", _TAG + "value"})
"""Tags of what looks like something of YAML's own, but is text in JSON."""


class Tree:
    """What a file holds.

    Attributes:
        value: Plain values; None for an empty file.
        origins: Where each part begins, by path.
        problems: What is wrong with its structure.
    """

    def __init__(self, place: str) -> None:
        self.value: Any = None
        self.origins: dict[TreePath, Origin] = {(): Origin(place, 1)}
        self.problems: list[Problem] = []

    def below(self, *path: str | int) -> "Tree":
        """A part of the file as a tree of its own; an empty one when there is no such part."""
        below = Tree("")
        below.origins = {at[len(path) :]: origin for at, origin in self.origins.items() if at[: len(path)] == path}
        below.origins.setdefault((), self.origin(path))
        below.value = self.value
        for step in path:
            holder = below.value
            holds = step in holder if isinstance(holder, dict) else isinstance(holder, list) and isinstance(step, int)
            below.value = holder[step] if holds else None
        return below

    def origin(self, path: TreePath) -> Origin:
        """Where a part stands; what is not there itself, at its nearest parent."""
        while path not in self.origins:
            path = path[:-1]
        return self.origins[path]


def read_tree(path: Path) -> Tree:
    """Everything that the file holds.

    Raises:
        ConfigError: It cannot be read, or is no YAML.
    """
    loader = yaml.SafeLoader(read_text(path))
    tree = Tree(str(path))
    try:
        root = loader.get_single_node()
        if root is not None:
            tree.value = _Reading(str(path), loader, tree).value(root, ())
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([syntax_problem(path, error)]) from None
    finally:
        loader.dispose()
    return tree


class _Reading:
    """One reading of one file."""

    def __init__(self, place: str, loader: yaml.SafeLoader, tree: Tree) -> None:
        self._place = place
        self._loader = loader
        self._tree = tree

    def value(self, node: yaml.Node, path: TreePath) -> Any:  # noqa: ANN401  # whatever was written
        self._tree.origins.setdefault(path, self._origin(node))
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            case _:
                return self._scalar(node, path)

    def _origin(self, node: yaml.Node) -> Origin:
        return Origin(self._place, node.start_mark.line + 1)

    def _mapping(self, node: yaml.MappingNode, path: TreePath) -> dict[str, Any]:
        self._complain_of_repeats(node, path)
        self._loader.flatten_mapping(node)
        entries: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                self._tree.origins[*path, key_node.value] = self._origin(key_node)
                entries[key_node.value] = self.value(value_node, (*path, key_node.value))
            else:
                self._complain(key_node, path, "a key must be text")
        return entries

    def _complain_of_repeats(self, node: yaml.MappingNode, path: TreePath) -> None:
        lines: dict[str, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if first := lines.get(key_node.value):
                self._complain(key_node, (*path, key_node.value), f"written twice, first in line {first}")
            lines.setdefault(key_node.value, key_node.start_mark.line + 1)

    def _scalar(self, node: yaml.Node, path: TreePath) -> Any:  # noqa: ANN401  # whatever was written
        if node.tag in _TEXTS:
            return node.value
        if node.tag in _SCALARS:
            try:
                return self._loader.construct_object(node)
            except ValueError:
                self._complain(node, path, "has a value that is not what it looks like; write it in quotes")
                return None
        self._complain(node, path, "must be text, a number, true, false or null; write text in quotes")
        return None

    def _complain(self, node: yaml.Node, path: TreePath, message: str) -> None:
        self._tree.problems.append(Problem(self._origin(node), f"{dotted(path)}: {message}"))


def dotted(path: TreePath) -> str:
    """A path as people write it, like `deny[0].events`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the file"
