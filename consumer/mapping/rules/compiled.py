"""Rules become functions, once at the start: a plan for every type of event.

The file's rules and the handlers come in, `Rules` goes out. Which kind of rule goes before which is decided here, and
nowhere else.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from consumer.config.yaml_tree import TreePath, dotted
from consumer.mapping.rules import account, coerce, naming, shaping
from consumer.mapping.rules.conditions import Holds, any_of, holds
from consumer.mapping.rules.file import Source
from consumer.mapping.rules.handlers import KEY, Handler, guard
from consumer.mapping.rules.model import Condition, FieldRules, MappingFile, Override, PersonalData
from consumer.mapping.rules.parts import EVENT_TYPES, PARTS, TRAIT_TYPES, Change, Fields, change_key
from consumer.mapping.rules.personal import change_personal, entries_of, hashed, removed
from consumer.mapping.rules.plan import Branch, Filter, Handling, Plan, Rule, Step
from consumer.outcomes import EventType
from consumer.segment.events import Event

KNOWN: Final = tuple(type_ for type_ in EventType if type_ not in {EventType.OTHER, EventType.NONE})
ACCOUNT_PROPERTY: Final = "groupId"
"""Pendo reads a track event's account from it."""
Line = Callable[[TreePath], int]


class Rules:
    """All rules, compiled.

    Attributes:
        plans: By type of event.
    """

    def __init__(self, plans: Mapping[EventType, Plan]) -> None:
        self.plans: Final = plans

    def apply(self, event: Event) -> Event | None:
        """The event that goes on, the very same when no rule changes it; None when it is filtered.

        Raises:
            RejectedError: A handler failed.
        """
        fields = self.plans[event.type].apply(event.fields)
        if fields is event.fields or fields is None:
            return event if fields is not None else None
        return Event(event.type, fields, None, event.arrived_ms)

    def is_empty(self) -> bool:
        """Whether they do nothing."""
        return all(plan.is_empty() for plan in self.plans.values())


def compile_rules(source: Source, handlers: Mapping[str, Handler]) -> Rules:
    """Compile a file's rules and the handlers of the configuration, by their names and in their order."""
    return Rules({type_: _Compilation(type_, source).plan(handlers) for type_ in KNOWN})


class _Compilation:
    """One type's."""

    def __init__(self, type_: EventType, source: Source) -> None:
        self._type = type_
        self._rules: MappingFile = source.rules
        self._line: Line = source.line

    def plan(self, handlers: Mapping[str, Handler]) -> Plan:
        return Plan(
            only=self._only(),
            deny=list(self._deny()),
            handlers=[Handling(Rule(f"{KEY}: {name}", 0), guard(name, handler)) for name, handler in handlers.items()],
            overrides=list(self._overrides()),
            otherwise=Branch(self._type, list(self._steps(None, 0))),
        )

    def _rule(self, *path: str | int, name: str | None = None) -> Rule:
        return Rule(name or dotted(path), self._line(path))

    def _holds(self, condition: Condition) -> Holds | None:
        types = [EventType(name) for name in condition.types]
        values = {part: getattr(condition, part) for part in PARTS}
        return holds(self._type, types=types, events=condition.events, values=values)

    def _only(self) -> Filter | None:
        """One filter of all conditions that are about the type; what none is about is not restricted."""
        conditions = [test for condition in self._rules.only if (test := self._holds(condition)) is not None]
        if not conditions:
            return None
        return Filter(self._rule("only"), any_of(conditions))

    def _deny(self) -> Iterator[Filter]:
        for index, condition in enumerate(self._rules.deny):
            if (test := self._holds(condition)) is not None:
                yield Filter(self._rule("deny", index, name=condition.name), test)

    def _overrides(self) -> Iterator[Branch]:
        for index, override in enumerate(self._rules.overrides):
            if (test := self._holds(override)) is not None:
                rule = self._rule("overrides", index, name=override.name)
                yield Branch(self._type, list(self._steps(override, index)), rule, test)

    def _steps(self, override: Override | None, index: int) -> Iterator[Step]:
        """In the order in which they go."""
        yield from self._personal_data()
        if self._rules.account and self._type in {EventType.GROUP, *EVENT_TYPES}:
            yield Step(self._rule("account"), account.change_account(self._type, self._rules.account))
        yield from self._names(override, index)
        if self._type in {*TRAIT_TYPES, *EVENT_TYPES}:
            yield from self._fields(override, index)

    def _personal_data(self) -> Iterator[Step]:
        personal = self._rules.personal_data
        for part in PARTS:
            dropped, hashes = getattr(personal.drop, part), getattr(personal.hash, part)
            entries = [*entries_of(dropped, removed), *entries_of(hashes, hashed)]
            if entries:
                yield Step(self._personal_rule(personal, part), _on(part, change_personal(entries)))

    def _personal_rule(self, personal: PersonalData, part: str) -> Rule:
        kind = "drop" if getattr(personal.drop, part) else "hash"
        return Rule(f"personal_data: {part}", self._line(("personal_data", kind, part)))

    def _names(self, override: Override | None, index: int) -> Iterator[Step]:
        if self._type not in EVENT_TYPES:
            return
        if override is not None and override.event is not None:
            set_name = naming.set_track_name if self._type is EventType.TRACK else naming.set_page_name
            yield Step(self._rule("overrides", index, "event"), set_name(override.event))
            return
        rule = self._rule("names", self._type.value)
        names = self._rules.names
        if self._type is EventType.TRACK:
            if names.track:
                yield Step(rule, naming.change_track_name(names.track))
        elif templates := names.page if self._type is EventType.PAGE else names.screen:
            yield Step(rule, naming.change_page_name(templates))

    def _fields(self, override: Override | None, index: int) -> Iterator[Step]:
        rules: FieldRules = getattr(self._rules.fields, self._type.value)
        own = override.fields.model_fields_set if override is not None else frozenset()
        if override is not None:
            rules = rules.model_copy(update={kind: getattr(override.fields, kind) for kind in own})
        for kind, change in _changes(rules, with_account=self._type in EVENT_TYPES):
            path = ("overrides", index, "fields", kind) if kind in own else ("fields", self._type.value, kind)
            yield Step(self._rule(*path), change, on_part=True)


def _changes(rules: FieldRules, *, with_account: bool) -> Iterator[tuple[str, Change]]:
    """What a section of fields asks for, by key, in the order in which it goes."""
    if rules.flatten:
        yield "flatten", shaping.flatten
    if rules.drop:
        yield "drop", shaping.drop(rules.drop)
    if rules.rename:
        yield "rename", shaping.rename(rules.rename)
    if rules.coerce:
        yield "coerce", coerce.change_kinds(rules.coerce)
    if rules.keep:
        yield "keep", shaping.keep([*rules.keep, ACCOUNT_PROPERTY] if with_account else rules.keep)
    if rules.constants:
        yield "constants", shaping.constants(rules.constants)


def _on(part: str, change: Change) -> Change:
    """Change a part wherever it stands: traits are also copied into the context."""
    on_part = change_key(part, change)
    if part != "traits":
        return on_part
    on_context = change_key("context", on_part)

    def on_traits(fields: Fields) -> Fields:
        return on_context(on_part(fields))

    return on_traits
