"""The doubt: a 401 or 403 came; is the credential wrong, or the record that met it?

Requests of other lanes, the trials, go one at a time until their answers tell. It is handed the time, and does not
know what is sent.
"""

from math import inf
from typing import Final

TRIALS: Final = 2
"""So many others must meet 401 or 403 too for a stall: where some records are forbidden, one of them may be another."""


class Doubt:
    """The doubt of one route. A trial is any request that went since the doubt began.

    Attributes:
        active: Whether it is being found out.
        trial_out: Whether a trial is on the wire.
        trial_due: When the next may go; seconds of the loop's clock.
    """

    __slots__ = ("_began_at", "_locked", "active", "trial_due", "trial_out")

    def __init__(self) -> None:
        self.active = False
        self.trial_out = False
        self.trial_due = 0.0
        self._began_at = -inf
        self._locked = 0

    def begin(self, now: float) -> None:
        """A first 401 or 403 came."""
        self.active = True
        self.trial_out = False
        self.trial_due = self._began_at = now
        self._locked = 0

    def answered(self, began: float) -> None:
        """A request that went at `began` was answered, whatever with."""
        if began >= self._began_at:
            self.trial_out = False

    def failed(self, began: float, next_probe: float) -> None:
        """Pendo could not take it: the next trial has to wait, as every probe has."""
        if began >= self._began_at:
            self.trial_due = next_probe

    def passed(self, began: float) -> None:
        """Pendo answered the request itself: a trial's answer acquits the credential."""
        if began >= self._began_at:
            self.active = False

    def locked(self, began: float) -> bool:
        """One more 401 or 403; whether it is the credential that is wrong."""
        self._locked += began >= self._began_at
        return self._locked >= TRIALS
