"""What was delivered is compared with what Pendo holds: by a sample, and for one id."""

import asyncio
import json
from typing import Any

import pytest

from consumer.cli import execute
from tests.e2e.pipe import Pipe


def identify(user: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "messageId": f"m-{user}-{len(traits)}", "traits": traits}


async def test_what_pendo_lost_is_found(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field that somebody changed at Pendo, a visitor that it does not know; one that holds all is not named."""
    environ = pipe.environ(pendo__integration_key=pipe.simulator.integration_key, pendo__api_url=pipe.simulator.url)
    async with pipe.service() as service:
        await pipe.produce([identify(f"u{number}", plan="old") for number in range(10)])
        await pipe.produce([identify(f"u{number}", Plan="pro", seats=number) for number in range(10)])
        await service.until_settled(20)
        await service.until(lambda m: m.sum("lag_records") == 0)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    async def command(*argv: str) -> tuple[int, list[dict[str, Any]]]:
        status = await asyncio.to_thread(execute, [*argv, "--json"])
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]

    status, [told] = await command("verify", "--until", "0s")
    assert (status, told["sampled"], told["share"], told["differences"]) == (0, 10, 1.0, [])
    pipe.simulator.store.visitors["u3"].metadata["plan"] = "free"
    del pipe.simulator.store.visitors["u7"]
    status, [told] = await command("verify", "--until", "0s")
    assert (status, told["unknown"], told["fields"]) == (1, 1, {"holds": 17, "differs": 1, "missing": 2})
    assert {(row["id"], row["field"], row["held"]) for row in told["differences"]} == {
        ("u3", "plan", "differs"),
        ("u7", "plan", "missing"),
        ("u7", "seats", "missing"),
    }
    status, [told] = await command("verify")
    assert (status, told["share"]) == (0, None), "what came just now may not show yet"
    assert await asyncio.to_thread(execute, ["verify", "--since", "1h"]) == 0
    assert "for what came later give a later --until" in capsys.readouterr().err
    status, rows = await command("trace", "u3", "--pendo")
    assert status == 0
    assert [row["pendo"] for row in rows] == [{}, {"plan": "differs", "seats": "holds"}]


async def test_without_a_key_that_reads_it_says_so(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which one, and what for."""
    for name, value in pipe.environ().items():
        monkeypatch.setenv(name, value)
    assert await asyncio.to_thread(execute, ["verify"]) == 78
    assert "set PENDO_CONSUMER_PENDO__INTEGRATION_KEY" in capsys.readouterr().err


async def test_a_pendo_that_does_not_answer_is_named_with_what_to_look_at(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not by the name of a class alone; a key that is refused likewise."""
    environ = pipe.environ(pendo__integration_key="wrong", pendo__api_url=pipe.simulator.url)
    async with pipe.service() as service:
        await pipe.produce([identify("u1", plan="pro")])
        await service.until_settled(1)
        await service.until(lambda m: m.sum("lag_records") == 0)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert await asyncio.to_thread(execute, ["verify", "--until", "0s"]) == 1
    assert "is pendo.integration_key right" in capsys.readouterr().err
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__API_URL", "http://127.0.0.1:1")
    assert await asyncio.to_thread(execute, ["verify", "--until", "0s"]) == 1
    assert "Pendo cannot be reached (ClientConnectorError): check pendo.region" in capsys.readouterr().err
