"""What a contestant is told: where the events are, where they go, how many at once. Values alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

import orjson

CONCURRENCY: Final = 256
"""Requests in flight, of every contestant."""

_PATH: Final = "/data/segmentio/benchmark-key"
"""As long as the one that the service makes of its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One run's.

    Attributes:
        bootstrap: The broker.
        topic: Where the events are.
        group: The consumer group; a new one for each run, but for the second half of a run with a kill.
        events: How many the topic holds.
        base: The endpoint, without a path.
        ca_file: PEM file of the CA that signed the endpoint's certificate; None without TLS.
        concurrency: Requests in flight.
        session_timeout_s: How soon the broker takes a silent member for dead; None for the contestant's own default.
    """

    bootstrap: str
    topic: str
    group: str
    events: int
    base: str
    ca_file: str | None = None
    concurrency: int = CONCURRENCY
    session_timeout_s: int | None = None

    @property
    def url(self) -> str:
        """Where each event goes by POST, as it stands in the topic."""
        return self.base + _PATH

    def to_json(self) -> str:
        """As an argument for a contestant's process."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Self:
        """Read it back: the only argument."""
        [text] = arguments
        return cls(**orjson.loads(text))
