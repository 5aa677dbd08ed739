"""Fuzz: a million events of any shape through routes and sets of rules; each must end as a request or a reason.

A number of events comes in, how each ended goes out. The same seed makes the same events. The property tests look
closer at fewer; this one looks at many.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from benchmarks.figures import Figure
from benchmarks.mapping import CHANGING, PASSING
from consumer.config.settings import Settings
from consumer.config.yaml_tree import Tree
from consumer.mapping.assembly import router_of
from consumer.mapping.result import Ended
from consumer.mapping.router import Router
from consumer.mapping.rules.compiled import compile_rules
from consumer.mapping.rules.file import parse_rules
from consumer.outcomes import Outcome, Reason
from consumer.pendo.calls import body_of
from consumer.segment.decode import decode
from consumer.segment.events import Event

EVENTS: Final = 1_000_000
_SEED: Final = 7
_MAX_KEPT: Final = 5
"""Exceptions that are shown; one is enough to begin with."""
_SPOILT: Final = 0.1
"""The share of values whose bytes are cut or changed."""
_LEVELS: Final = 3

_TYPES: Final = ("identify", "group", "track", "page", "screen", "alias", "delete", "audience")
_NAMES: Final = ("a", "b", "A", "email", "phone", "groupId", "plan", "source", "count", "2fa", "a.b", "__x__", "é" * 40)
_TEXTS: Final = (
    "",
    " ",
    "::",
    "u-1",
    "pro",
    "12",
    "1e400",
    "yes",
    "2026-02-23T00:00:00Z",
    "x" * 600,
    "\x00",
    "Order 1",
)
_NUMBERS: Final = (0, 1, -1, 2**53, 2**63 - 1, 1_772_409_600_000, 0.1, 1e300, -0.0)
_KEYS: Final = (
    *("userId", "anonymousId", "groupId", "messageId", "timestamp", "receivedAt", "originalTimestamp", "event", "name"),
    *("category", "traits", "properties", "context", "integrations", "writeKey", "batch", "version"),
)
_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "segmentio": {},
    "segmentio, anonymous visitors": {"segment": {"anonymous": "visitor"}},
    "track": {
        "routes": dict.fromkeys(("track", "page", "screen"), "track"),
        "segment": {"anonymous": "visitor"},
    },
    "unchanged not sent": {"delivery": {"suppress_unchanged": True}},
    "metadata, bulkdelete": {
        "routes": {"identify": "metadata", "group": "metadata", "delete": "bulkdelete"},
        "delivery": {"suppress_unchanged": True},
    },
}
_NAMING: Final[dict[str, Any]] = {
    "only": [{"types": ["track", "page"]}, {"traits": {"email": "*"}}],
    "names": {"page": ["{category}: {name}", "{properties.a.b}", "Page"], "screen": "{name}"},
    "account": ["traits.plan", "properties.a.b", "context.groupId"],
    "personal_data": {"hash": {"traits": ["*"], "properties": ["*"], "context": ["*"]}},
    "fields": {
        "identify": {
            "flatten": True,
            "coerce": dict.fromkeys(("a", "plan", "count"), "date"),
            "rename": {"a": "b", "b": "a"},
        },
        "group": {"keep": ["a*"], "coerce": dict.fromkeys(("a", "A"), "boolean"), "constants": {"a": [1]}},
    },
}
_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "no rules": {},
    "rules that change nothing": PASSING,
    "rules that change": CHANGING,
    "rules that name": _NAMING,
}


@dataclass(slots=True)
class Fuzz:
    """How events ended.

    Attributes:
        events: How many values there were.
        routers: How many each went through.
        ends: By outcome and reason; `request` for what would be sent.
        exceptions: How many raised.
        shown: The first of those.
    """

    events: int = 0
    routers: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    exceptions: int = 0
    shown: list[str] = field(default_factory=list)


def run(events: int, say: Callable[[str], None]) -> Fuzz:
    """Map so many, by every router."""
    say(f"fuzz: {events:,} events")
    chance = random.Random(_SEED)  # noqa: S311 - a seed, not secrecy
    routers = [_router(settings, rules) for settings in _SETTINGS.values() for rules in _RULES.values()]
    found = Fuzz(events, len(routers))
    for _ in range(events):
        value = _value(chance)
        try:
            for element in decode(value):
                _end(element, routers, found)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            _note(found, error, value)
    return found


def _end(element: object, routers: Sequence[Router], found: Fuzz) -> None:
    if not isinstance(element, Event):
        found.ends[Reason.UNDECODABLE] += 1
        return
    for router in routers:
        mapped = router.map(element)
        if isinstance(mapped, Ended):
            found.ends[_named(mapped)] += 1
            continue
        if not isinstance(orjson.loads(body_of(mapped.route, mapped.lane, mapped.body)), dict | list):
            raise TypeError("the body is no JSON object and no list")
        found.ends["request"] += 1


def _named(ended: Ended) -> str:
    if ended.outcome is Outcome.DEAD_LETTERED and not ended.message:
        raise ValueError(f"{ended.reason} without a word why")
    return f"{ended.outcome} {ended.reason}"


def _note(found: Fuzz, error: Exception, value: bytes) -> None:
    found.exceptions += 1
    if len(found.shown) < _MAX_KEPT:
        found.shown.append(f"{type(error).__name__}: {error}: {value[:500]!r}")


def _router(settings: Mapping[str, Any], rules: Mapping[str, Any]) -> Router:
    tree = Tree("")
    tree.value = dict(rules)
    return router_of(Settings.model_validate(settings), compile_rules(parse_rules(tree), {}))


def _value(chance: random.Random) -> bytes:
    fields: dict[str, Any] = {"type": chance.choice(_TYPES), "userId": "u-1"}
    fields |= {key: _json(chance, _LEVELS) for key in chance.sample(_KEYS, chance.randrange(9))}
    for part in ("traits", "properties", "context"):
        if chance.random() < 0.5:
            fields[part] = _object(chance, _LEVELS)
    value = orjson.dumps(fields if chance.random() < 0.95 else [fields, _json(chance, 1)])
    return value if chance.random() > _SPOILT else _spoil(chance, value)


def _json(chance: random.Random, levels: int) -> Any:  # noqa: ANN401 - JSON of any shape
    kind = chance.randrange(8 if levels else 6)
    if kind < 3:
        return chance.choice(_TEXTS)
    if kind < 5:
        return chance.choice(_NUMBERS)
    if kind == 5:
        return chance.choice((None, True, False))
    if kind == 6:
        return [_json(chance, levels - 1) for _ in range(chance.randrange(3))]
    return _object(chance, levels)


def _object(chance: random.Random, levels: int) -> dict[str, Any]:
    return {chance.choice(_NAMES): _json(chance, levels - 1) for _ in range(chance.randrange(5))}


def _spoil(chance: random.Random, value: bytes) -> bytes:
    cut = chance.randrange(len(value))
    return value[:cut] if chance.random() < 0.5 else value[:cut] + chance.randbytes(1) + value[cut + 1 :]


def figures(found: Fuzz) -> list[Figure]:
    """As a line of the results."""
    requests = found.ends["request"]
    return [
        Figure(
            what="fuzzed events: exceptions; each is a request or a reason",
            case=f"{found.events:,} events through {found.routers} routers: "
            f"{len(_SETTINGS)} settings of routes, {len(_RULES)} sets of rules",
            aim="0",
            value=f"{found.exceptions:,}",
            met=not found.exceptions,
            note="; ".join(found.shown) or f"{requests:,} requests, {found.ends.total() - requests:,} reasons",
        )
    ]
