"""Pendo's Metadata API: a call of many ids comes in, what became of each goes out, and the store has what was taken.

A 200 can hide failures. The rules are Pendo's documentation, and what third parties saw of the answers.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

from consumer.sandbox.simulator_checks import RefusedError, normal_id
from consumer.sandbox.simulator_store import Group, Kind, Store, metadata_name
from consumer.sandbox.simulator_switches import Switches

Failure = Literal["errors", "missing", "untold"]
"""How the API fails at one id: it is named in either list, or only counted."""
Fail = Callable[[str], Failure | None]
"""Whether a fault makes it fail at an id."""

_KEYS: Final[dict[Kind, str]] = {"visitor": "visitorId", "account": "accountId"}


def lanes_of(kind: Kind, call: object) -> tuple[str, ...]:
    """Whom a call is about; nothing in it can make this fail."""
    if not isinstance(call, list):
        return ()
    ids = (normal_id(element.get(_KEYS[kind])) for element in call if isinstance(element, dict))
    return tuple(f"{kind}:{id_}" for id_ in ids if id_ is not None)


def take(
    store: Store, kind: Kind, group: Group, call: object, switches: Switches, fail: Fail, *, create: bool
) -> dict[str, Any]:
    """Write what can be written, and say what became of each id.

    Raises:
        RefusedError: The call as a whole is not what it must be.
    """
    elements = _elements(kind, call, switches)
    missing: list[Any] = []
    errors: list[dict[str, Any]] = []
    untold = 0
    for given, values in elements:
        id_ = normal_id(given)
        failure = fail(id_) if id_ is not None else "errors"
        if failure is None and id_ is not None:
            failure = _failure(store, kind, group, id_, values, create=create)
        if failure is None and id_ is not None:
            store.write(kind, id_, group, values)
        elif failure == "untold":
            untold += 1
        elif failure == "missing":
            missing.append(given)
        else:
            errors.append({"id": given})
    return _answer(len(elements), missing, errors, untold, switches)


def _elements(kind: Kind, call: object, switches: Switches) -> list[tuple[object, dict[str, Any]]]:
    if not isinstance(call, list):
        raise RefusedError(400, "the body is no JSON list")
    if switches.metadata_max_records is not None and len(call) > switches.metadata_max_records:
        raise RefusedError(408, "the call takes too long")
    elements = []
    for element in call:
        if not isinstance(element, dict) or _KEYS[kind] not in element or not isinstance(element.get("values"), dict):
            raise RefusedError(400, f"an element has no {_KEYS[kind]}, or no values")
        elements.append((element[_KEYS[kind]], element["values"]))
    return elements


def _failure(
    store: Store, kind: Kind, group: Group, id_: str, values: dict[str, Any], *, create: bool
) -> Failure | None:
    if id_ not in store.entities(kind) and not create:
        return "missing"
    if group == "custom" and not {metadata_name(name) for name in values} <= store.custom_fields[kind]:
        return "errors"
    return None


def _answer(
    total: int, missing: list[Any], errors: list[dict[str, Any]], untold: int, switches: Switches
) -> dict[str, Any]:
    failed = len(missing) + len(errors) + untold
    answer: dict[str, Any] = {"total": total, "updated": total - failed, "failed": failed}
    if switches.list_failures:
        lists = {"missing": missing, "errors": errors}
        answer |= {name: found for name, found in lists.items() if found or switches.empty_lists}
    return answer
