"""Remembered: the events that were delivered lately, eight bytes each, of which the older are forgotten.

Identities go in; whether one was among the latest comes out. It must not know what an event is.

A set takes some seventy bytes for each, the integer included, and scatters them over all of the heap. Here those that
have their lowest bits in common lie side by side in one bucket, and a search runs through a few dozen.
"""

from typing import Final

_BYTES: Final = 8
"""Of one identity."""
_PER_BUCKET: Final = 24
"""To twice as many lie in each when it is full: more would make a search longer, fewer leave more heads to pay for."""
_MAX_BUCKETS: Final = 1 << 16
"""They are there from the start: whoever remembers many millions waits longer for each look instead."""


class Remembered:
    """The latest so many, or half as many at least; what is added twice counts twice.

    Args:
        most: How many; 0 for none.
    """

    __slots__ = ("_buckets", "_mask", "_most", "_older", "_younger")

    def __init__(self, most: int) -> None:
        buckets = min(1 << max((most // _PER_BUCKET).bit_length() - 1, 0), _MAX_BUCKETS)
        self._most = most
        self._mask = buckets - 1
        self._buckets = [bytearray() for _ in range(buckets)]
        # What lies in front in each bucket, in bytes, and is forgotten next; and how many lie behind that in all.
        self._older = [0] * buckets
        self._younger = 0

    def __len__(self) -> int:
        """How many are remembered."""
        return sum(map(len, self._buckets)) // _BYTES

    def has(self, identity: int) -> bool:
        """Whether it is remembered: 1 to 2⁶⁴ - 1, or 0, which nobody is to add.

        Where in the bucket it lies is not asked. To be found across two others by chance is rarer still than to be
        another event's: those in one bucket have some bits in common in place, and none across.

        Raises:
            OverflowError: It has more bits, or a sign.
        """
        return identity.to_bytes(_BYTES, "little") in self._buckets[identity & self._mask]

    def add(self, identity: int) -> None:
        """Remember one: 1 to 2⁶⁴ - 1. When half of what may be remembered is new the other half is forgotten."""
        if self._most:
            self._buckets[identity & self._mask] += identity.to_bytes(_BYTES, "little")
            self._younger += 1
            if 2 * self._younger >= self._most:
                self._forget_older()

    def _forget_older(self) -> None:
        for bucket, older in zip(self._buckets, self._older, strict=True):
            del bucket[:older]
        self._older = [len(bucket) for bucket in self._buckets]
        self._younger = 0
