"""`dlq list`, `show` and `export` on letters of a running service, and of somebody else."""

import asyncio
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from consumer.cli import execute
from tests.e2e.pipe import Pipe, event


async def command(pipe: Pipe, monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    """The status of a command configured as the pipe is."""
    for name, value in pipe.environ().items():
        monkeypatch.setenv(name, value)
    return await asyncio.to_thread(execute, ["dlq", *argv])


def lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    """The JSON lines that were printed."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] in "{["]


async def test_letters_are_listed_grouped_shown_and_exported(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its position; what another system wrote is shown, too."""
    bad = [event(n, user=f"u{n}", properties=[]) for n in range(3)]
    array = [event(10), {"type": "track", "userId": "u9", "messageId": "m-9"}]
    async with pipe.service() as service:
        await pipe.produce([*bad, json.dumps(array).encode(), b"no json"], partition=0)
        await service.until_settled(6)
        await service.until(lambda m: m.sum("lag_records") == 0)
    async with AIOKafkaProducer(bootstrap_servers=pipe.broker.bootstrap) as producer:
        await producer.send_and_wait(pipe.dead_letter_topic, value=b"whatever", partition=0)
    assert await command(pipe, monkeypatch, "list", "--json") == 0
    rows = lines(capsys)
    assert len(rows) == 6
    assert {row["reason"] for row in rows} == {"invalid_properties", "invalid_event", "undecodable", "foreign"}
    assert rows[0].keys() >= {"letter", "position", "reason", "status", "type", "messageId", "attempts", "replays"}
    assert await command(pipe, monkeypatch, "list", "--group-by", "case", "--json") == 0
    cases = {(case["reason"], case["field"]): case for case in lines(capsys)}
    assert cases["invalid_properties", "properties"]["count"] == 3
    assert await command(pipe, monkeypatch, "list", "--id", "u9") == 0
    out = capsys.readouterr()
    assert f"{pipe.topic}-0@3" in out.out
    assert out.err.endswith("1 letter\n")
    [nested] = [row for row in rows if row["messageId"] == "m-9"]
    assert await command(pipe, monkeypatch, "show", nested["letter"]) == 0
    text = capsys.readouterr().out
    letter = json.loads(text[text.index("{") :])
    assert (letter["index"], letter["event"]["userId"], letter["now"][0]["reason"]) == (1, "u9", "invalid_event")
    assert await command(pipe, monkeypatch, "show", f"{pipe.dead_letter_topic}-0@999") == 1
    assert await command(pipe, monkeypatch, "show", "nonsense") == 2


async def test_exported_letters_are_what_map_takes(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """One line a letter, filtered; of an array the one event."""
    array = [event(10), {"type": "track", "userId": "u9", "messageId": "m-9"}]
    async with pipe.service() as service:
        await pipe.produce([event(1, properties=[]), json.dumps(array).encode()], partition=0)
        await service.until_settled(3)
        await service.until(lambda m: m.sum("lag_records") == 0)
    capsysbinary.readouterr()
    assert await command(pipe, monkeypatch, "export", "--reason", "invalid_event") == 0
    [line] = [line for line in capsysbinary.readouterr().out.splitlines() if line.startswith(b"{")]
    assert json.loads(line) == array[1]
