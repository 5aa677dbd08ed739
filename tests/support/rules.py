"""Rules for tests, from plain values, as a mapping file would hold them."""

from collections.abc import Mapping
from typing import Any

from consumer.config.yaml_tree import Tree
from consumer.mapping.router import Router
from consumer.mapping.ruled import RuledRouter
from consumer.mapping.rules.compiled import Rules, compile_rules
from consumer.mapping.rules.file import parse_rules
from consumer.mapping.rules.handlers import Handler
from consumer.outcomes import EventType
from consumer.pendo.requests import Route
from consumer.segment.events import Event

CALLS = (EventType.IDENTIFY, EventType.GROUP, EventType.TRACK, EventType.PAGE, EventType.SCREEN)
ROUTES = dict.fromkeys(CALLS, Route.SEGMENTIO)


def tree_of(value: Any) -> Tree:
    """A tree that comes from no file."""
    tree = Tree("rules.yaml")
    tree.value = value
    return tree


def rules_from(value: Any, handlers: Mapping[str, Handler] | None = None) -> Rules:
    """Compiled."""
    return compile_rules(parse_rules(tree_of(value)), handlers or {})


def ruled_router(value: Any, handlers: Mapping[str, Handler] | None = None) -> Router:
    """A router for the five calls, anonymous visitors included."""
    return RuledRouter(ROUTES, "visitor", rules_from(value, handlers))


def event_of(fields: dict[str, Any]) -> Event:
    """An event without bytes of its own."""
    return Event(EventType(fields["type"]), fields, None)


def ruled(value: Any, fields: dict[str, Any], handlers: Mapping[str, Handler] | None = None) -> dict[str, Any] | None:
    """An event's fields after the rules; None when it is filtered."""
    event = rules_from(value, handlers).apply(event_of(fields))
    return None if event is None else event.fields
