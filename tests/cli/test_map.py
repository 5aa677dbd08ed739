"""`map`: one JSON object an event, in whatever form the events come."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run

TRACK = {
    "type": "track",
    "event": "Paid",
    "userId": "u1",
    "messageId": "m1",
    "properties": {"plan": "pro", "groupId": "g1"},
}


class Stdin:
    """Standard input that holds some bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def explained(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_shown_as_it_would_be_sent(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every key that the interface names, and stars for the API key."""
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__API_KEY", "hunter2")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__REGION", "eu")
    (directory / "events.jsonl").write_text(json.dumps(TRACK))
    assert run("map", "events.jsonl") == 0
    assert explained(capsys) == [
        {
            "messageId": "m1",
            "type": "track",
            "outcome": "deliver",
            "reason": "",
            "lanes": ["visitor:u1"],
            "requests": [
                {
                    "route": "segmentio",
                    "method": "POST",
                    "url": "https://data.eu.pendo.io/data/segmentio/***",
                    "headers": {"Content-Type": "application/json"},
                    "body": TRACK,
                }
            ],
            "warnings": [],
        }
    ]


def test_the_track_events_api_is_shown_without_its_secret(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header by its configured name; what Pendo would not show of the event is warned of."""
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__TRACK_EVENT_SECRET", "hunter2")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__TRACK_EVENT_HEADER", "x-pendo-track-event-secret")
    monkeypatch.setenv("PENDO_CONSUMER_ROUTES__TRACK", "track")
    (directory / "events.jsonl").write_text(json.dumps(TRACK | {"timestamp": 1_700_000_000_000}))
    assert run("map", "events.jsonl") == 0
    [printed] = explained(capsys)
    assert printed["requests"] == [
        {
            "route": "track",
            "method": "POST",
            "url": "https://data.pendo.io/data/track",
            "headers": {"Content-Type": "application/json", "x-pendo-track-event-secret": "***"},
            "body": {
                "type": "track",
                "event": "Paid",
                "visitorId": "u1",
                "accountId": "g1",
                "timestamp": 1_700_000_000_000,
                "properties": {"plan": "pro", "groupId": "g1"},
                "context": {},
            },
        }
    ]
    assert [warning["kind"] for warning in printed["warnings"]] == ["old"]


@pytest.mark.parametrize("argv", [(), ("-",)])
def test_standard_input_is_read_without_a_file(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    """Nor is a credential needed. Blank lines are no events, Windows' line ends no part of them."""
    lines = [b"", json.dumps(TRACK).encode(), b"  ", b'{"type":"alias"}', b""]
    monkeypatch.setattr(sys, "stdin", Stdin(b"\r\n".join(lines)))
    assert run("map", *argv) == 0
    assert [(e["outcome"], e["reason"]) for e in explained(capsys)] == [("deliver", ""), ("skipped", "no_route")]


@pytest.mark.parametrize("document", [TRACK, [TRACK, TRACK], {"batch": [TRACK, TRACK, TRACK]}])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_a_document_over_several_lines_is_one_value(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, document: Any, bom: bytes
) -> None:
    """As an editor or `jq` formats it; one output line an event, also for arrays and batches."""
    (directory / "event.json").write_bytes(bom + json.dumps(document, indent=2).encode() + b"\n")
    assert run("map", "event.json") == 0
    events = len(document["batch"]) if "batch" in document else len(document) if isinstance(document, list) else 1
    assert [e["messageId"] for e in explained(capsys)] == ["m1"] * events


@pytest.mark.parametrize("bad_line", [0, 1, 2])
def test_a_line_that_is_no_json_ends_with_1_and_stops_nothing(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, bad_line: int
) -> None:
    """Wherever it stands."""
    lines = [json.dumps(TRACK), json.dumps(TRACK)]
    lines.insert(bad_line, "{not json")
    (directory / "events.jsonl").write_text("\n".join(lines))
    assert run("map", "events.jsonl") == 1
    reasons = [e["reason"] for e in explained(capsys)]
    assert [line for line, reason in enumerate(reasons) if reason == "undecodable"] == [bad_line]
    assert len(reasons) == 3


def test_json_that_is_no_event_is_no_failure_of_the_command(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    """It is dead-lettered, and that is the answer."""
    (directory / "events.jsonl").write_text('5\n[1]\n{"batch":[]}\n')
    assert run("map", "events.jsonl") == 0
    assert [(e["outcome"], e["reason"]) for e in explained(capsys)] == [
        ("dead_lettered", "undecodable"),
        ("dead_lettered", "undecodable"),
        ("skipped", "tombstone"),
    ]


def test_an_empty_file_holds_no_event(run: Run, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """Nothing in, nothing out."""
    (directory / "events.jsonl").write_text("\n\n")
    assert run("map", "events.jsonl") == 0
    assert explained(capsys) == []


def test_the_configuration_decides(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Routes, anonymous visitors, the envelope; the file may be named by the environment. Warnings go elsewhere."""
    (directory / "c.yaml").write_text("routes: {track: off}\nsegment: {anonymous: visitor, envelope_path: a.b}\n")
    monkeypatch.setenv("PENDO_CONSUMER_CONFIG", "c.yaml")
    monkeypatch.setenv("PENDO_CONSUMER_ROUTES", "off")
    page = {"type": "page", "anonymousId": "x", "name": "Home"}
    (directory / "events.jsonl").write_text("\n".join(json.dumps({"a": {"b": event}}) for event in (TRACK, page)))
    assert run("map", "events.jsonl") == 0
    captured = capsys.readouterr()
    assert [json.loads(line)["lanes"] for line in captured.out.splitlines()] == [[], ["visitor:_PENDO_T_x"]]
    assert captured.err == (
        "warning: PENDO_CONSUMER_ROUTES: ignored, it names no key; did you mean PENDO_CONSUMER_ROUTES__PAGE?\n"
    )


@pytest.mark.parametrize("levels", [300, 1020])
def test_an_event_however_deeply_nested_is_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, levels: int
) -> None:
    """What can be read can be explained, though not every encoder writes so many levels."""
    nested = "[" * levels + "]" * levels
    text = json.dumps(TRACK).replace('"pro"', nested)
    (directory / "events.jsonl").write_text(text)
    assert run("map", "events.jsonl") == 0
    [line] = capsys.readouterr().out.splitlines()
    assert '"outcome":"deliver"' in line
    assert (nested in line) == (levels == 300)


RENAMED = "fields: {track: {rename: {plan: tariff}}}\n"


@pytest.fixture
def rules(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rules in use."""
    (directory / "rules.yaml").write_text(RENAMED)
    monkeypatch.setenv("PENDO_CONSUMER_MAPPING__FILE", "rules.yaml")
    return directory


def test_two_mapping_files_are_compared_by_what_they_make_of_events(
    run: Run, capsys: pytest.CaptureFixture[str], rules: Path
) -> None:
    """Only what is different is shown, by the path that a case in a mapping test would name."""
    (rules / "old.yaml").write_text("deny: [{events: [Left]}]\n")
    events = [TRACK, TRACK | {"messageId": "m2", "event": "Left"}, TRACK | {"messageId": "m3", "properties": {}}]
    (rules / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert run("map", "--against", "old.yaml", "events.jsonl") == 0
    captured = capsys.readouterr()
    paid, left = [json.loads(line) for line in captured.out.splitlines()]
    assert paid == {
        "messageId": "m1",
        "type": "track",
        "changes": [
            {"path": "requests.0.body.properties.plan", "before": "pro"},
            {"path": "requests.0.body.properties.tariff", "after": "pro"},
        ],
    }
    assert left["messageId"] == "m2"
    assert {change["path"]: change.get("before") for change in left["changes"]} == {
        "outcome": "filtered",
        "reason": "rule",
        "lanes": [],
        "requests": [],
    }
    assert captured.err == "2 of 3 events would be different\n"


def test_metadata_is_compared_field_by_field(
    run: Run, capsys: pytest.CaptureFixture[str], rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the path that a case in a mapping test would name."""
    monkeypatch.setenv("PENDO_CONSUMER_ROUTES__IDENTIFY", "metadata")
    (rules / "rules.yaml").write_text("fields: {identify: {rename: {Plan: tariff}}}\n")
    (rules / "old.yaml").write_text("")
    (rules / "events.jsonl").write_text(
        '{"type":"identify","userId":"u","messageId":"m","traits":{"Plan":"pro","a":1}}'
    )
    assert run("map", "--against", "old.yaml", "events.jsonl") == 0
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["changes"] == [
        {"path": "requests.0.body.0.values.plan", "before": "pro"},
        {"path": "requests.0.body.0.values.tariff", "after": "pro"},
    ]


@pytest.mark.parametrize(
    ("event", "path", "body"),
    [
        (
            '{"type":"identify","userId":7,"traits":{"Plan":"pro"}}',
            "metadata/visitor/custom/value",
            [{"visitorId": "7", "values": {"plan": "pro"}}],
        ),
        (
            '{"type":"group","groupId":"g","traits":{"Seats":3}}',
            "metadata/account/custom/value",
            [{"accountId": "g", "values": {"seats": 3}}],
        ),
        ('{"type":"delete","userId":"u"}', "bulkdelete/visitor", {"visitors": ["u"]}),
    ],
)
def test_a_call_of_many_ids_is_shown_as_that_of_one(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    event: str,
    path: str,
    body: Any,
) -> None:
    """Complete, by the URL of a visitor or of an account, without the key."""
    routes = {"IDENTIFY": "metadata", "GROUP": "metadata", "DELETE": "bulkdelete"}
    for type_, route in routes.items():
        monkeypatch.setenv(f"PENDO_CONSUMER_ROUTES__{type_}", route)
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__REGION", "eu")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__METADATA_GROUP", "custom")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__METADATA_CREATE", "false")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__INTEGRATION_KEY", "s3cret")
    (directory / "event.json").write_text(event)
    assert run("map", "event.json") == 0
    captured = capsys.readouterr()
    [request] = json.loads(captured.out)["requests"]
    assert (request["method"], request["url"]) == ("POST", f"https://app.eu.pendo.io/api/v1/{path}")
    assert request["headers"] == {"Content-Type": "application/json", "x-pendo-integration-key": "***"}
    assert request["body"] == body
    assert "s3cret" not in captured.out + captured.err


def test_a_mapping_file_is_no_different_from_itself(run: Run, capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """Nothing is printed; a line that is no JSON still gives 1."""
    (rules / "events.jsonl").write_text(json.dumps([TRACK, TRACK]))
    assert run("map", "--against", "rules.yaml", "events.jsonl") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "0 of 2 events would be different\n")
    (rules / "events.jsonl").write_text("{}\n{")
    assert run("map", "--against", "rules.yaml", "events.jsonl") == 1


def test_an_old_mapping_file_that_is_wrong_is_told(run: Run, capsys: pytest.CaptureFixture[str], rules: Path) -> None:
    """By its own name and line."""
    (rules / "old.yaml").write_text("denny: []\n")
    (rules / "events.jsonl").write_text(json.dumps(TRACK))
    assert run("map", "--against", "old.yaml", "events.jsonl") == 78
    assert "old.yaml:1: denny: unknown key; did you mean deny?" in capsys.readouterr().err


@pytest.mark.parametrize("levels", [300, 1020])
def test_events_however_deeply_nested_are_compared(
    run: Run, capsys: pytest.CaptureFixture[str], rules: Path, levels: int
) -> None:
    """What cannot be written is said to be different without being shown."""
    text = json.dumps(TRACK).replace('"pro"', "[" * levels + "]" * levels)
    (rules / "events.jsonl").write_text(text)
    (rules / "old.yaml").write_text("")
    assert run("map", "--against", "old.yaml", "events.jsonl") == 0
    [line] = capsys.readouterr().out.splitlines()
    assert ('"message"' in line) == (levels == 1020)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--sample", "0"), "argument --sample: '0': must be a whole number from 1"),
        (("--sample", "3", "events.jsonl"), "FILE and --sample exclude each other"),
        (("--explain", "--against", "old.yaml"), "not allowed with argument"),
    ],
)
def test_what_cannot_go_together_is_told(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    """As any wrong use."""
    assert run("map", *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_topic_that_cannot_be_read_is_told(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka is asked only for a sample."""
    monkeypatch.setenv("PENDO_CONSUMER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    assert run("map", "--sample", "3") == 1
    assert "topic segment-events cannot be read" in capsys.readouterr().err
