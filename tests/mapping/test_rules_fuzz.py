"""Whatever stands in an event and in a mapping file: a request or a reason, never an exception."""

import copy
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.mapping.result import Ended
from consumer.mapping.ruled import RuledRouter
from consumer.mapping.rules.coerce import Kind
from consumer.mapping.visitor import Anonymous
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.calls import body_of
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event
from tests.support.rules import ROUTES, rules_from

TYPES = ("identify", "group", "track", "page", "screen", "alias", "delete")
NAMES = st.sampled_from(["a", "b", "A", "a_b", "a.b", "groupId", "email", "x"])
PATTERNS = NAMES | st.sampled_from(["*", "a*", "?", "*.b", "a.*", "[a]*"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", " ", "a", "12", "1e400", "yes", "::", "2024-01-31"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=4)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "userId": st.just("u") | JSON},
    optional={
        **dict.fromkeys(("traits", "properties"), OBJECTS | JSON),
        "context": st.fixed_dictionaries({}, optional={"traits": OBJECTS | JSON, "groupId": JSON, "a": JSON}) | JSON,
        **dict.fromkeys(("event", "name", "category"), st.sampled_from(["a", "b"]) | JSON),
        **dict.fromkeys(("groupId", "anonymousId", "messageId", "writeKey"), JSON),
    },
)

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), PATTERNS)
VALUES = st.dictionaries(NAMES, PLAIN | st.lists(PLAIN, min_size=1, max_size=2), min_size=1, max_size=2)
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["text", "number", "integer", "boolean", "date"])
TEMPLATES = st.sampled_from(["{name}", "{category}: {name}", "P {properties.a.b}", "Page", "{{}}"])
PATHS = st.lists(PATTERNS, max_size=3)
PARTS = st.fixed_dictionaries({}, optional=dict.fromkeys(("traits", "properties", "context"), PATHS))
CONDITION_PARTS: dict[str, st.SearchStrategy[Any]] = {
    "events": st.lists(PATTERNS, min_size=1, max_size=2),
    **dict.fromkeys(("context", "traits", "properties"), VALUES),
}
CONDITIONS = st.fixed_dictionaries(
    {"types": st.lists(st.sampled_from(TYPES), min_size=1, max_size=3)}, optional=CONDITION_PARTS
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "flatten": st.booleans(),
        "drop": PATHS,
        "rename": st.dictionaries(NAMES, NAMES, max_size=3),
        "coerce": st.dictionaries(NAMES, KINDS, max_size=4),
        "keep": PATHS,
        "constants": st.dictionaries(
            NAMES, st.booleans() | st.integers() | NAMES | st.lists(NAMES, max_size=2), max_size=2
        ),
    },
)
OVERRIDES = st.builds(
    lambda condition, event, fields: condition | ({"event": event} if event else {}) | {"fields": fields},
    CONDITIONS,
    st.none() | NAMES,
    FIELDS,
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "only": st.lists(CONDITIONS, max_size=2),
        "deny": st.lists(CONDITIONS, max_size=2),
        "personal_data": st.fixed_dictionaries({}, optional={"drop": PARTS, "hash": PARTS}),
        "account": st.lists(st.sampled_from(["traits.a", "properties.a.b", "context.groupId", "traits.*"]), max_size=2),
        "names": st.fixed_dictionaries(
            {},
            optional={
                "track": st.dictionaries(NAMES, NAMES, max_size=2),
                **dict.fromkeys(("page", "screen"), st.lists(TEMPLATES, max_size=2)),
            },
        ),
        "fields": st.fixed_dictionaries({}, optional=dict.fromkeys(TYPES[:5], FIELDS)),
        "overrides": st.lists(OVERRIDES, max_size=2),
    },
)
BY_OTHERS = (
    dict.fromkeys((EventType.IDENTIFY, EventType.GROUP), Route.METADATA)
    | dict.fromkeys((EventType.TRACK, EventType.PAGE, EventType.SCREEN), Route.TRACK)
    | {EventType.DELETE: Route.BULKDELETE}
)
ALL_ROUTES = st.sampled_from([ROUTES, BY_OTHERS])
MODES: st.SearchStrategy[Anonymous] = st.sampled_from(["skip", "visitor"])
SHAPES = {Reason.INVALID_ID, Reason.INVALID_EVENT, Reason.INVALID_TRAITS, Reason.INVALID_PROPERTIES}


@settings(max_examples=300, deadline=None)
@given(ALL_ROUTES, EVENTS, RULES, MODES)
def test_no_event_and_no_rule_set_raises(
    routes: dict[EventType, Route], fields: dict[str, Any], rules: dict[str, Any], mode: Anonymous
) -> None:
    """The event stays as it is, and what is explained is what happens."""
    router = RuledRouter(routes, mode, rules_from(rules))
    event = Event(EventType(fields["type"]), fields, None)
    before = copy.deepcopy(fields)
    mapped = router.map(event)
    trace = router.trace(event)
    assert fields == before
    if isinstance(mapped, Request):
        assert isinstance(orjson.loads(body_of(mapped.route, mapped.lane, mapped.body)), dict | list)
    elif mapped.outcome is Outcome.DEAD_LETTERED:
        assert mapped.reason in SHAPES
    filtered = isinstance(mapped, Ended) and mapped.reason is Reason.RULE
    assert filtered == any(rule["effect"] == "filtered" for rule in trace)


@settings(max_examples=300, deadline=None)
@given(ALL_ROUTES, EVENTS, RULES)
def test_dropped_names_never_go_out(
    routes: dict[EventType, Route], fields: dict[str, Any], rules: dict[str, Any]
) -> None:
    """Whatever the other rules are; what is set or given a name by a rule is no data of a person."""
    rules = rules | {"personal_data": {"drop": {part: ["secret"] for part in ("traits", "properties", "context")}}}
    marked = copy.deepcopy(fields)
    for part in ("traits", "properties", "context"):
        if isinstance(marked.get(part), dict):
            marked[part]["Secret"] = "s3cret"
    router = RuledRouter(routes, "visitor", rules_from(rules))
    mapped = router.map(Event(EventType(fields["type"]), marked, None))
    assert isinstance(mapped, Ended) or b"s3cret" not in mapped.body
