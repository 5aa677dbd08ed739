"""The words: how it is, in a sentence, and what to do. Values only."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How much it should worry."""

    GOOD = "good"
    NOTICE = "notice"
    """It goes on by itself, or somebody wants it so."""
    TROUBLE = "trouble"
    """A person has to do something."""


@dataclass(frozen=True, slots=True)
class Words:
    """How it is.

    Attributes:
        level: How much it should worry.
        headline: In a sentence.
        detail: What becomes of the events meanwhile.
        steps: What to do, in order.
    """

    level: Level
    headline: str
    detail: str
    steps: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return asdict(self)
