"""What a source of configuration holds: values by dotted key, where each was written, and what is wrong.

The file and the environment each give one; `load` joins them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Origin(NamedTuple):
    """Where something was written: a file's line, or with line 0 an environment variable or a file as a whole."""

    place: str
    line: int = 0

    def __str__(self) -> str:
        """As it stands at the beginning of a problem."""
        return f"{self.place}:{self.line}" if self.line else self.place


class Problem(NamedTuple):
    """One thing that a person must change."""

    origin: Origin
    message: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.origin}: {self.message}"


@dataclass
class Found:
    """The values of one source, and the problems in it.

    Attributes:
        values: By dotted key, not yet checked.
        origins: By dotted key, sections included.
        secret_files: By dotted key, for secrets that come from a file.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    secret_files: dict[str, Path] = field(default_factory=dict)

    def add(self, key: str, value: Any, origin: Origin) -> None:  # noqa: ANN401  # whatever was written
        """Note a key's value."""
        self.values[key] = value
        self.origins[key] = origin

    def complain(self, origin: Origin, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(origin, message))
