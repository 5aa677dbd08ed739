"""What the oracle found: figures and problems, as values. How they are shown is in `report`."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.log import Fault

_MAX_EXAMPLES: Final = 5


@dataclass(slots=True)
class Hit:
    """What it cost that a process was killed, or frozen for longer than its session.

    Attributes:
        fault: What hit it.
        in_flight: Requests of the process on the wire at that moment.
        recent: Events that it had delivered within the commit's pace before.
        repeated: Events that it had delivered and another process delivered again.
        clean: Whether commits were possible before it: no other fault shortly before.
    """

    fault: Fault
    in_flight: int = 0
    recent: int = 0
    repeated: int = 0
    clean: bool = True

    @property
    def ratio(self) -> float:
        """Repeated, for each in flight."""
        return self.repeated / max(self.in_flight, 1)


@dataclass(slots=True)
class Findings:
    """Figures, and what is wrong.

    Attributes:
        problems: By kind: how many, with the first few examples.
        figures: Counts by name.
        duplicates: By cause.
        hits: Every SIGKILL, and every SIGSTOP beyond the session.
        faults: By kind.
    """

    problems: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)
    duplicates: Counter[str] = field(default_factory=Counter)
    hits: list[Hit] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    peak_rss_bytes: dict[int, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every promise was kept, and put to the test."""
        return not self.problems

    def problem(self, kind: str, example: str) -> None:
        """Note something that must not be."""
        self.counts[kind] += 1
        examples = self.problems.setdefault(kind, [])
        if len(examples) < _MAX_EXAMPLES:
            examples.append(example)
