"""Percentiles: samples come in, the values below which so many of a hundred lie go out."""

from collections.abc import Sequence


def median_and_p99(samples: Sequence[float]) -> tuple[float, float]:
    """The nearest samples; there must be one."""
    ordered = sorted(samples)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
