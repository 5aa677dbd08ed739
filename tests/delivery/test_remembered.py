"""What was delivered: the latest are known, the older are forgotten, and each takes little room."""

import tracemalloc
from collections.abc import Iterator
from random import Random

import pytest

from consumer.delivery.remembered import Remembered
from consumer.mapping.segmentio import IDENTITY_BITS

MANY = 24 * 1024
"""As many as make the most of heads for what lies between them."""


def _identities(seed: int) -> Iterator[int]:
    """As hashes are: none again, and never 0."""
    random = Random(seed)
    seen = {0}
    while True:
        identity = random.getrandbits(60) & IDENTITY_BITS
        if identity not in seen:
            seen.add(identity)
            yield identity


@pytest.mark.parametrize("most", [1, 2, 23, 24, 47, 48, 97, 1000, MANY])
def test_the_latest_are_remembered_and_the_older_forgotten(most: int) -> None:
    """As many as were asked for at most, half of them at least, in however many buckets; no other is taken for one."""
    remembered, identities = Remembered(most), _identities(most)
    strangers = [next(identities) for _ in range(1000)]
    added: list[int] = []
    for step in range(1, 8):
        for _ in range(step * most // 3 + 1):
            added.append(next(identities))
            remembered.add(added[-1])
        known = [remembered.has(identity) for identity in reversed(added)]
        latest = known.index(False) if False in known else len(known)
        assert not any(known[latest:])
        assert min(len(added), most / 2) <= latest <= most
        assert len(remembered) == latest
        assert not any(map(remembered.has, strangers))


def test_what_is_forgotten_can_be_remembered_again() -> None:
    """An event that comes once more is as new as any."""
    remembered = Remembered(4)
    for identity in (1, 2, 3, 4, 5, 1):
        remembered.add(identity)
    assert [remembered.has(identity) for identity in (1, 2, 3)] == [True, False, False]


def test_none_are_remembered_where_none_are_to_be() -> None:
    """0 switches it off."""
    remembered = Remembered(0)
    remembered.add(7)
    assert not remembered.has(7)
    assert len(remembered) == 0


def test_no_limit_worth_the_name_takes_no_room_before_it_is_used() -> None:
    """A pod with `memory_message_ids: 1000000000` starts, and remembers."""
    tracemalloc.start()
    try:
        remembered = Remembered(10**9)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    remembered.add(7)
    assert remembered.has(7)
    assert held < 8 * 2**20


def test_each_takes_little_more_than_eight_bytes() -> None:
    """Else a pod's memory would be a fifth larger; a set takes seventy."""
    identities = _identities(0)
    tracemalloc.start()
    try:
        remembered = Remembered(MANY)
        for _ in range(4 * MANY):
            remembered.add(next(identities))
        held = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(_OF_IT).traces)
    finally:
        tracemalloc.stop()
    assert len(remembered) >= MANY / 2
    assert held / MANY < 16


_OF_IT = [tracemalloc.Filter(inclusive=True, filename_pattern="*/consumer/delivery/remembered.py")]
