"""Plays incidents, each on a stage of its own, and says what was seen."""

import time
from pathlib import Path

from consumer.sandbox.simulator import Simulator
from tests.e2e.pipe import Broker
from tests.rehearsal.incidents import Incident
from tests.rehearsal.stage import Account, Stage


async def play(incident: Incident, broker: Broker, folder: Path) -> Account:
    """Play one.

    Raises:
        AssertionError: A witness does not name the cause, something is lost, or it does not heal.
    """
    async with Simulator() as simulator:
        stage = Stage(broker, simulator, folder)
        await stage.pipe.create_topics(4)
        await incident(stage)
        lost = await stage.judge()
        assert lost == 0, f"{lost} events are lost"
        return stage.account


def told(incident: Incident, account: Account, began_s: float) -> str:
    """An incident as a paragraph."""
    name = getattr(incident, "__name__", "incident").replace("_", " ")
    expired = f", {account.expired} expired and counted" if account.expired else ""
    took_s = time.monotonic() - began_s
    books = f"{account.produced} events, {account.lost} lost{expired}, {account.twice} delivered twice; {took_s:.0f} s"
    lines = [
        f"{name}: {(incident.__doc__ or '').splitlines()[0]}",
        *(f"  {witness:<8} {what}" for witness, what in account.seen.items()),
        f"  healed   {account.healed_by}",
        f"  oracle   {books}",
    ]
    return "\n".join(lines)
