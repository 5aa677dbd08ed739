"""Calls: requests that carry many ids at once, and the answers that say of each id what became of it.

What one id is to say, its *element*, goes in; a body comes out, and from an answer what is wrong with which id. It
knows neither who waits for the answer nor what is done about it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import orjson

from consumer.outcomes import Reason
from consumer.pendo.endpoints import KINDS, Kind
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import ACCEPTED, ENDPOINT, Accepted, Refused, Verdict

_KINDS: Final[Mapping[str, Kind]] = {kind: kind for kind in KINDS}


class Form(Protocol):
    """How the calls of one route are written."""

    def merge(self, elements: Sequence[bytes]) -> bytes:
        """One element that says what several of one id say; of two that differ the later one counts."""

    def body(self, kind: Kind, elements: Sequence[bytes]) -> bytes:
        """The call that carries these elements."""


class Answer:
    """What became of a call.

    Attributes:
        verdict: On the call as a whole.
        refused: Of an accepted call: by id, what Pendo refused.
        failures: Of an accepted call: at how many ids Pendo failed; it may be more than it names.
    """

    __slots__ = ("failures", "refused", "verdict")

    def __init__(self, verdict: Verdict, refused: Mapping[str, Refused] | None = None, failures: int = 0) -> None:
        self.verdict = verdict
        self.refused = refused or {}
        self.failures = max(failures, len(self.refused))


def of_lane(lane: str) -> tuple[Kind, str]:
    """Whose lane it is: `visitor:ID` or `account:ID`."""
    kind, _, id_ = lane.partition(":")
    return _KINDS[kind], id_


def answer_of(verdict: Verdict, body: bytes) -> Answer:
    """Read what an answer says of each id.

    A 200 can hide failures: `failed` counts the ids in `missing` and `errors`, either of which may be absent. An answer
    without a body says of no id that it failed. Source: Pendo's Metadata API, as third parties saw it.

    Args:
        verdict: On the call as a whole, by its status.
        body: The answer's.
    """
    if not isinstance(verdict, Accepted) or not body.strip():
        return Answer(verdict)
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        # As with a page of HTML: it was not this API that answered.
        return Answer(ENDPOINT)
    refused = {id_: Refused(Reason.MISSING, "Pendo knows no such id") for id_ in _ids(answer.get("missing"))}
    for id_ in _ids(answer.get("errors")):
        refused[id_] = Refused(Reason.REFUSED, "Pendo found an error in what was sent of this id")
    failed = answer.get("failed")
    return Answer(ACCEPTED, refused, _count(failed))


def _count(failed: Any) -> int:  # noqa: ANN401 - JSON of any shape
    """How many, also when it is written as text or with a fraction: failures must not pass for successes."""
    try:
        return int(float(failed))
    except (TypeError, ValueError, OverflowError):
        return 0


def _ids(listed: Any) -> list[str]:  # noqa: ANN401 - JSON of any shape
    """Ids in a list that holds them as they are, or as objects with an `id`."""
    if not isinstance(listed, list):
        return []
    ids = (one.get("id") if isinstance(one, dict) else one for one in listed)
    return [str(id_) for id_ in ids if id_ is not None]


def form_of(route: Route) -> Form | None:
    """How a route's calls are written; None for a route of one event a request."""
    return _FORMS.get(route)


def body_of(route: Route, lane: str, element: bytes) -> bytes:
    """The body of a request of one id."""
    form = form_of(route)
    return element if form is None else form.body(of_lane(lane)[0], [element])


class MetadataForm:
    """Calls of the Metadata API: an element is `{"visitorId": …, "values": {…}}`, or `accountId`."""

    def merge(self, elements: Sequence[bytes]) -> bytes:
        """The values of all, of each name the last."""
        if len(elements) == 1:
            return elements[0]
        merged = orjson.loads(elements[0])
        values = merged["values"]
        for element in elements[1:]:
            values.update(orjson.loads(element)["values"])
        return orjson.dumps(merged)

    def body(self, kind: Kind, elements: Sequence[bytes]) -> bytes:  # noqa: ARG002 - the URL says whose they are
        """A list of elements."""
        return b"[" + b",".join(elements) + b"]"


class DeletionForm:
    """Calls of bulk deletion: an element is an id as JSON text."""

    def merge(self, elements: Sequence[bytes]) -> bytes:
        """All of one id are the same."""
        return elements[0]

    def body(self, kind: Kind, elements: Sequence[bytes]) -> bytes:
        """An object with a list of ids."""
        return b'{"' + kind.encode() + b's":[' + b",".join(elements) + b"]}"


_FORMS: Final[Mapping[Route, Form]] = {Route.METADATA: MetadataForm(), Route.BULKDELETE: DeletionForm()}
