"""Where a record is, by commit and map."""

import pytest

from consumer.kafka.committed import Committed
from consumer.kafka.offset_map import OffsetMap
from consumer.traces import Read, State

MAP = OffsetMap(b"a-writer", 0, (2, 3, 1, 2))
"""From 10 on: 10 and 11 open, 12 to 14 finished, 15 open, 16 and 17 finished."""


@pytest.mark.parametrize(
    ("offset", "state"),
    [
        (0, State.SETTLED),
        (9, State.SETTLED),
        (10, State.OPEN),
        (11, State.OPEN),
        (12, State.SETTLED),
        (15, State.OPEN),
        (17, State.SETTLED),
        (18, State.UNREAD),
    ],
)
def test_a_record_is_where_commit_and_map_say(offset: int, state: State) -> None:
    """Beyond the map nothing is known."""
    assert Read(Committed(10, MAP)).state(offset) is state


def test_a_pod_that_was_asked_tells_open_from_unread() -> None:
    """Up to where it has read; what commit and map say goes before."""
    read = Read(Committed(10, MAP), read_to=20)
    assert [read.state(offset) for offset in (12, 18, 19, 20)] == [State.SETTLED, State.OPEN, State.OPEN, State.UNREAD]


def test_without_a_commit_nothing_is_settled() -> None:
    """The group has not begun, or has committed nothing yet."""
    assert Read(Committed()).state(0) is State.UNREAD
    assert Read(Committed(), read_to=5).state(4) is State.OPEN


def test_without_a_map_all_beyond_the_commit_is_unread() -> None:
    """Metadata of somebody else, or none."""
    assert [Read(Committed(10)).state(offset) for offset in (9, 10)] == [State.SETTLED, State.UNREAD]
