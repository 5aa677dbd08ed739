"""`schema --observed`: the fields of events, beside what Pendo has."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.cli.conftest import Run

KEY = "an-integration-key"
FIELDS = {"visitor": {"auto": {"id": {"Type": "string"}}, "agent": {"plan": {"Type": "string"}}, "custom": None}}
EVENTS = [
    {"type": "identify", "userId": "u", "traits": {"Plan": "pro", "seats": 3}},
    {"type": "identify", "userId": "u", "traits": {"Plan": 1}},
    {"type": "track", "userId": "u", "event": "Ran", "properties": {"plan": "pro"}},
]


@pytest.fixture
def events(directory: Path) -> str:
    """A file of events."""
    (directory / "events.jsonl").write_text("\n".join(map(json.dumps, EVENTS)))
    return "events.jsonl"


@pytest.fixture
def pendo() -> Iterator[str]:
    """Pendo's API host, in a loop of its own, since the command runs one too."""

    async def schema(request: web.Request) -> web.Response:
        if request.headers.get("x-pendo-integration-key") != KEY:
            return web.Response(status=403)
        fields = FIELDS.get(request.match_info["kind"])
        return web.json_response(fields) if fields else web.Response(text="no JSON")

    async def serve() -> str:
        app = web.Application()
        app.router.add_get("/api/v1/metadata/schema/{kind}", schema)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    runners: list[web.AppRunner] = []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    asyncio.run_coroutine_threadsafe(runners[0].cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_fields_are_listed_for_people(run: Run, capsys: pytest.CaptureFixture[str], events: str) -> None:
    """Shares where not all events are the same; without a key no word of what Pendo has."""
    assert run("schema", "--observed", events) == 0
    captured = capsys.readouterr()
    assert [" ".join(line.split()) for line in captured.out.splitlines()] == [
        "type field events values goes as",
        "identify Plan 2 text 50 %, number 50 % plan",
        "identify seats 1 number seats",
        "track plan 1 text plan",
    ]
    assert captured.err == "3 events\n"


def test_what_pendo_has_stands_beside_them(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, events: str, pendo: str
) -> None:
    """Groups with their types; what is not there yet; what Pendo does not tell is only a warning."""
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__API_URL", pendo)
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__INTEGRATION_KEY", KEY)
    assert run("schema", "--observed", "--json", events) == 0
    captured = capsys.readouterr()
    plan, seats, track = [json.loads(line) for line in captured.out.splitlines()]
    assert plan == {
        "type": "identify",
        "field": "Plan",
        "events": 2,
        "values": {"text": 1, "number": 1},
        "goes_as": {"plan": 2},
        "left_out": 0,
        "at_pendo": {"plan": ["agent string"]},
    }
    assert seats["at_pendo"] == {"seats": []}
    assert track["at_pendo"] is None
    assert captured.err.splitlines() == [
        "warning: Pendo does not tell its fields of accounts: the answer is no list of fields",
        "3 events",
    ]
    assert run("schema", "--observed", events) == 0
    assert [line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()[:3]] == [
        "at Pendo",
        "agent string",
        "(new)",
    ]


@pytest.mark.parametrize(
    ("key", "told"), [("wrong", "status 403; a key is valid in its region only"), (KEY, "ClientConnectorError")]
)
def test_a_pendo_that_does_not_tell_is_a_warning(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    events: str,
    pendo: str,
    key: str,
    told: str,
) -> None:
    """The fields are listed all the same."""
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__API_URL", pendo if key == "wrong" else "http://127.0.0.1:9")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__INTEGRATION_KEY", key)
    assert run("schema", "--observed", events) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    assert f"warning: Pendo does not tell its fields of visitors: {told}" in captured.err
