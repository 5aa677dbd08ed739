"""The `integrations` table of Segment's own `@segment/facade`."""

from typing import Any

import pytest

from consumer.outcomes import EventType
from consumer.segment.events import Event
from consumer.segment.filters import integrations_allow

TABLE: list[tuple[Any, bool]] = [
    (None, True),
    ([], True),
    ({}, True),
    ({"All": False}, False),
    ({"all": False}, False),
    ({"All": True, "all": False}, False),
    ({"All": False, "Pendo": True}, True),
    ({"All": False, "pendo": True}, False),
    ({"Pendo": False}, False),
    ({"All": True, "Pendo": False}, False),
    ({"pendo": False}, True),
    ({"All": False, "Pendo": {"a": 1}}, True),
    ({"Pendo": None}, True),
    ({"All": False, "Pendo": None}, True),
    ({"Pendo": "no"}, True),
    ({"Pendo": 0}, True),
    ({"All": "false"}, True),
    ({"All": 0}, True),
    ({"All": None}, True),
    ({"Other": False}, True),
    (False, True),
    ("All", True),
    ([{"All": False}], True),
    (0, True),
]


@pytest.mark.parametrize(("integrations", "allowed"), TABLE)
def test_only_a_json_false_says_no(integrations: Any, allowed: bool) -> None:  # noqa: FBT001
    """Our own key goes before `All`; keys are case sensitive; whatever is no object allows."""
    assert integrations_allow(Event(EventType.TRACK, {"integrations": integrations}, None)) is allowed


def test_without_integrations_an_event_is_for_pendo() -> None:
    """Most events carry none."""
    assert integrations_allow(Event(EventType.TRACK, {}, None))
