"""A YAML file's text, and what is wrong with it in plain words.

A path comes in, text goes out; a syntax error becomes one line that quotes no value.
"""

import re
from pathlib import Path
from typing import Final

import yaml

from consumer.errors import ConfigError

_QUOTED: Final = re.compile(r"'(?!<)[^']{2,}'")
"""In a syntax error: what may be a piece of a value, not a single sign or a token's name like '<scalar>'."""


def read_text(path: Path) -> str:
    """The file's text, without a byte order mark.

    Raises:
        ConfigError: It cannot be read, or holds what is no text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from error
    if match := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise ConfigError([f"{path}:{line}: holds a character that YAML does not allow"])
    return text


def syntax_problem(path: Path, error: Exception) -> str:
    """What a parser's error says, with its line."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"{path}: is nested too deeply"
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    line = f":{mark.line + 1}" if mark else ""
    return f"{path}{line}: not valid YAML: {_QUOTED.sub('…', what)}; a value with special characters needs quotes"


def is_null(node: yaml.Node) -> bool:
    """Whether a node holds nothing."""
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
