"""The flood stop: when most of what is sent is refused, something is wrong with all of it, not with each of it.

Answers that are about the request itself go in, accepted or refused; out comes whether dead-lettering must stop. Then
refused heads are set aside by the senders, probes go one at a time, and after the first acceptance a *round* of
probes decides. It knows neither time nor queues.
"""

from collections import deque
from typing import Final

ROUND: Final = 20
"""Probes that decide: enough that one lucky acceptance does not open the way into the dead-letter topic."""


class Flood:
    """The flood stop of one route.

    Args:
        share: `flood_share`: more refusals than this are a flood.
        min_events: `flood_min_events`: of so many last answers; before there are so many nothing is said.

    Attributes:
        active: Whether it is on.
        answers: How many were counted while it was not, since it was last; whoever was accepted is added here.
        in_round: Whether probes follow each other without a pause.
        round_refused: Refusals in the present round, 0 outside one.
    """

    __slots__ = (
        "_bearable",
        "_min_events",
        "_refusals",
        "_round",
        "_share",
        "active",
        "answers",
        "in_round",
        "round_refused",
    )

    def __init__(self, share: float, min_events: int) -> None:
        self.active = False
        self.answers = 0
        self.in_round = False
        self.round_refused = 0
        self._share = share
        self._min_events = min_events
        self._bearable = share * min_events
        # The numbers of those answers among the last that were refusals: as a rule there are none.
        self._refusals: deque[int] = deque()
        self._round = 0

    def begin(self) -> None:
        """Somebody else was in it, over records that are ours now."""
        self.active = True
        self._empty()

    def refused(self) -> bool:
        """While it is not on: one of the answers was a refusal; whether the flood stop begins with it."""
        self.answers += 1
        refusals = self._refusals
        refusals.append(self.answers)
        while refusals[0] <= self.answers - self._min_events:
            refusals.popleft()
        if self.answers >= self._min_events and len(refusals) > self._bearable:
            self.begin()
        return self.active

    def probed(self, *, refused: bool, left: bool) -> None:
        """While it is on: a probe was answered.

        Args:
            refused: Whether Pendo refused the request; else it accepted it.
            left: Whether there is anything else to probe in this round.
        """
        if not self.in_round:
            if refused:
                return
            self.in_round = True
        self._round += 1
        self.round_refused += refused
        if self._round >= ROUND or not left:
            self.active = self.round_refused > self._share * self._round
            self._empty()

    def _empty(self) -> None:
        self.answers = 0
        self._refusals.clear()
        self.in_round = False
        self._round = 0
        self.round_refused = 0
