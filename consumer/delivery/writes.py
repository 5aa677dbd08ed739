"""What was written of one visitor or account: per field how new it is, and a hash of its value.

States that Pendo accepted go in; which fields of another are older, and whether it changes anything, come out. It must
not know whose they are, nor how many others there are.
"""

from collections.abc import Collection
from typing import Final

from consumer.pendo.requests import State

Stamp = tuple[int, int, int]
"""How new a write is: milliseconds since the epoch, partition, offset; of two the higher is the newer."""

MAX_SIZE: Final = 500
"""Of one visitor or account, so that none can use up the memory. Of those with more the oldest fields are forgotten."""
SIZE_AFTER_CUT: Final = 375
"""Well below, so that the next new name does not cost another cut."""
NAME_CHARS: Final = 64
"""So many characters of names count as one more field: few names are as long, and none is left out of the bounds."""


class Writes:
    """The newest writes.

    As a rule whatever is written has the same fields as before. Then all have one stamp, `newest`, and `fields` and
    `_values` are kept as they came. Only when they differ each field has its own place, in `_stamps` and `_hashes`.

    Args:
        stamp: Of the first write.
        state: What it said.

    Attributes:
        newest: Stamp of the newest write to any field.
        fields: Names of those that share it; none once each has its own.
        size: How many fields are remembered; more when their names are long.
    """

    __slots__ = ("_hashes", "_stamps", "_values", "fields", "newest", "size")

    def __init__(self, stamp: Stamp, state: State) -> None:
        self.newest = stamp
        self.fields = state.fields
        self._values = state.values
        self._stamps: dict[str, Stamp] | None = None
        self._hashes: dict[str, int] | None = None
        self._measure(state.fields)

    def stale(self, state: State, stamp: Stamp) -> Collection[str]:
        """Names of the fields that have a newer write than this."""
        if stamp >= self.newest:
            return ()
        stamps = self._stamps
        if stamps is None:
            return set(self.fields).intersection(state.fields)
        return {field for field in state.fields if stamps.get(field, stamp) > stamp}

    def has(self, state: State) -> bool:
        """Whether every field is known to have this very value."""
        if not state.values:
            return False
        if state.fields == self.fields:
            return state.values == self._values
        hashes = _by_field(self.fields, self._values) if self._hashes is None else self._hashes
        return all(hashes.get(field) == value for field, value in zip(state.fields, state.values, strict=True))

    def add(self, stamp: Stamp, state: State) -> None:
        """Keep each field's newest."""
        if stamp >= self.newest and state.fields == self.fields:
            self.newest = stamp
            self._values = state.values
        else:
            self._add_apart(stamp, state)

    def _add_apart(self, stamp: Stamp, state: State) -> None:
        stamps, hashes = self._spread()
        before = len(stamps)
        written = [field for field in state.fields if stamps.get(field, stamp) <= stamp]
        stamps.update(dict.fromkeys(written, stamp))
        self.newest = max(self.newest, stamp)
        for field in written if hashes else ():
            hashes.pop(field, None)
        if state.values:
            values = _by_field(state.fields, state.values)
            hashes.update((field, values[field]) for field in written)
        if len(written) == len(stamps):
            self._join(stamp, state)
        if len(stamps) != before:
            self._measure(stamps)

    def forget_values(self) -> None:
        """Nobody knows any more which values the fields have; how new they are stays."""
        self._values = ()
        if self._hashes is not None:
            self._hashes = {}

    def _spread(self) -> tuple[dict[str, Stamp], dict[str, int]]:
        """Give each field a place of its own."""
        if self._stamps is None or self._hashes is None:
            self._stamps = dict.fromkeys(self.fields, self.newest)
            self._hashes = _by_field(self.fields, self._values)
            self.fields = ()
            self._values = ()
        return self._stamps, self._hashes

    def _join(self, stamp: Stamp, state: State) -> None:
        """All fields were written at once: they share a stamp again."""
        self.newest = stamp
        self.fields = state.fields
        self._values = state.values
        self._stamps = None
        self._hashes = None

    def _measure(self, names: Collection[str]) -> None:
        self.size = len(names) + sum(map(len, names)) // NAME_CHARS
        if self.size > MAX_SIZE:
            self._cut()

    def _cut(self) -> None:
        """Forget all but the newest."""
        stamps, hashes = self._spread()
        kept, chars = 0, 0
        latest_first = sorted(stamps, key=stamps.__getitem__, reverse=True)
        for field in latest_first:
            chars += len(field)
            if 1 + kept + chars // NAME_CHARS > SIZE_AFTER_CUT:
                break
            kept += 1
        for field in latest_first[kept:]:
            del stamps[field]
            hashes.pop(field, None)
        self.size = kept + sum(map(len, stamps)) // NAME_CHARS


def _by_field(fields: tuple[str, ...], values: tuple[int, ...]) -> dict[str, int]:
    """Values by their fields' names; nothing when nobody asked for them."""
    return dict(zip(fields, values, strict=True)) if values else {}
