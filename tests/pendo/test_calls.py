"""Calls of many ids: how they are written, and what an answer says of each id."""

from typing import Any

import orjson
import pytest

from consumer.outcomes import Reason
from consumer.pendo.calls import answer_of, body_of, form_of, of_lane
from consumer.pendo.requests import Route
from consumer.pendo.verdicts import ACCEPTED, ENDPOINT, Later


def told(answer: Any) -> tuple[dict[str, Reason], int]:
    """Which ids a 200 with this body says were refused, and how many failed."""
    found = answer_of(ACCEPTED, orjson.dumps(answer))
    assert found.verdict is ACCEPTED
    return {id_: refused.reason for id_, refused in found.refused.items()}, found.failures


def test_a_call_of_metadata_is_a_list_of_elements() -> None:
    """The URL says whose they are."""
    form = form_of(Route.METADATA)
    assert form is not None
    assert orjson.loads(form.body("visitor", [b'{"a":1}', b'{"b":2}'])) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(("lane", "call"), [("visitor:é", {"visitors": ["é"]}), ("account:a:b", {"accounts": ["a:b"]})])
def test_a_call_of_deletion_is_an_object_with_a_list_of_ids(lane: str, call: Any) -> None:
    """The kind is in the key; an id may hold a colon."""
    assert orjson.loads(body_of(Route.BULKDELETE, lane, orjson.dumps(of_lane(lane)[1]))) == call


@pytest.mark.parametrize("route", [Route.SEGMENTIO, Route.TRACK])
def test_a_route_of_one_event_a_request_has_no_calls(route: Route) -> None:
    """Its body is the request's."""
    assert form_of(route) is None
    assert body_of(route, "visitor:v", b"body") == b"body"


def test_elements_of_one_id_are_merged_the_later_over_the_earlier() -> None:
    """Field by field; one alone keeps its very bytes."""
    form = form_of(Route.METADATA)
    assert form is not None
    elements = [b'{"visitorId":"v","values":{"a":1,"b":1}}', b'{"visitorId":"v","values":{"b":2,"c":2}}']
    assert orjson.loads(form.merge(elements)) == {"visitorId": "v", "values": {"a": 1, "b": 2, "c": 2}}
    assert form.merge(elements[:1]) is elements[0]


def test_all_updated_is_nobody_refused() -> None:
    """Lists that are absent, empty or null are the same."""
    absent: list[dict[str, Any]] = [{}, {"missing": [], "errors": []}, {"missing": None, "errors": None}]
    for lists in absent:
        assert told({"total": 2, "updated": 2, "failed": 0} | lists) == ({}, 0)


def test_missing_ids_and_errors_are_told_from_each_other() -> None:
    """Either list may be absent; errors are objects with an id."""
    answer = {"total": 3, "updated": 1, "failed": 2, "missing": ["a"], "errors": [{"id": "b", "why": "?"}]}
    assert told(answer) == ({"a": Reason.MISSING, "b": Reason.REFUSED}, 2)
    assert told({"failed": 1, "missing": ["a"]}) == ({"a": Reason.MISSING}, 1)
    assert told({"failed": 1, "errors": [{"id": 678}]}) == ({"678": Reason.REFUSED}, 1)


def test_lists_may_hold_ids_either_way() -> None:
    """Bare, or as objects; what names nobody is only counted."""
    assert told({"missing": [{"id": "a"}], "errors": ["b"]}) == ({"a": Reason.MISSING, "b": Reason.REFUSED}, 2)
    assert told({"failed": 2, "errors": [{"why": "?"}, None]}) == ({}, 2)


def test_failures_that_no_list_explains_are_counted() -> None:
    """Who it was must be found out."""
    assert told({"total": 5, "updated": 3, "failed": 2}) == ({}, 2)
    assert told({"failed": 3, "missing": ["a"]}) == ({"a": Reason.MISSING}, 3)
    assert [told({"failed": failed})[1] for failed in ("2", 2.0, "some", None, [2])] == [2, 2, 0, 0, 0]


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_answer_without_a_body_says_of_nobody_that_it_failed(body: bytes) -> None:
    """Any 2xx is a success."""
    found = answer_of(ACCEPTED, body)
    assert (found.verdict, found.refused, found.failures) == (ACCEPTED, {}, 0)


@pytest.mark.parametrize("body", [b"ok", b"[]", b"7", b"\xff"])
def test_a_body_that_is_no_object_comes_from_something_else(body: bytes) -> None:
    """As a page of HTML would: nothing of the call counts as delivered."""
    assert answer_of(ACCEPTED, body).verdict is ENDPOINT


def test_what_is_no_success_is_not_read() -> None:
    """Its verdict is the call's."""
    later = Later()
    assert answer_of(later, b'{"missing":["a"]}').verdict is later
    assert not answer_of(later, b'{"missing":["a"]}').refused
