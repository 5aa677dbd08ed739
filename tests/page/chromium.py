"""A real Chromium for tests: Debian's, or another that is named, driven by Playwright."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.support.tools import missing

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Where one is installed."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def require_chromium() -> str:
    """Where one is; skips the test without one, but fails in CI, where nothing is skipped."""
    found = chromium()
    return found or missing("no Chromium is on the PATH: install the package `chromium`")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """One that runs."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=require_chromium(), args=["--no-sandbox"])
        try:
            yield running
        finally:
            await running.close()


class Watched:
    """A page, and what went wrong on it.

    Attributes:
        page: To be driven.
        complaints: What the browser said on its console, and errors of scripts.
        hosts: Whom it asked for something.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda asked: self.hosts.add(asked.url.split("/")[2]))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.complaints.append(f"{message.type}: {message.text}")

    async def open(self, url: str) -> None:
        """Look at it, until it has drawn a snapshot."""
        await self.page.goto(url)
        await self.page.wait_for_selector("#live[data-state=live]", timeout=10_000)

    async def text(self, selector: str) -> str:
        """What stands there."""
        return await self.page.inner_text(selector)


@asynccontextmanager
async def watched(running: Browser, **context: Any) -> AsyncIterator[Watched]:
    """A page in a context of its own."""
    kept = await running.new_context(**context)
    try:
        yield Watched(await kept.new_page())
    finally:
        await kept.close()
