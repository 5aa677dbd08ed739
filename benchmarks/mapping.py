"""What the rules of a mapping file cost an event: twenty of them, beside none.

The same decoded events pass both routers in turns; the difference is the rules' own, the new JSON text of a changed
event included. All of it in this process, by its CPU time.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.events import bodies
from benchmarks.figures import Figure
from benchmarks.rig import settled_memory
from benchmarks.table import table
from consumer.config.settings import RoutesSettings, Settings
from consumer.config.yaml_tree import Tree
from consumer.mapping.assembly import router_of
from consumer.mapping.router import Router
from consumer.mapping.rules.compiled import compile_rules
from consumer.mapping.rules.file import parse_rules
from consumer.segment.decode import decode
from consumer.segment.events import Event

EVENTS: Final = 20_000
REPEATS: Final = 5
AIM_US: Final = 10.0
AIM_TRACK_US: Final = 5.0
CHANGING: Final[dict[str, Any]] = {
    "deny": [
        {"context": {"app.environment": ["dev", "staging"]}},
        {"traits": {"email": "*@example.com"}},
        {"events": ["Heartbeat", "[debug] *"]},
    ],
    "personal_data": {
        "drop": {"traits": "phone", "properties": ["*birth*", "address.street"], "context": "ip"},
        "hash": {"properties": "email"},
    },
    "account": ["traits.company.id", "properties.organization"],
    "names": {"track": {"Report Exported": "Export"}},
    "fields": {
        "track": {
            "flatten": True,
            "drop": "internal_*",
            "rename": {"source": "channel"},
            "coerce": {"count": "text", "total": "number"},
            "keep": ["channel", "count", "plan_*"],
            "constants": {"platform": "segment"},
        }
    },
    "overrides": [
        {"events": "Order *", "event": "Purchase"},
        {"events": "Member *", "fields": {"keep": []}},
        {"properties": {"source": "app"}, "fields": {"flatten": False}},
        {"events": "Checkout *", "context": {"locale": "en-*"}, "event": "Checkout"},
    ],
}
"""Twenty: 3 deny, 5 of personal data, account, names of tracks, 6 of fields, 4 overrides."""
PASSING: Final[dict[str, Any]] = {"deny": CHANGING["deny"] * 6 + CHANGING["deny"][:2]}
"""Twenty that an event passes as it came."""


@dataclass(frozen=True, slots=True)
class RuleCosts:
    """CPU µs an event.

    Attributes:
        events: How many.
        without_us: Mapping without rules.
        passing_us: What twenty rules add that change nothing.
        changing_us: What twenty rules add that change most events.
        track_us: What the route `track` adds to the route `segmentio`.
    """

    events: int
    without_us: float
    passing_us: float
    changing_us: float
    track_us: float


def run(events: int | None, repeats: int, say: Callable[[str], None]) -> RuleCosts:
    """Measure, in some seconds."""
    say("mapping: none and twenty rules, and another route")
    decoded = [element for body in bodies(events or EVENTS) for element in decode(body)]
    values = [element for element in decoded if isinstance(element, Event)]
    by_track = Settings(routes=RoutesSettings(track="track"))
    routers = (router_of(Settings()), _router(PASSING), _router(CHANGING), router_of(by_track))
    with settled_memory():
        rounds = [[_us(router, values) for router in routers] for _ in range(repeats)]
    without, passing, changing, track = zip(*rounds, strict=True)
    return RuleCosts(
        len(values),
        median(without),
        median(one - none for one, none in zip(passing, without, strict=True)),
        median(one - none for one, none in zip(changing, without, strict=True)),
        median(one - none for one, none in zip(track, without, strict=True)),
    )


def _router(rules: dict[str, Any]) -> Router:
    tree = Tree("")
    tree.value = rules
    return router_of(Settings(), compile_rules(parse_rules(tree), {}))


def _us(router: Router, events: Sequence[Event]) -> float:
    map_ = router.map
    began_s = time.process_time()
    for event in events:
        map_(event)
    return (time.process_time() - began_s) * 1e6 / len(events)


def figures(costs: RuleCosts) -> list[Figure]:
    """As lines of the results."""
    return [
        Figure(
            what="mapping with 20 rules, over no rules, CPU an event",
            case=f"rules that {what}, {costs.events:,} tracks",
            aim=f"≤ {AIM_US:g} µs",
            value=f"{us:.2f} µs",
            met=us <= AIM_US,
            note=f"{costs.without_us:.2f} without rules",
        )
        for what, us in (("change nothing", costs.passing_us), ("change the event", costs.changing_us))
    ] + [
        Figure(
            what="mapping to the route track, over segmentio, CPU an event",
            case=f"{costs.events:,} tracks",
            aim=f"≤ {AIM_TRACK_US:g} µs",
            value=f"{costs.track_us:.2f} µs",
            met=costs.track_us <= AIM_TRACK_US,
            note=f"{costs.without_us:.2f} to segmentio",
        )
    ]


def report(costs: RuleCosts) -> str:
    """The figures as a table."""
    rows = [
        ("no rules", f"{costs.without_us:.2f}"),
        ("20 rules that change nothing, more", f"{costs.passing_us:.2f}"),
        ("20 rules that change the event, more", f"{costs.changing_us:.2f}"),
        ("the route track, more", f"{costs.track_us:.2f}"),
    ]
    return table(f"mapping: {costs.events:,} events, CPU µs an event, medians", ("", ""), rows)
