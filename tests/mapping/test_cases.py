"""Mapping tests as data: what a case may hold, and what is told when it fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from consumer.config.settings import Settings
from consumer.errors import ConfigError
from consumer.mapping.case_file import case_files, read_cases
from consumer.mapping.cases import Bench
from consumer.mapping.differences import differences, presences
from consumer.pendo.requests import Route

TRACK = {"type": "track", "userId": "u", "event": "Ran", "messageId": "m"}


def bench(settings: Settings | None = None) -> Bench:
    return Bench(settings or Settings(), lambda route, _: ("POST", f"https://pendo/{Route(route)}", {}))


def failures(tmp_path: Path, cases: Any) -> list[list[str]]:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    return [[str(each) for each in bench().differences(case)] for case in read_cases(file)]


def test_a_case_passes_or_names_each_place(tmp_path: Path) -> None:
    """Objects may hold more, lists are of equal length."""
    expects = [
        {"outcome": "deliver", "requests": [{"body": {"event": "Ran"}}]},
        {"outcome": "filtered", "requests": [{"body": {"event": "Flew", "x": 1}}]},
        {"requests": []},
        [{"outcome": "deliver"}],
    ]
    assert failures(tmp_path, [{"event": TRACK, "expect": expect} for expect in expects[:2]]) == [
        [],
        [
            '$.outcome: expected "filtered", got "deliver"',
            '$.requests[0].body.event: expected "Flew", got "Ran"',
            "$.requests[0].body.x: expected 1, got (absent)",
        ],
    ]
    [[wrong_length], in_a_list] = failures(tmp_path, [{"event": TRACK, "expect": expect} for expect in expects[2:]])
    assert wrong_length.startswith("$.requests: expected [], got [{")
    assert in_a_list == []


def test_a_case_does_not_grow_old_unless_it_says_when_it_is_tried(tmp_path: Path) -> None:
    """Else a case that passes today would fail in a week, when Pendo no longer takes its event."""
    case = {"event": TRACK | {"timestamp": "2020-01-01T00:00:00Z", "properties": {"groupId": "g"}}}
    fresh: dict[str, Any] = {"expect": {"warnings": []}}
    late: dict[str, Any] = {"expect": {"warnings": [{"kind": "old"}]}}
    assert failures(
        tmp_path,
        [case | fresh, case | late | {"now": "2020-01-09T00:00:00Z"}, case | late | {"now": 1_600_000_000_000}],
    ) == [[], [], []]


def test_a_value_with_several_events_has_a_list(tmp_path: Path) -> None:
    """Text or Base64, an array or a batch."""
    value = json.dumps([TRACK, TRACK | {"type": "alias"}])
    expect = [{"outcome": "deliver"}, {"reason": "no_route"}]
    assert failures(
        tmp_path, [{"value": value, "expect": expect}, {"value_base64": "AAAA", "expect": {"type": "none"}}]
    ) == [
        [],
        [],
    ]
    [[told]] = failures(tmp_path, {"value": value, "expect": {"outcome": "deliver"}})
    assert told.startswith('$: expected {"outcome":"deliver"}, got [')


def test_what_must_not_be_there_is_looked_for(tmp_path: Path) -> None:
    """A path that leads nowhere is a mistake of the case, not a success."""
    absent = ["requests.0.body.event", "requests.0.body.typo", "requests.7.body.event", "outcome.x"]
    [found] = failures(tmp_path, {"event": TRACK, "expect": {}, "absent": absent})
    assert [each.split(":")[0] for each in found] == [
        "$.requests.0.body.event",
        "$.requests.7.body.event",
        "$.outcome.x",
    ]
    assert list(presences(["a"], {"b": 1})) == []


def test_unchanged_means_the_very_bytes(tmp_path: Path) -> None:
    """Both ways round."""
    changed = TRACK | {"writeKey": "w"}
    cases = [{"event": event, "expect": {}, "unchanged": True} for event in (TRACK, changed)]
    assert failures(tmp_path, cases) == [[], ["unchanged: expected true, got false"]]
    assert failures(tmp_path, {"event": TRACK, "expect": {}, "unchanged": False}) == [
        ["unchanged: expected false, got true"]
    ]
    assert failures(tmp_path, {"value": "[]", "expect": {}, "unchanged": False}) == [[]]


def test_settings_and_rules_are_the_cases_own(tmp_path: Path) -> None:
    """The next case knows nothing of them."""
    anonymous = {"type": "track", "event": "Ran", "anonymousId": "a"}
    cases = [
        {"event": anonymous, "expect": {"lanes": ["visitor:_PENDO_T_a"]}, "settings": {"anonymous": "visitor"}},
        {"event": TRACK, "expect": {"reason": "no_route"}, "settings": {"routes": {"track": None}}},
        {"event": {"e": TRACK}, "expect": {"type": "track"}, "settings": {"envelope_path": "e"}},
        {"event": TRACK, "expect": {"reason": "rule"}, "rules": {"deny": [{"events": "Ran"}]}},
        {"event": TRACK, "expect": {"outcome": "deliver"}},
        {"event": anonymous, "expect": {"reason": "anonymous"}},
    ]
    assert failures(tmp_path, cases) == [[]] * 6


def test_rules_of_the_settings_go_for_all_others(tmp_path: Path) -> None:
    """The mapping file is what is tested."""
    file = tmp_path / "mapping.yaml"
    file.write_text("deny: [{events: Ran}]\n")
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "- {event: {type: track, userId: u, event: Ran}, expect: {reason: rule}}\n"
        "- {event: {type: track, userId: u, event: Ran}, expect: {reason: ''}, rules: {}}\n"
    )
    settings = Settings.model_validate({"mapping": {"file": str(file)}})
    assert [bench(settings).differences(case) for case in read_cases(cases)] == [[], []]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {event: {}, expct: {}}", "cases.yaml:1: expct: unknown key; did you mean expect?"),
        ("- {expect: {}}", "cases.yaml:1: a case needs one of event, value, value_base64"),
        ("- {event: {}, value: '', expect: {}}", "cases.yaml:1: a case needs one of"),
        ("\n- {event: {}, expect: 5}", "cases.yaml:2: expect: must be a part of what map prints"),
        ("- {event: {}, expect: {}, absent: a}", "cases.yaml:1: absent: must be a list of dotted paths"),
        ("- {event: {}, expect: {}, unchanged: 1}", "cases.yaml:1: unchanged: must be true or false"),
        ("- {event: {}, expect: {}, now: soon}", "cases.yaml:1: now: must be a time, like an event's timestamp"),
        ("- {event: {}, expect: {}, settings: 1}", "cases.yaml:1: settings: must be a section"),
        ("- {value_base64: '?', expect: {}}", "cases.yaml:1: the event cannot be written"),
        ("- 5", "cases.yaml:1: a case must be an object"),
        ("5", "cases.yaml:1: a case must be an object"),
        ("- [", "cases.yaml:1: not valid YAML"),
        ("- {event: {}, event: {}, expect: {}}", "cases.yaml:1: [0].event: written twice"),
    ],
)
def test_a_file_that_is_none_says_where(tmp_path: Path, text: str, problem: str) -> None:
    """A misspelt key must not pass as a case that expects nothing."""
    file = tmp_path / "cases.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_cases(file)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(problem)


@pytest.mark.parametrize(
    "case",
    [
        {"rules": {"felds": {}}},
        {"rules": [5]},
        {"settings": {"anonymus": "visitor"}},
        {"settings": {"routes": {"track": "pigeon"}}},
        {"settings": {"routes": 5}},
    ],
)
def test_rules_and_settings_that_cannot_be_used_are_told_with_the_case(tmp_path: Path, case: dict[str, Any]) -> None:
    """Other cases go on."""
    with pytest.raises(ConfigError, match=r"cases\.json"):
        failures(tmp_path, {"event": TRACK, "expect": {}} | case)


def test_a_folder_is_all_of_its_files(tmp_path: Path) -> None:
    """By name, and those below it."""
    (tmp_path / "b").mkdir()
    for name in ("c.json", "a.yaml", "b/x.yml", "readme.md"):
        (tmp_path / name).write_text("[]")
    assert [str(file.relative_to(tmp_path)) for file in case_files(tmp_path)] == ["a.yaml", "b/x.yml", "c.json"]
    assert [case for file in case_files(tmp_path) for case in read_cases(file)] == []


def test_numbers_are_equal_as_in_json() -> None:
    """1 is 1.0, and neither is true."""
    assert list(differences({"a": 1}, {"a": 1.0})) == []
    assert [str(each) for each in differences({"a": True}, {"a": 1})] == ["$.a: expected true, got 1"]
    assert [str(each) for each in differences([None], [0])] == ["$[0]: expected null, got 0"]
