"""Custom handlers: the escape hatch, and the walls around it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from consumer.errors import ConfigError
from consumer.mapping.result import Ended
from consumer.mapping.rules.handlers import Handler, load_handler
from consumer.outcomes import Outcome, Reason
from consumer.pendo.requests import Request
from consumer.segment.events import Event
from tests.support.rules import event_of, ruled, ruled_router

TRACK = {"type": "track", "userId": "u", "event": "Paid", "properties": {"total": 5, "list": [1]}}


def ended_by(handler: Any) -> Ended:
    mapped = ruled_router({}, {"m:f": handler}).map(event_of(TRACK))
    assert isinstance(mapped, Ended)
    return mapped


def test_a_handler_changes_or_filters() -> None:
    """What it returns goes on; None is filtered as by a rule."""
    assert ruled({}, TRACK, {"m:f": lambda event: event | {"event": "Bought"}}) == TRACK | {"event": "Bought"}
    end = ended_by(lambda _: None)
    assert (end.outcome, end.reason) == (Outcome.FILTERED, Reason.RULE)


def test_handlers_follow_the_filters_and_each_other_and_go_before_the_other_rules() -> None:
    """Personal data that a handler lays open do not go out."""

    def first(event: dict[str, Any]) -> dict[str, Any]:
        return event | {"properties": {"email": "ann@example.com", "seen": 1}}

    def second(event: dict[str, Any]) -> dict[str, Any]:
        event["properties"]["seen"] += 1
        return event

    rules = {"deny": [{"events": "Denied"}], "personal_data": {"drop": {"properties": "email"}}}
    handlers: dict[str, Handler] = {"m:first": first, "m:second": second}
    changed = ruled(rules, TRACK, handlers)
    assert changed is not None
    assert changed["properties"] == {"seen": 2}

    def never(_: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError

    assert ruled(rules, TRACK | {"event": "Denied"}, {"m:never": never}) is None


def test_a_handler_is_handed_a_copy() -> None:
    """A dead letter and the other routes still need what came."""

    def spoil(event: dict[str, Any]) -> dict[str, Any]:
        event["properties"]["list"].append(2)
        event["properties"]["total"] = 0
        return event

    changed = ruled({}, TRACK, {"m:f": spoil})
    assert changed is not None
    assert changed["properties"] == {"total": 0, "list": [1, 2]}
    assert TRACK["properties"] == {"total": 5, "list": [1]}


def test_a_handler_that_changes_nothing_leaves_the_very_bytes() -> None:
    """Nothing is encoded again."""
    raw = b'{"type":"track" ,"userId":"u","event":"e"}'
    event = Event(event_of(TRACK).type, {"type": "track", "userId": "u", "event": "e"}, raw)
    mapped = ruled_router({}, {"m:f": lambda event: event}).map(event)
    assert isinstance(mapped, Request)
    assert mapped.body is raw


def test_true_for_one_is_a_change() -> None:
    """To Python they are equal."""
    changed = ruled({}, TRACK | {"properties": {"a": 1}}, {"m:f": lambda event: event | {"properties": {"a": True}}})
    assert changed is not None
    assert changed["properties"]["a"] is True


def test_what_a_handler_raises_is_a_dead_letter_that_quotes_nothing() -> None:
    """The handler's name and the error's class are what a developer needs."""

    def fails(event: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(event["userId"] + "s3cret")

    end = ended_by(fails)
    assert (end.outcome, end.reason) == (Outcome.DEAD_LETTERED, Reason.HANDLER_ERROR)
    assert end.message == "the handler m:f failed: KeyError"


@pytest.mark.parametrize(
    "result",
    [5, "text", [TRACK], {}, {"type": "page"}, TRACK | {"properties": {"a": {1, 2}}}, TRACK | {"a": object()}],
)
def test_what_is_no_event_of_the_same_type_is_a_dead_letter(result: Any) -> None:
    """Nor what JSON cannot hold."""
    end = ended_by(lambda _: result)
    assert end.reason is Reason.HANDLER_ERROR
    assert end.message.startswith("the handler m:f ")


def test_a_handler_is_imported_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps it from being imported is a problem of the configuration."""
    (tmp_path / "own_events.py").write_text("def keep(event):\n    return event\n\nnothing = 5\n")
    (tmp_path / "own_broken.py").write_text("raise RuntimeError('at import')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_handler("own_events:keep")(TRACK) is TRACK
    for name, problem in (
        ("own_absent:keep", "own_absent cannot be imported: ModuleNotFoundError"),
        ("own_broken:keep", "own_broken cannot be imported: RuntimeError: at import"),
        ("own_events:absent", "own_events has no function absent"),
        ("own_events:nothing", "own_events has no function nothing"),
    ):
        with pytest.raises(ConfigError, match=problem):
            load_handler(name)
    sys.modules.pop("own_events", None)
