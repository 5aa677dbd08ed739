"""What the rules do with events of one type: filters, then handlers, then steps, each with the rule that it came from.

Functions come in; an event's changed fields go out, or None when it is filtered. It must not know files.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from consumer.mapping.rules.conditions import Holds
from consumer.mapping.rules.parts import Change, Fields, chain, change_part
from consumer.outcomes import EventType


class Rule(NamedTuple):
    """Which rule: its path in the file or the name that it was given, and its line; 0 without a file."""

    name: str
    line: int


class Filter(NamedTuple):
    """A condition of `deny`."""

    rule: Rule
    holds: Holds


class Step(NamedTuple):
    """One rule that changes fields.

    Attributes:
        rule: Which.
        change: What it does.
        on_part: Whether it is handed the traits or properties instead of the whole event.
    """

    rule: Rule
    change: Change
    on_part: bool = False


class Handling(NamedTuple):
    """One custom handler."""

    rule: Rule
    handle: Callable[[Fields], Fields | None]


class Branch:
    """The steps for some events of the type.

    Attributes:
        rule: The override; None for what goes for all others.
        holds: Whether it is about an event; None for all others.
        steps: One by one, for explaining.
        change: All of them at once.
    """

    __slots__ = ("change", "holds", "rule", "steps")

    def __init__(
        self, type_: EventType, steps: Sequence[Step], rule: Rule | None = None, holds: Holds | None = None
    ) -> None:
        self.rule = rule
        self.holds = holds
        self.steps = tuple(Step(step.rule, whole(type_, step)) for step in steps)
        on_event = [step.change for step in steps if not step.on_part]
        on_part = [step.change for step in steps if step.on_part]
        # The parts' steps come last, and together copy the event once.
        self.change = chain([*on_event, change_part(type_, chain(on_part))] if on_part else on_event)


class Plan:
    """All that the rules do with events of one type.

    Attributes:
        only: The conditions of which one must hold, when there are any.
        deny: Those of which none may.
        handlers: In their order.
        overrides: In their order.
        otherwise: What goes for events that no override is about.
    """

    __slots__ = ("_branches", "_denials", "deny", "handlers", "only", "otherwise", "overrides")

    def __init__(
        self,
        *,
        only: Filter | None,
        deny: Iterable[Filter],
        handlers: Iterable[Handling],
        overrides: Iterable[Branch],
        otherwise: Branch,
    ) -> None:
        self.only = only
        self.deny = tuple(deny)
        self._denials = tuple(filter_.holds for filter_ in self.deny)
        self.handlers = tuple(handlers)
        self.overrides = tuple(overrides)
        self._branches = tuple((branch.holds, branch) for branch in self.overrides if branch.holds is not None)
        self.otherwise = otherwise

    def apply(self, fields: Fields) -> Fields | None:
        """The fields that go on, the very same when no rule changes any; None when the event is filtered.

        Raises:
            RejectedError: A handler failed.
        """
        if self.only is not None and not self.only.holds(fields):
            return None
        for denies in self._denials:
            if denies(fields):
                return None
        change = self.branch(fields).change
        for handler in self.handlers:
            handled = handler.handle(fields)
            if handled is None:
                return None
            fields = handled
        return change(fields)

    def branch(self, fields: Fields) -> Branch:
        """The steps for an event, by what came."""
        for holds, branch in self._branches:
            if holds(fields):
                return branch
        return self.otherwise

    def is_empty(self) -> bool:
        """Whether it does nothing."""
        return not (self.only or self.deny or self.handlers or self.overrides or self.otherwise.steps)


def whole(type_: EventType, step: Step) -> Change:
    """What a step does to the event."""
    return change_part(type_, step.change) if step.on_part else step.change
