"""The view: what the page shows, made of this pod's report and those of its peers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer.log import get_logger
from consumer.page.peers import Heard
from consumer.page.sums import days_of, sum_of
from consumer.page.telling import gate_words, words_of

log = get_logger(__name__)

Json = dict[str, Any]


REPORT: Final = "/api/overview"
DELIVERIES: Final = "/api/deliveries"
"""Where a pod tells of itself alone."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What was delivered on each day, by name.

    Attributes:
        days: Of all pods that answered.
        answered: How many did.
        asked: Of how many.
    """

    days: list[Json]
    answered: int
    asked: int


class Views:
    """Makes them."""

    def __init__(
        self,
        report: Callable[[], Json],
        deliveries: Callable[[], Json],
        peers: Callable[[str], Awaitable[Heard]] | None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            report: What this pod knows of itself.
            deliveries: What it delivered on each day.
            peers: Asks the others for what lies at a path; None when it is not known who they are.
        """
        self.report = report
        self.deliveries = deliveries
        self._peers = peers

    async def all_deliveries(self) -> Deliveries:
        """Of all pods that answer."""
        heard = await self._heard(DELIVERIES)
        own = self.deliveries()
        others = _others(own, heard)
        days = days_of(each["days"] for each in (own, *others))
        return Deliveries(days, 1 + len(others), 1 + len(others) + len(heard.silent))

    async def _heard(self, path: str) -> Heard:
        return Heard() if self._peers is None else await self._peers(path)

    async def whole(self) -> Json:
        """Of all pods that answer, in words and numbers."""
        heard = await self._heard(REPORT)
        own = self.report()
        others, problem = _others(own, heard), heard.problem
        summed = _summed(own, others)
        if summed is None:
            # In a rollout some may be of a version whose reports are others.
            others, problem = [], "a peer's report is of another version"
            summed = sum_of([own])
        answered = 1 + len(others)
        pods = {
            "own": own["pod"],
            "alone": self._peers is None,
            "answered": answered,
            "asked": answered + len(heard.silent),
            "silent": list(heard.silent),
            "problem": problem,
        }
        gates = [{**gate, "words": gate_words(gate)} for gate in summed["gates"]]
        return {"words": words_of(summed).to_json(), "pods": pods, **summed, "gates": gates}


def _others(own: Json, heard: Heard) -> list[Json]:
    """Each pod once, without our own, which we know better."""
    others = {str(each["instance"]): each for each in heard.answers}
    others.pop(own["instance"], None)
    return list(others.values())


def _summed(own: Json, others: Sequence[Json]) -> Json | None:
    try:
        return sum_of([own, *others])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if not others:
            raise
        log.debug("a peer's report cannot be read", problem=type(error).__name__)
        return None
