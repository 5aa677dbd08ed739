"""Pendo's Metadata API: a call of many ids comes in, what became of each goes out, and the store has what was taken.

A 200 can hide failures. The rules are Pendo's documentation, and what third parties saw of the answers.
"""

from collections.abc import Callable
from typing import Any, Final

from consumer.sandbox.simulator_checks import RefusedError, normal_id
from consumer.sandbox.simulator_faults import Failure
from consumer.sandbox.simulator_log import Entry, Outcomes
from consumer.sandbox.simulator_store import Group, Kind, Store, metadata_name
from consumer.sandbox.simulator_switches import Switches

Fail = Callable[[str], Failure | None]
"""Whether a fault makes it fail at an id, and how."""

_KEYS: Final[dict[Kind, str]] = {"visitor": "visitorId", "account": "accountId"}


def lanes_of(kind: Kind, call: object) -> tuple[str, ...]:
    """Whom a call is about; nothing in it can make this fail."""
    if not isinstance(call, list):
        return ()
    ids = (normal_id(element.get(_KEYS[kind])) for element in call if isinstance(element, dict))
    return tuple(f"{kind}:{id_}" for id_ in ids if id_ is not None)


def take(
    store: Store,
    kind: Kind,
    group: Group,
    call: object,
    switches: Switches,
    fail: Fail,
    *,
    create: bool,
    entry: Entry | None = None,
) -> dict[str, Any]:
    """Write what can be written, and say what became of each id; the log's entry learns it too.

    Raises:
        RefusedError: The call as a whole is not what it must be.
    """
    taken = _Call(store, kind, group, switches, fail, create=create, number=entry.seq if entry else 0)
    answer, outcomes = taken.take(call)
    if entry is not None:
        entry.outcomes = outcomes
    return answer


class _Call:
    """One call.

    Args:
        store: What Pendo keeps.
        kind: Whom its ids name.
        group: Which fields it writes.
        switches: What Pendo's documentation leaves open.
        fail: Whether a fault makes it fail at an id.
        create: Whether it makes those whom Pendo does not know.
        number: Of the call, in the log.
    """

    def __init__(
        self,
        store: Store,
        kind: Kind,
        group: Group,
        switches: Switches,
        fail: Fail,
        *,
        create: bool,
        number: int,
    ) -> None:
        self._store = store
        self._kind = kind
        self._group = group
        self._switches = switches
        self._fail = fail
        self._create = create
        self._number = number

    def take(self, content: object) -> tuple[dict[str, Any], Outcomes]:
        """Write what can be written; return the answer, and what became of each id.

        Raises:
            RefusedError: The call as a whole is not what it must be.
        """
        elements = self._elements(content)
        failed: dict[Failure, list[Any]] = {"missing": [], "errors": [], "untold": []}
        outcomes: dict[str, str] = {}
        for given, values in elements:
            id_ = normal_id(given)
            failure = "errors" if id_ is None else self._failure(id_, values)
            if failure is not None:
                failed[failure].append(given)
            elif id_ is not None:
                self._store.write(self._kind, id_, self._group, values, self._number)
            if id_ is not None:
                outcomes[id_] = failure or "updated"
        return self._answer(len(elements), failed), outcomes

    def _elements(self, content: object) -> list[tuple[object, dict[str, Any]]]:
        if not isinstance(content, list):
            raise RefusedError(400, "the body is no JSON list")
        if self._switches.metadata_max_records is not None and len(content) > self._switches.metadata_max_records:
            raise RefusedError(408, "the call takes too long")
        key = _KEYS[self._kind]
        elements = []
        for element in content:
            if not isinstance(element, dict) or key not in element or not isinstance(element.get("values"), dict):
                raise RefusedError(400, f"an element has no {key}, or no values")
            if self._switches.refuse_undefined_fields and not self._are_defined(element["values"]):
                raise RefusedError(400, "nobody made a field that an element names")
            elements.append((element[key], element["values"]))
        return elements

    def _failure(self, id_: str, values: dict[str, Any]) -> Failure | None:
        failure = self._fail(id_)
        if failure is not None:
            return failure
        if not self._create and id_ not in self._store.entities(self._kind):
            return "missing"
        return None if self._are_defined(values) else "errors"

    def _are_defined(self, values: dict[str, Any]) -> bool:
        """Whether all fields exist; those of `agent` are made when they are written."""
        if self._group == "agent":
            return True
        return self._store.custom_fields[self._kind].issuperset(map(metadata_name, values))

    def _answer(self, total: int, failed: dict[Failure, list[Any]]) -> dict[str, Any]:
        failures = sum(map(len, failed.values()))
        answer: dict[str, Any] = {"total": total, "updated": total - failures, "failed": failures}
        if self._switches.list_failures:
            lists = {"missing": failed["missing"], "errors": [{"id": given} for given in failed["errors"]]}
            answer |= {name: found for name, found in lists.items() if found or self._switches.empty_lists}
        return answer
