"""Rule by rule: what each does with an event, for `map --explain`.

A plan and an event's fields come in, one plain entry a rule goes out, as far as the event comes.
"""

from collections.abc import Iterator
from typing import Any, Final

from consumer.errors import RejectedError
from consumer.mapping.changes import changes
from consumer.mapping.rules.parts import Fields
from consumer.mapping.rules.plan import Plan, Rule

MAX_LEVELS: Final = 3
"""How far down a change is followed: to `context.traits.NAME`."""


def trace(plan: Plan, came: Fields) -> Iterator[dict[str, Any]]:
    """Say for each rule whether the event passed it, was filtered, changed or left as it was."""
    if plan.only is not None:
        passed = plan.only.holds(came)
        yield entry(plan.only.rule, "passed" if passed else "filtered")
        if not passed:
            return
    for filter_ in plan.deny:
        denied = filter_.holds(came)
        yield entry(filter_.rule, "filtered" if denied else "passed")
        if denied:
            return
    fields = came
    for handler in plan.handlers:
        handled = _handled(handler.handle, fields)
        yield _changed(handler.rule, fields, handled) if isinstance(handled, dict) else entry(handler.rule, handled)
        if not isinstance(handled, dict):
            return
        fields = handled
    yield from _steps(plan, came, fields)


def _handled(handle: Any, fields: Fields) -> Fields | str:  # noqa: ANN401 - a handler behind its guard
    try:
        handled: Fields | None = handle(fields)
    except RejectedError:
        return "failed"
    return "filtered" if handled is None else handled


def _steps(plan: Plan, came: Fields, fields: Fields) -> Iterator[dict[str, Any]]:
    branch = plan.branch(came)
    for override in plan.overrides:
        if override.rule is not None:
            yield entry(override.rule, "applied" if override is branch else "passed")
        if override is branch:
            break
    for step in branch.steps:
        changed = step.change(fields)
        yield _changed(step.rule, fields, changed)
        fields = changed


def entry(rule: Rule, effect: str) -> dict[str, Any]:
    """What `map --explain` prints of a rule that changed nothing."""
    return {"rule": rule.name, "line": rule.line, "effect": effect, "changes": []}


def _changed(rule: Rule, before: Fields, after: Fields) -> dict[str, Any]:
    found = list(changes(before, after, MAX_LEVELS))
    return entry(rule, "changed" if found else "unchanged") | {"changes": found}
