"""The backlog: what the gate needs to know of what waits."""

from typing import Protocol


class Backlog(Protocol):
    """What waits to be sent, or for its answer."""

    def __len__(self) -> int:
        """How many lanes hold open deliveries."""

    def untried(self, refused: int) -> bool:
        """Whether a probe could go beside those so many that were refused in this round."""
