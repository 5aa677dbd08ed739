"""The last minute: rates, ages and since when, in bounded memory."""

from collections.abc import Hashable

from consumer.worker.history import LOOKS, History, Look


class Watched:
    """What is looked at, and the time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.events = 0
        self.states: list[Hashable] = []
        self.history = History(self._look, lambda: self.now_s)

    def _look(self) -> Look:
        return Look(
            received=2 * self.events,
            delivered=self.events,
            parked=self.events // 10,
            settled=self.events,
            ages=[self.events, 0],
            states=list(self.states),
        )

    def second(self, events: int = 0) -> None:
        """One passes, in which so many are delivered."""
        self.events += events
        self.now_s += 1
        self.history.observe()


def test_before_the_first_look_there_is_nothing() -> None:
    """The page may be opened at once."""
    found = Watched().history.to_json()
    assert (found["received"], found["seconds"], found["ages"]) == (0.0, [], [])


def test_rates_are_of_the_last_ten_seconds_and_ages_of_the_last_minute() -> None:
    """What was before is forgotten."""
    watched = Watched()
    watched.events = 5_000
    watched.history.observe()
    for _ in range(30):
        watched.second(100)
    for _ in range(10):
        watched.second(7)
    found = watched.history.to_json()
    assert (found["received"], found["delivered"], found["settled"]) == (14.0, 7.0, 7.0)
    assert found["seconds"] == [100] * 30 + [7] * 10
    assert found["ages"] == [3_070, 0]
    for _ in range(200):
        watched.second()
    found = watched.history.to_json()
    assert found["seconds"] == [0] * LOOKS
    assert found["ages"] == [0, 0]


def test_a_state_is_known_since_it_was_first_seen_and_forgotten_with_it() -> None:
    """A second outage begins anew."""
    watched = Watched()
    watched.states = ["circuit"]
    watched.second()
    watched.second()
    assert watched.history.since_ms("circuit") == 1_001_000
    watched.states = []
    watched.second()
    assert watched.history.since_ms("circuit") is None
    watched.states = ["circuit"]
    watched.second()
    assert watched.history.since_ms("circuit") == 1_004_000
