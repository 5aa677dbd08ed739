"""The page over a running service: its books, its days, its dead letters, and a hand on it in a real browser."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, Running, event
from tests.page.chromium import Watched, browser, watched

TOKEN = "an-admin-token"


async def overview(service: Running) -> dict[str, Any]:
    """What all pods say together."""
    _, body = await service.get("/api/overview?pods=all")
    found: dict[str, Any] = orjson.loads(body)
    return found


async def test_the_books_of_a_running_service_add_up_by_type(pipe: Pipe) -> None:
    """What was delivered, suppressed, skipped and dead-lettered, on which day and why; who has it open."""
    pipe.simulator.faults.add(Rule(id="bad", answer=Answer(status=400)))
    pipe.simulator.faults.add(Rule(id="down", answer=Answer(status=503)))
    events: list[dict[str, Any]] = [
        event("open", user="down"),
        *(event(number, user=f"u{number}") for number in range(10)),
        event("again", user="u1") | {"messageId": "1", "properties": {"n": 1}},
        event("refused", user="bad"),
        {"type": "page", "name": "Home", "userId": "u1", "messageId": "p"},
        {"type": "identify", "userId": "u1", "traits": [], "messageId": "i"},
        {"type": "alias", "userId": "u1", "previousId": "u0", "messageId": "a"},
    ]
    async with pipe.service(http__peers="localhost") as service:
        await pipe.produce(events, partition=0)
        await service.until_settled(len(events) - 1)
        await service.until(lambda m: m.sum("blocked_seconds") > 0)
        view = await overview(service)
    ledger = view["ledger"]
    assert (ledger["unaccounted"], ledger["open"], ledger["released"]) == (0, 1, 0)
    for row in ledger["types"].values():
        assert row.pop("received") == sum(row.values())
    track = ledger["types"]["track"]
    assert (track["delivered"] + track["suppressed"], track["dead_lettered"], track["open"]) == (11, 1, 1)
    [by] = [one["blocked_by"] for one in view["partitions"] if one["blocked_by"]]
    assert (by["position"], by["status"]) == (f"{pipe.topic}-0@0", "503")
    assert view["pods"]["answered"] == 1
    assert [(day["names"][0]["event"], day["other"]) for day in view["days"]] == [("Clicked", 0)]
    assert {"type": "page", "event": "Viewed Home Page", "delivered": 1} in view["days"][0]["names"]
    cases = {case["reason"]: case for case in view["letters"]["cases"]}
    assert (cases["refused"]["status"], cases["refused"]["type"], cases["refused"]["count"]) == ("400", "track", 1)
    assert cases["invalid_traits"]["field"] == "traits"
    assert cases["refused"]["letter"].startswith(f"{pipe.dead_letter_topic}-")
    assert cases["refused"]["position"] == f"{pipe.topic}-0@12"
    assert "u1" not in str(view)


async def test_a_service_ends_promptly_though_somebody_looks_on(pipe: Pipe) -> None:
    """An open page is no reason to be killed."""
    async with (
        pipe.service() as service,
        aiohttp.ClientSession() as session,
        session.get(service.url + "/api/events") as stream,
    ):
        await stream.content.readline()
        async with asyncio.timeout(5):
            assert await service.stop() == 0


async def until(looking: Watched, selector: str, text: str, timeout_s: float = 30) -> None:
    """Wait until it stands there."""
    found = ""
    try:
        async with asyncio.timeout(timeout_s):
            while text not in (found := await looking.text(selector)):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{selector}: {found!r}, expected {text!r}") from None


@pytest.mark.chromium
@pytest.mark.timeout(180)
async def test_a_person_sees_what_happens_and_pauses_it(pipe: Pipe) -> None:
    """Nothing yet, events, a pause with a wrong token and with the right one, an outage, a flood; then all is well."""
    rules = pipe.simulator.faults
    settings = {"dead_letter__flood_min_events": "20", "delivery__max_retry_delay_s": "1", "http__admin_token": TOKEN}
    async with browser() as running, watched(running) as looking, pipe.service(**settings) as service:
        page = looking.page
        await looking.open(service.url + "/")
        await until(looking, "#headline", "All is ready; no event has come yet")
        await pipe.produce(event(number, user=f"u{number}") for number in range(50))
        await until(looking, "#ledger", "50")
        await until(looking, "#days", "Clicked")

        await page.fill("#token", "wrong")
        await page.click("#pause")
        await until(looking, "#said", "the admin token is missing or wrong")
        await page.fill("#token", TOKEN)
        await page.click("#pause")
        await until(looking, "#headline", "Somebody has paused delivery")
        await pipe.produce([event("waits", user="w")])
        await until(looking, "#partitions", "waits for paused")
        await page.click("#resume")
        await until(looking, "#headline", "Pendo has everything it should have", 40)

        [outage] = [rules.add(Rule(answer=Answer(status=503)))]
        await pipe.produce(event(f"o{number}", user=f"o{number}") for number in range(30))
        await until(looking, "#headline", "Pendo has answered nothing since ")
        await until(looking, "#detail", "Nothing is lost: 30 events are waiting here")
        assert await page.get_attribute("#main", "data-level") == "notice"
        rules.remove(outage)
        await until(looking, "#headline", "Pendo has everything it should have", 40)

        refusal = rules.add(Rule(answer=Answer(status=400)))
        await pipe.produce(event(f"f{number}", user=f"f{number}") for number in range(80))
        await until(looking, "#headline", "Pendo refuses most of what is sent since ")
        await until(looking, "#cases", "refused, 400 · track")
        rules.remove(refusal)
        # For a minute it is not to be overlooked what was refused before the flood was known.
        await until(looking, "#headline", " became dead letters", 40)
        await until(looking, "#steps", "dlq replay")
        assert "unaccounted" in await looking.text("table.numbers")
        assert [each for each in looking.complaints if "401" not in each] == []
