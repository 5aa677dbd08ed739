"""Files of mapping tests: YAML or JSON comes in, cases go out.

A file holds a list of cases, or one; a folder every file in it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from consumer.config.found import Origin
from consumer.config.yaml_tree import Tree, read_tree
from consumer.errors import ConfigError
from consumer.mapping.cases import Case, parse_case

SUFFIXES: Final = (".json", ".yaml", ".yml")


def case_files(path: Path) -> list[Path]:
    """The file, or the files of a folder and those below it, by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())


def read_cases(path: Path) -> list[Case]:
    """The cases of one file.

    Raises:
        ConfigError: It cannot be read, or one of them is none.
    """
    tree = _read_json(path) if path.suffix == ".json" else read_tree(path)
    if tree.problems:
        raise ConfigError([str(problem) for problem in tree.problems])
    return list(_cases(tree, path.stem))


def _cases(tree: Tree, name: str) -> Iterator[Case]:
    if not isinstance(tree.value, list):
        yield parse_case(tree.value, name, tree.origin(()), tree.below("rules"))
        return
    for index, raw in enumerate(tree.value):
        yield parse_case(raw, f"{name}[{index}]", tree.origin((index,)), tree.below(index, "rules"))


def _read_json(path: Path) -> Tree:
    """JSON as JSON has it: YAML reads some of its numbers as text."""
    tree = Tree(str(path))
    tree.origins[()] = Origin(str(path))
    try:
        tree.value = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except orjson.JSONDecodeError as error:
        raise ConfigError([f"{path}:{error.lineno}: no JSON: {error.msg}"]) from error
    return tree
