"""The request: a pure value that says what to send to Pendo, and by which route.

It knows neither the event it was made from nor the attempt that carries it.
"""

from collections.abc import Callable, Collection
from enum import StrEnum

from consumer.outcomes import WarningKind


class Route(StrEnum):
    """Pendo's ways in; each has its own gate."""

    SEGMENTIO = "segmentio"
    TRACK = "track"
    METADATA = "metadata"
    BULKDELETE = "bulkdelete"


class State:
    """What an identify or a group says of one visitor's or account's metadata.

    Attributes:
        key: `visitor:ID` or `account:ID`.
        timestamp_ms: When the event happened, milliseconds since the epoch; None when it carries no time to read.
        fields: Names of the fields that the body carries.
        values: A hash of each field's value, in the same order; empty when nobody asked for them.
        strip: Gives the body without some of the fields.
    """

    __slots__ = ("fields", "key", "strip", "timestamp_ms", "values")

    def __init__(
        self,
        key: str,
        timestamp_ms: int | None,
        fields: tuple[str, ...],
        values: tuple[int, ...],
        strip: Callable[[bytes, Collection[str]], bytes],
    ) -> None:
        self.key = key
        self.timestamp_ms = timestamp_ms
        self.fields = fields
        self.values = values
        self.strip = strip


class PendoWarning:
    """One thing that Pendo will take of a request, but not show.

    Attributes:
        kind: Which rule of Pendo's.
        about: What of the request, in words for a person: it may name a field, so it is for no log.
    """

    __slots__ = ("about", "kind")

    def __init__(self, kind: WarningKind, about: str) -> None:
        self.kind = kind
        self.about = about


class Request:
    """One request to Pendo.

    Attributes:
        route: The way in.
        lane: The key of the lane it stands in: `visitor:ID`, or `account:ID` when there is no visitor.
        account: For a group the account's id, else None.
        state_hash: For a group a hash of its traits: groups of one account with the same hash may be in flight
            side by side. 0 when there is no account.
        identity: A hash of the event's messageId, type, user, name and time, the same for its repeats; 0 without a
            messageId.
        state: For an identify or a group what it says; None for a fact.
        body: JSON, as it goes out.
        warnings: What Pendo will not show of it.
        name: Of a track event its name at Pendo, else empty.
    """

    __slots__ = ("account", "body", "identity", "lane", "name", "route", "state", "state_hash", "warnings")

    def __init__(  # noqa: PLR0913, PLR0917  # one value, all of which each mapping knows at once
        self,
        route: Route,
        lane: str,
        body: bytes,
        account: str | None = None,
        state_hash: int = 0,
        identity: int = 0,
        state: State | None = None,
        warnings: tuple[PendoWarning, ...] = (),
        name: str = "",
    ) -> None:
        self.route = route
        self.lane = lane
        self.body = body
        self.account = account
        self.state_hash = state_hash
        self.identity = identity
        self.state = state
        self.warnings = warnings
        self.name = name

    @property
    def lanes(self) -> list[str]:
        """The lane, and for a group the account beside it."""
        if self.account is None or self.lane == f"account:{self.account}":
            return [self.lane]
        return [self.lane, f"account:{self.account}"]
