"""From an event to its request or its end: the first answer wins.

In comes an event, out comes a request or the way the event ends. It must not know records, lanes or attempts.
"""

from collections.abc import Callable, Mapping
from functools import partial
from time import time
from typing import Any, Final, assert_never

from consumer.errors import ConfigError, RejectedError
from consumer.mapping import shape
from consumer.mapping.delete import map_delete
from consumer.mapping.group import map_group
from consumer.mapping.identify import map_identify
from consumer.mapping.metadata import map_account, map_visitor
from consumer.mapping.page import map_page, page_name
from consumer.mapping.result import Ended, Mapped
from consumer.mapping.screen import map_screen, screen_name
from consumer.mapping.state import hashes_of, no_hashes
from consumer.mapping.track import map_track
from consumer.mapping.track_events import map_track_event
from consumer.mapping.visibility import Visibility
from consumer.mapping.visitor import Anonymous, visitor_of
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Route
from consumer.segment.events import Event
from consumer.segment.filters import integrations_allow

MapEvent = Callable[[Event, str], Mapped]
"""Maps an event of one type to the request of one route; it is handed the visitor's id, and may reject the event."""

Choice = Callable[[Event], Mapped]
"""What is done with the events of one type; it may reject an event."""

UNKNOWN_TYPE: Final = Ended(Outcome.SKIPPED, Reason.UNKNOWN_TYPE)
NOT_FOR_PENDO: Final = Ended(Outcome.FILTERED, Reason.INTEGRATIONS)
NO_ROUTE: Final = Ended(Outcome.SKIPPED, Reason.NO_ROUTE)

# Looking a member up in its enum takes as long as a small function.
_OTHER: Final = EventType.OTHER

Change = Callable[[dict[str, Any]], dict[str, Any]]
"""From an event's fields to those that go on."""


class Router:
    """Decides by an event's type, and by how its type is routed, what becomes of it.

    Args:
        routes: By which route each type goes; none, or no entry, is `off`.
        anonymous: What becomes of an event with an anonymousId alone.
        with_values: Whether requests tell the values of traits, to be compared with what was delivered.
        clock: Seconds since the epoch.

    Raises:
        ConfigError: A type cannot go by the route it is given.
    """

    def __init__(
        self,
        routes: Mapping[EventType, Route | None],
        anonymous: Anonymous,
        *,
        with_values: bool = False,
        clock: Callable[[], float] = time,
    ) -> None:
        self._anonymous: Final[Anonymous] = anonymous
        self._with_values: Final = with_values
        self._visibility: Final = Visibility(clock)
        self._mappings: Final = {type_: self._choose(type_, routes.get(type_)) for type_ in EventType}

    def map(self, event: Event) -> Mapped:
        """Map one event; whatever it holds, it becomes a request or an end."""
        try:
            return self._map(event)
        except RejectedError as error:
            return Ended(Outcome.DEAD_LETTERED, error.reason, str(error))

    def trace(self, event: Event) -> list[dict[str, Any]]:  # noqa: ARG002  # there are no rules
        """What each rule does with an event; without rules nothing."""
        return []

    def change_of(self, event: Event) -> Change:  # noqa: ARG002  # there are no rules
        """What the rules change of events like this one, handlers apart; without rules nothing."""
        return _as_it_came

    def _map(self, event: Event) -> Mapped:
        return self._refusal(event) or self._mappings[event.type](event)

    def _refusal(self, event: Event) -> Ended | None:
        """Why the event is not for Pendo at all; None when it may be."""
        if event.type is _OTHER:
            return UNKNOWN_TYPE
        return None if integrations_allow(event) else NOT_FOR_PENDO

    def _choose(self, type_: EventType, route: Route | None) -> Choice:
        """Choose what is done with the events of one type.

        Raises:
            ConfigError: They cannot go by this route.
        """
        if type_ in {EventType.OTHER, EventType.NONE}:
            return _ends(UNKNOWN_TYPE)
        mapping: Choice | None
        match route:
            case None:
                return _ends(NO_ROUTE)
            case Route.SEGMENTIO:
                mapping = self._of_visitor(_segmentio(type_, self._visibility, with_values=self._with_values))
            case Route.TRACK:
                mapping = self._of_visitor(_track(type_, self._visibility))
            case Route.METADATA:
                mapping = self._metadata(type_)
            case Route.BULKDELETE:
                mapping = self._of_visitor(map_delete if type_ is EventType.DELETE else None)
            case _:
                assert_never(route)
        if mapping is None:
            raise ConfigError([f"routes.{type_}: {type_} events cannot go by the route `{route}`"])
        return mapping

    def _metadata(self, type_: EventType) -> Choice | None:
        visibility, with_values = self._visibility, self._with_values
        if type_ is EventType.IDENTIFY:
            return self._of_visitor(partial(map_visitor, visibility=visibility, with_values=with_values))
        if type_ is EventType.GROUP:
            return partial(map_account, visibility=visibility, with_values=with_values)
        return None

    def _of_visitor(self, map_event: MapEvent | None) -> Choice | None:
        """Have a mapping be told whose event it is; where nobody is to have it, it ends."""
        if map_event is None:
            return None
        anonymous = self._anonymous

        def map_(event: Event) -> Mapped:
            visitor = visitor_of(event.fields, anonymous)
            return visitor if isinstance(visitor, Ended) else map_event(event, visitor)

        return map_


def _ends(end: Ended) -> Choice:
    return lambda _: end


def _as_it_came(fields: dict[str, Any]) -> dict[str, Any]:
    return fields


def _track(type_: EventType, visibility: Visibility) -> MapEvent | None:
    names = {EventType.TRACK: shape.event_name, EventType.PAGE: page_name, EventType.SCREEN: screen_name}
    name_of = names.get(type_)
    return partial(map_track_event, visibility, name_of) if name_of else None


def _segmentio(type_: EventType, visibility: Visibility, *, with_values: bool) -> MapEvent | None:
    values_of = hashes_of if with_values else no_hashes
    match type_:
        case EventType.IDENTIFY:
            return partial(map_identify, visibility, values_of)
        case EventType.GROUP:
            return partial(map_group, visibility, values_of)
        case EventType.TRACK:
            return partial(map_track, visibility)
        case EventType.PAGE:
            return partial(map_page, visibility)
        case EventType.SCREEN:
            return partial(map_screen, visibility)
        case EventType.ALIAS | EventType.DELETE | EventType.OTHER | EventType.NONE:
            return None
        case _:
            assert_never(type_)
