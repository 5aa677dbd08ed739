"""The request: a pure value that says what to send to Pendo, and by which route.

It knows neither the event it was made from nor the attempt that carries it.
"""

from enum import StrEnum


class Route(StrEnum):
    """Pendo's ways in; each has its own gate."""

    SEGMENTIO = "segmentio"
    TRACK = "track"
    METADATA = "metadata"
    BULKDELETE = "bulkdelete"


class Request:
    """One request to Pendo.

    Attributes:
        route: The way in.
        lane: The key of the lane it stands in: `visitor:ID`, or `account:ID` when there is no visitor.
        account: For a group the account's id, else None.
        state_hash: For a group a hash of its traits: groups of one account with the same hash may be in flight
            side by side. 0 when there is no account.
        body: JSON, as it goes out.
    """

    __slots__ = ("account", "body", "lane", "route", "state_hash")

    def __init__(self, route: Route, lane: str, body: bytes, account: str | None = None, state_hash: int = 0) -> None:
        self.route = route
        self.lane = lane
        self.body = body
        self.account = account
        self.state_hash = state_hash

    @property
    def lanes(self) -> list[str]:
        """The lane, and for a group the account beside it."""
        if self.account is None or self.lane == f"account:{self.account}":
            return [self.lane]
        return [self.lane, f"account:{self.account}"]
