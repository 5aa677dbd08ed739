"""Which metrics and labels an expression of PromQL names, so that they can be held against the catalogue.

No parser: `promtool` judges the syntax. Every word that is neither a metric, nor a label in its place, nor a function
that our expressions use is reported, so that nothing slips through unseen.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from consumer.metrics import CATALOGUE, PREFIX, Kind

TARGET_LABELS: Final = frozenset({"job", "instance"})
"""What every scrape adds."""
WORDS: Final = frozenset(
    {"sum", "max", "min", "abs", "rate", "increase", "deriv", "histogram_quantile", "last_over_time", "clamp_min"}
    | {"by", "on", "and", "or", "unless", "offset", "bool"}
)
"""Functions and words that our expressions use."""
_GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{([^}]*)\}")
_MATCHER: Final = re.compile(r"([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_RANGE: Final = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_WORD: Final = re.compile(r"(?<![\w.])[a-zA-Z_:][a-zA-Z0-9_:]*")


def _series() -> dict[str, frozenset[str]]:
    """The series of our metrics, and `up`, with their labels."""
    series: dict[str, frozenset[str]] = {"up": TARGET_LABELS}
    for metric in CATALOGUE:
        name, labels = PREFIX + metric.name, frozenset(metric.labels) | TARGET_LABELS
        if metric.kind is Kind.HISTOGRAM:
            series |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            series[name] = labels
    return series


SERIES: Final = _series()


@dataclass(frozen=True)
class Named:
    """What an expression names.

    Attributes:
        metrics: Names of series.
        matched: By series, labels with the values that they are compared with.
        grouped: Labels in `by`, `on` and their like.
        unknown: Every other word.
    """

    metrics: set[str] = field(default_factory=set)
    matched: list[tuple[str, str, str]] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


def named(expression: str) -> Named:
    """Read an expression."""
    found = Named()
    for name, inside in _SELECTOR.findall(expression):
        found.matched.extend((name, label, value) for label, _, value in _MATCHER.findall(inside))
    bare = _SELECTOR.sub(lambda match: f" {match[1] or ''} ", expression)
    for inside in _GROUPING.findall(bare):
        found.grouped.update(filter(None, re.split(r"[\s,]+", inside)))
    for word in _WORD.findall(_RANGE.sub(" ", _GROUPING.sub(" ", bare))):
        if word in SERIES:
            found.metrics.add(word)
        elif word not in WORDS:
            found.unknown.add(word)
    return found


def flaws(expression: str) -> list[str]:
    """What an expression names that is not there."""
    found = named(expression)
    wrong = [f"{word} is no metric of ours" for word in sorted(found.unknown)]
    wrong += [] if found.metrics else ["it names no metric"]
    for name, label, _ in found.matched:
        if label not in SERIES.get(name, frozenset()):
            wrong.append(f"{name} has no label {label}")
    there = frozenset[str]().union(*(SERIES[name] for name in found.metrics))
    return wrong + [f"no metric in it has the label {label}" for label in sorted(found.grouped - there)]
