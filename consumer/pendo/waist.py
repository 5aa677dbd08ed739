"""The waist between what Pendo is asked and how bytes reach it: a body goes out, a response comes back.

Two transports stand behind it, `lean` and `session`; nobody above knows which one serves.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from consumer.errors import UnreachableError

KEEPALIVE_S: Final = 10.0
"""Below what servers and load balancers use: a POST on a connection that they just closed has an unknown end."""


class Response(NamedTuple):
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: By name, as HTTP spells it; at least those that verdicts ask for.
        body: At least its beginning.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


End = Response | UnreachableError
"""What a request ends with: an answer, or none, or not all of it."""
OnEnd = Callable[[End], None]


class Channel(Protocol):
    """The way to one URL, with one set of headers."""

    def post(self, body: bytes, on_end: OnEnd) -> None:
        """Send one request; `on_end` is told what it ends with, once, from the loop or from within."""
