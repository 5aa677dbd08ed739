"""The days: how many events of each name were delivered on each day, as plain integers in bounded memory.

Types and names are counted as events are accepted; days of UTC come out. It keeps no id and no value.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Final

from consumer.delivery.tally import Counts
from consumer.outcomes import EventType

MAX_NAMES: Final = 200
"""A day's names; Pendo shows hardly more, and whoever puts an id into a name must not fill the memory."""
MAX_NAME_CHARS: Final = 100
MAX_DAYS: Final = 8
"""A week, and today."""
DAY_S: Final = 86_400

Name = tuple[EventType, str]
"""An event's type and, of a fact, its name."""


class Day:
    """One day of UTC.

    Attributes:
        number: Days since the epoch.
        names: Events by name, of the first names of the day.
        other: Events of all further names.
    """

    __slots__ = ("names", "number", "other")

    def __init__(self, number: int) -> None:
        self.number = number
        self.names: Counts[Name] = Counts()
        self.other = 0

    def count(self, name: Name, events: int = 1) -> None:
        """Add to a name; to `other`, when there are too many."""
        names = self.names
        if name in names:
            names[name] += events
        elif len(names) < MAX_NAMES:
            names[name] = events
        else:
            self.other += events


class Days:
    """The last days of one route."""

    __slots__ = ("_days", "_names", "_until_s")

    def __init__(self) -> None:
        self._days: list[Day] = []
        # Kept beside the last day, which every event asks for.
        self._names: Counts[Name] = Counts()
        self._until_s = -inf

    def count(self, type_: EventType, name: str, now_s: float, events: int = 1) -> None:
        """Events were delivered.

        Args:
            type_: Their type.
            name: Their name at Pendo; empty for what has none.
            now_s: Seconds since the epoch.
            events: How many.
        """
        # A clock that is put back does not begin the day anew.
        if now_s >= self._until_s:
            self._begin(int(now_s // DAY_S))
        names, key = self._names, (type_, name)
        known = names.get(key)
        if known is None:
            self._days[-1].count((type_, name[:MAX_NAME_CHARS]), events)
        else:
            names[key] = known + events

    def _begin(self, number: int) -> None:
        day = Day(number)
        self._days.append(day)
        del self._days[:-MAX_DAYS]
        self._names = day.names
        self._until_s = (number + 1) * DAY_S

    def __iter__(self) -> Iterator[Day]:
        """The days, the oldest first."""
        return iter(self._days)


def merged(several: Iterable[Days]) -> list[Day]:
    """The days of several routes as one, the oldest first."""
    days: dict[int, Day] = {}
    for each in several:
        for day in each:
            whole = days.setdefault(day.number, Day(day.number))
            whole.other += day.other
            for name, events in day.names.items():
                whole.count(name, events)
    return [days[number] for number in sorted(days)][-MAX_DAYS:]
