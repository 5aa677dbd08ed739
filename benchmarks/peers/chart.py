"""The comparison as a picture: what `PEERS.json` holds comes in, an SVG of bars goes out.

`python -m benchmarks.peers.chart` draws it anew from what the last whole run has left.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.peers.options import Latency, Part

_WIDTH: Final = 720
_LABEL: Final = 110
_BAR: Final = 16
_STEP: Final = 24
_HEAD: Final = 34
_STYLE: Final = 'font-family="sans-serif" font-size="13" fill="#64748b"'
_OURS: Final = "service"
_COLOURS: Final[Mapping[bool, str]] = {True: "#2563eb", False: "#94a3b8"}
"""Ours, and everybody else's; both can be read on white and on black."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One contestant's.

    Attributes:
        name: The contestant's.
        value: How long it is.
        text: What stands behind it.
    """

    name: str
    value: float
    text: str


def chart(found: Mapping[str, Any]) -> str:
    """Draw what was found over plain HTTP: CPU an event at both latencies, and memory."""
    panels = [
        (f"CPU µs an event, {latency}, least of the rounds", _bars(found, latency, "cpu_us", min, "{:.0f}"))
        for latency in Latency
    ]
    panels.append(("RSS MiB, lognormal, largest", _bars(found, Latency.LOGNORMAL, "rss_mib", max, "{:.0f}")))
    height = sum(_HEAD + _STEP * len(bars) for _, bars in panels) + _STEP
    top = 0
    parts: list[str] = []
    for title, bars in panels:
        parts += _panel(title, bars, top)
        top += _HEAD + _STEP * len(bars)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_STYLE}>'
    return "\n".join([opening, *parts, "</svg>\n"])


def _bars(found: Mapping[str, Any], latency: Latency, what: str, pick: Any, form: str) -> list[Bar]:  # noqa: ANN401
    bars = []
    for standing in found["standings"]:
        case, outcomes = standing["case"], standing["outcomes"]
        if case["part"] == Part.PLAIN and case["latency"] == latency and outcomes:
            value = pick(outcome[what] for outcome in outcomes)
            broken = any(outcome["overtaken"] or outcome["side_by_side"] for outcome in outcomes)
            kept = ", order broken" if broken and standing["contestant"] not in {"bare", "floor"} else ""
            bars.append(Bar(standing["contestant"], value, form.format(value) + kept))
    return bars


def _panel(title: str, bars: Sequence[Bar], top: int) -> Iterator[str]:
    yield f'<text x="0" y="{top + _STEP}" font-weight="bold">{escape(title)}</text>'
    longest = max((bar.value for bar in bars), default=1.0)
    room = _WIDTH - _LABEL - 130
    for number, bar in enumerate(bars):
        y = top + _HEAD + number * _STEP
        width = max(1.0, room * bar.value / longest)
        yield f'<text x="0" y="{y + _BAR - 3}">{escape(bar.name)}</text>'
        yield f'<rect x="{_LABEL}" y="{y}" width="{width:.0f}" height="{_BAR}" fill="{_COLOURS[bar.name == _OURS]}"/>'
        yield f'<text x="{_LABEL + width + 6:.0f}" y="{y + _BAR - 3}">{escape(bar.text)}</text>'


def draw(file: Path) -> None:
    """Write the picture beside the JSON of a run."""
    file.with_suffix(".svg").write_text(chart(orjson.loads(file.with_suffix(".json").read_bytes())))


if __name__ == "__main__":
    from benchmarks.peers.page import FILE

    draw(FILE)
