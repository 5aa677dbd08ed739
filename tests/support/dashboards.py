"""The expressions of a Grafana dashboard, with Grafana's variables filled in."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

VARIABLES: Final = {"$__rate_interval": "1m", "$job": ".+"}


def expressions(dashboard: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and expression of every target of every panel."""
    return list(_expressions(dashboard))


def _expressions(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression
