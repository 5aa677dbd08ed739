"""The router with rules: between `integrations` and the route an event passes the rules of the mapping.

In comes an event, out comes a request or the way the event ends. Without rules nothing of this is in use.
"""

from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final

from consumer.mapping.result import Ended, Mapped
from consumer.mapping.router import Router
from consumer.mapping.rules.compiled import Rules
from consumer.mapping.rules.parts import Change
from consumer.mapping.rules.trace import trace
from consumer.mapping.segmentio import identity_of
from consumer.mapping.visitor import Anonymous, sender_of
from consumer.outcomes import EventType, Outcome, Reason
from consumer.pendo.requests import Request, Route
from consumer.segment.events import Event

BY_RULE: Final = Ended(Outcome.FILTERED, Reason.RULE)


class RuledRouter(Router):
    """Decides as `Router` does, on the event that the rules make of what came.

    Args:
        routes: By which route each type goes; none, or no entry, is `off`.
        anonymous: What becomes of an event with an anonymousId alone.
        rules: Of the mapping file and the handlers.
        with_values: Whether requests tell the values of traits, to be compared with what was delivered.
        clock: Seconds since the epoch.

    Raises:
        ConfigError: A type cannot go by the route it is given.
    """

    def __init__(
        self,
        routes: Mapping[EventType, Route | None],
        anonymous: Anonymous,
        rules: Rules,
        *,
        with_values: bool = False,
        clock: Callable[[], float] = time,
    ) -> None:
        super().__init__(routes, anonymous, with_values=with_values, clock=clock)
        self._rules: Final = rules
        self._named: Final = {
            type_: self._choose(EventType.TRACK, routes.get(type_)) for type_ in (EventType.PAGE, EventType.SCREEN)
        }

    def _map(self, event: Event) -> Mapped:
        refusal = self._refusal(event)
        if refusal is not None:
            return refusal
        ruled = self._rules.apply(event)
        if ruled is None:
            return BY_RULE
        # The rules that name a page or a screen make it a track event.
        named = ruled.fields["type"] != event.fields["type"]
        mapped = (self._named if named else self._mappings)[event.type](ruled)
        if ruled is not event and isinstance(mapped, Request):
            # Two names that a rule makes one are still two events.
            mapped.identity = identity_of(event, mapped.lane + sender_of(event.fields))
        return mapped

    def trace(self, event: Event) -> list[dict[str, Any]]:
        """What each rule does with an event, as far as it comes."""
        return [] if self._refusal(event) is not None else list(trace(self._rules.plans[event.type], event.fields))

    def change_of(self, event: Event) -> Change:
        """What the rules change of events like this one, handlers apart."""
        return self._rules.plans[event.type].branch(event.fields).change
