"""The page in a real Chromium: what it says, that it fits, that it asks nobody else, and that it does not grow."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.page import states
from tests.page.chromium import Watched, browser, watched
from tests.page.pictures import DESKTOP, SHOTS
from tests.page.served import TOKEN, served

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

HEADLINES = {
    "healthy": "Everything Pendo should have is on its way",
    "outage": "Pendo has answered nothing since 03:11 UTC, for 30 minutes",
    "flood": "Pendo refuses most of what is sent since 03:35 UTC, for 7 minutes",
    "empty": "All is ready; no event has come yet",
    "behind": "Catching up: 1,192,558 records are waiting",
    "stuck": "One record has been waiting for 8 minutes; others pass it",
}


@pytest.fixture
async def running() -> AsyncIterator[Browser]:
    """A browser."""
    async with browser() as one:
        yield one


def unhurt(looking: Watched, url: str) -> None:
    """Nobody else was asked, nothing was forbidden, nothing failed."""
    assert looking.complaints == []
    assert looking.hosts == {url.split("/")[2]}


async def too_wide(looking: Watched) -> int:
    """By so many pixels the page must be moved sideways."""
    found: int = await looking.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return found


@pytest.mark.parametrize("state", states.STATES)
async def test_each_state_is_said_and_fits_every_screen(state: str, running: Browser) -> None:
    """On a desk, at night and on a phone, with nothing on the console."""
    async with served(states.STATES[state]) as server:
        for context in SHOTS.values():
            async with watched(running, **context) as looking:
                await looking.open(server.url + "/")
                assert await looking.text("#headline") == HEADLINES[state]
                assert await too_wide(looking) <= 0
                assert "alone" in await looking.text("#pods")
                unhurt(looking, server.url)


async def test_a_phone_shows_long_names_without_moving_sideways(running: Browser) -> None:
    """Topics and names may have hundreds of characters without a space."""
    topic, name = "t" * 249, "n" * 100
    by = states.blocked(0, 1, "retry") | {"position": f"{topic}-0@1", "front": f"{topic}-0@1"}
    letters = states.report()["letters"]
    case = states.case("refused", "400", "track", "", 1, letter=f"{topic}-0@1", position=f"{topic}-0@1")
    report = states.report(
        partitions=[states.partition(0, topic=topic, blocked_s=500.0, blocked_by=by)],
        days=states.days(("track", name, 9)),
        letters=letters | {"topic": topic, "cases": [case]},
        pod=name,
    )
    async with served(lambda: report) as server, watched(running, **SHOTS["phone"]) as looking:
        await looking.open(server.url + "/")
        assert await too_wide(looking) <= 0


async def test_what_comes_from_outside_is_text(running: Browser) -> None:
    """An event's name that is HTML stands there as it is."""
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    async with (
        served(lambda: states.report(days=states.days(("track", name, 9)), pod=name)) as server,
        watched(running) as looking,
    ):
        await looking.open(server.url + "/")
        assert name in await looking.text("#days")
        assert name in await looking.text("#pods")
        assert await looking.page.locator("main img, main script").count() == 0
        unhurt(looking, server.url)


async def test_the_books_stand_there_by_type_and_for_all(running: Browser) -> None:
    """With what is unaccounted for."""
    async with served() as server, watched(running, viewport=DESKTOP) as looking:
        await looking.open(server.url + "/")
        rows = [line.split() for line in (await looking.text("#ledger")).splitlines() if line.strip()]
    text = " ".join(cell for row in rows for cell in row)
    assert "track 84,901 81,768 0 0 2,310 812 2 0 9" in text
    assert text.endswith("all 118,162 112,259 0 1,554 2,310 2,014 13 0 12 0")


