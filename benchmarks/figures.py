"""A figure: what was measured, what it should be, what it is. Values alone; how it is measured stands elsewhere."""

from dataclasses import dataclass

from benchmarks.table import table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the results.

    Attributes:
        what: The promise, in words.
        case: Which case of it.
        aim: What it should be, as text.
        value: What it is, as text.
        met: Whether it is what it should be; None when nothing is aimed at.
        note: What one must know to read it.
    """

    what: str
    case: str
    aim: str
    value: str
    met: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The lines of one row, as they are kept.

    Attributes:
        name: Of the row.
        about: When, on what machine, and how much was measured.
        figures: What was found.
    """

    name: str
    about: dict[str, str]
    figures: list[Figure]


_MARKS = {True: "yes", False: "NO", None: "-"}
_HEADER = ("figure", "case", "aim", "measured", "met", "note")


def to_text(figures: list[Figure]) -> str:
    """As a table for a terminal."""
    return table("results", _HEADER, [_cells(figure) for figure in figures])


def to_markdown(figures: list[Figure]) -> str:
    """As a table for a document."""
    lines = [_HEADER, ("---",) * len(_HEADER), *(_cells(figure) for figure in figures)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    return (figure.what, figure.case, figure.aim, figure.value, _MARKS[figure.met], figure.note)
