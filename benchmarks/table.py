"""Tables for people: rows of text come in, aligned lines go out; the first column to the left, figures to the right."""

from collections.abc import Sequence


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table below its title."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    texts = ["  ".join(_cells(line, widths)).rstrip() for line in lines]
    return "\n".join([title, *(f"  {text}" for text in texts)])


def _cells(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return [first, *others]
