"""The mapping file: a path comes in, its rules go out, with the line of each, or all that is wrong with them.

Each problem is one line: where, which rule, what is wrong, what is near. It must not know what the rules do.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from consumer.config.found import Problem
from consumer.config.keys import nearest
from consumer.config.yaml_tree import Tree, TreePath, dotted, read_tree
from consumer.errors import ConfigError
from consumer.mapping.rules.model import MappingFile

_WORDS: Final[Mapping[str, str]] = {
    "string_type": "must be text; write it in quotes",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a section, keys with values",
    "model_attributes_type": "must be a section, keys with values",
}
"""By pydantic's type of error; what is not here says it well enough itself."""


class Source:
    """Rules, and where they stand.

    Attributes:
        rules: All valid.
        tree: The file that they were read from.
    """

    def __init__(self, rules: MappingFile, tree: Tree) -> None:
        self.rules = rules
        self.tree = tree

    def line(self, path: TreePath) -> int:
        """The line of a rule; 0 when it came from no file."""
        return self.tree.origins[path].line if path in self.tree.origins else 0


def read_rules(path: Path) -> Source:
    """The rules of a file.

    Raises:
        ConfigError: With every problem that there is.
    """
    return parse_rules(read_tree(path))


def parse_rules(tree: Tree) -> Source:
    """The rules that a tree holds; an empty one holds none.

    Raises:
        ConfigError: With every problem that there is.
    """
    problems = list(tree.problems)
    try:
        rules = MappingFile.model_validate({} if tree.value is None else tree.value)
    except ValidationError as error:
        problems += _problems(error, tree)
        rules = MappingFile()
    if problems:
        ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.origin)
        raise ConfigError([str(problem) for problem in ordered])
    return Source(rules, tree)


def _problems(error: ValidationError, tree: Tree) -> Iterable[Problem]:
    for details in error.errors(include_url=False):
        path = _path(details["loc"], tree)
        yield Problem(tree.origin(path), f"{dotted(path)}: {_worded(details)}")


def _path(location: TreePath, tree: Tree) -> TreePath:
    """The part of the file that pydantic means; its own words in between are passed over."""
    path: TreePath = ()
    part = tree.value
    for step in location:
        if step in part if isinstance(part, dict) else isinstance(part, list) and isinstance(step, int):
            path, part = (*path, step), part[step]
    return path


def _worded(details: ErrorDetails) -> str:
    match details["type"]:
        case "extra_forbidden":
            return f"unknown key{nearest(str(details['loc'][-1]), _known_keys(details['loc'][:-1]))}"
        case "literal_error":
            expected = details["ctx"]["expected"]
            names = expected.replace("'", "").replace(" or ", ", ").split(", ")
            return f"must be {expected}{nearest(str(details['input']), names)}"
        case "value_error":
            return str(details["ctx"]["error"])
        case kind:
            return _WORDS.get(kind, details["msg"].replace("Input should be", "must be"))


def _known_keys(location: TreePath) -> Iterable[str]:
    """The keys of the section that a location leads to."""
    section: type[BaseModel] = MappingFile
    for step in location:
        field = section.model_fields.get(str(step))
        if field is not None:
            section = _section_in(field.annotation) or section
    return section.model_fields


def _section_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  # a type, or a construct of typing
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((section for part in get_args(annotation) if (section := _section_in(part))), None)