async def test_an_act_needs_the_token_and_says_what_came_of_it(running: Browser) -> None:
    """First a wrong one, then the right one; it is kept nowhere."""
    async with served() as server, watched(running) as looking:
        await looking.open(server.url + "/")
        page = looking.page
        await page.fill("#token", "wrong")
        await page.click("#pause")
        await page.wait_for_selector("#said[data-result=refused]")
        assert await looking.text("#said") == "pause: the admin token is missing or wrong"
        assert server.acts == []
        looking.complaints.clear()  # Chromium notes the 401
        await page.fill("#token", TOKEN)
        await page.click("#pause")
        await page.wait_for_selector("#said[data-result=done]")
        assert await looking.text("#said") == "pause: pause was asked for"
        await page.click("#resume")
        await page.fill("#position", " segment-events-1@42 ")
        await page.click("#skip")
        await page.wait_for_selector("#said[data-result=refused]")
        assert [(name, asked) for name, asked, _ in server.acts] == [
            ("pause", {}),
            ("resume", {}),
            ("skip", {"position": "segment-events-1@42"}),
        ]
        kept = "JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie])"
        assert await page.evaluate(kept) == '[[],[],""]'


async def test_a_pod_that_is_silent_is_said_and_the_page_goes_on_when_it_is_back(running: Browser) -> None:
    """Old numbers must not look like new ones."""
    async with watched(running) as looking:
        async with served() as server:
            port = server.web.port
            await looking.open(server.url + "/")
        await looking.page.wait_for_selector("#live[data-state=stale]", timeout=15_000)
        assert (await looking.text("#live")).startswith("no word from this pod for ")
        async with served(states.outage, port=port):
            await looking.page.wait_for_selector("#live[data-state=live]", timeout=20_000)
            assert await looking.text("#headline") == HEADLINES["outage"]


async def test_the_settings_are_shown_when_they_are_asked_for(running: Browser) -> None:
    """With the secret as set."""
    async with served() as server, watched(running) as looking:
        await looking.open(server.url + "/")
        await looking.page.click("#settings summary")
        await looking.page.wait_for_selector("#keys tr")
        text = await looking.text("#keys")
        assert "http.admin_token" in text
        assert "(set, hidden)" in text
        assert TOKEN not in text


class Changing:
    """Reports that are others each time, with more of everything than is shown."""

    def __init__(self) -> None:
        self._calls = 0

    def report(self) -> dict[str, Any]:
        """The next."""
        self._calls += 1
        calls = self._calls
        names = [("track", f"event {number} of {calls % 7}", 10_000 - number) for number in range(60)]
        cases = [states.case("refused", str(400 + number), "track", "", calls) for number in range(50)]
        return states.report(
            now_ms=states.NOW_MS + calls * 1000,
            partitions=[states.partition(number, backlog=calls % 50) for number in range(150)],
            letters=states.report()["letters"] | {"cases": cases[: 10 + calls % 40]},
            days=states.days(*names),
        )


async def test_a_page_left_open_does_not_grow(running: Browser) -> None:
    """A day's worth of snapshots would take a day: here they come fifty times as fast, and memory must stand still."""
    async with served(Changing().report, every_s=0.02) as server, watched(running, viewport=DESKTOP) as looking:
        await looking.open(server.url + "/")
        session = await looking.page.context.new_cdp_session(looking.page)

        async def sizes() -> tuple[int, int]:
            await session.send("HeapProfiler.collectGarbage")
            found = await session.send("Performance.getMetrics")
            values = {one["name"]: one["value"] for one in found["metrics"]}
            return int(values["JSHeapUsedSize"]), int(values["Nodes"])

        await session.send("Performance.enable")
        await asyncio.sleep(4)
        heap, nodes = await sizes()
        made = server.made
        await asyncio.sleep(12)
        later_heap, later_nodes = await sizes()
        assert server.made - made > 100
        assert later_heap - heap < 1_000_000
        assert abs(later_nodes - nodes) < 3_000
        assert await looking.page.locator("#partitions tr").count() == 60
        unhurt(looking, server.url)
