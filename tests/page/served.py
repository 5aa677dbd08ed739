"""The page over a report that a test sets, on the real server."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from consumer.config.settings import Settings
from consumer.config.shown import shown
from consumer.page.live import EVERY_S
from consumer.page.peers import Peers
from consumer.page.site import Site
from consumer.page.view import Views
from consumer.web import Api, Token, Web
from tests.page import states

TOKEN = "an-admin-token"


@dataclass
class Answered:
    """To an operator."""

    done: bool
    message: str


@dataclass
class Served:
    """A server with a page.

    Attributes:
        make: Gives the report.
        made: How often one was asked for.
        acts: What was asked by whom.
        peers: Whom to ask beside.
        every_s: How often a snapshot is made.
    """

    make: Callable[[], dict[str, Any]] = states.report
    made: int = 0
    acts: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    peers: Peers | None = None
    every_s: float = EVERY_S

    def __post_init__(self) -> None:
        """Build it."""
        peers = self.peers
        views = Views(self._report, self._deliveries, None if peers is None else peers.answers)
        self.site = Site(
            views, settings=shown(Settings.model_validate({"http": {"admin_token": TOKEN}})), every_s=self.every_s
        )
        self.web = Web(
            alive=lambda: True,
            not_ready=list,
            metrics=lambda: b"",
            api=Api(
                partitions=list,
                acts={name: self._act(name) for name in ("pause", "resume", "skip")},
                unauthorized=lambda _: None,
            ),
            token=Token(SecretStr(TOKEN)),
            site=self.site,
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.web.port}"

    def _report(self) -> dict[str, Any]:
        self.made += 1
        return self.make()

    def _deliveries(self) -> dict[str, Any]:
        report = self.make()
        return {"instance": report["instance"], "days": report["days"]}

    def _act(self, name: str) -> Callable[[dict[str, Any], str], Answered]:
        def act(asked: dict[str, Any], who: str) -> Answered:
            self.acts.append((name, asked, who))
            return Answered(done=name != "skip", message=f"{name} was asked for")

        return act


@asynccontextmanager
async def served(
    make: Callable[[], dict[str, Any]] = states.report,
    *,
    peers: Peers | None = None,
    port: int = 0,
    every_s: float = EVERY_S,
) -> AsyncIterator[Served]:
    """One that listens."""
    server = Served(make, peers=peers, every_s=every_s)
    await server.web.start("127.0.0.1", port)
    try:
        yield server
    finally:
        await server.web.stop()
