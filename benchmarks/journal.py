"""What an endpoint remembers of the requests it was sent: bodies come in, counts and times go out.

It finds the `messageId` and the `userId` by their names in the bytes: decoding each body would make the endpoint the
limit. It knows no HTTP.
"""

from array import array
from time import monotonic, monotonic_ns, process_time
from typing import Final

_MESSAGE_ID: Final = b'"messageId":"'
_USER_ID: Final = b'"userId":"'
_STAMPED: Final = b"at-"
"""Begins the id of an event that carries the time at which it was made, in nanoseconds of the system's clock."""

Summary = dict[str, float]


class Journal:
    """Remembers accepted requests.

    Attributes:
        in_flight: Requests that are not answered.
        arrivals: When each came, seconds of the system's monotonic clock.
        held: How long each was held, seconds, in the same order.
        late_ms: Of stamped events: from their making to their arrival.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.arrivals = array("d")
        self.held = array("d")
        self.late_ms = array("d")
        self._seen: set[bytes] = set()
        self._repeats = 0
        self._max_in_flight = 0
        self._by_user: dict[bytes, float] = {}
        self._hottest_held_s = 0.0
        self._last_answer = 0.0

    def arrived(self, body: bytes, delay_s: float) -> None:
        """Note a request that will be held for so long."""
        self.in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self.in_flight)
        now = monotonic()
        self.arrivals.append(now)
        self.held.append(delay_s)
        id_ = _text_after(_MESSAGE_ID, body)
        if id_ in self._seen:
            self._repeats += 1
        self._seen.add(id_)
        if id_.startswith(_STAMPED):
            self.late_ms.append((monotonic_ns() - int(id_.split(b"-")[1])) / 1e6)

    def answered(self, body: bytes, arrived: float) -> None:
        """Note its answer."""
        self.in_flight -= 1
        self._last_answer = monotonic()
        user = _text_after(_USER_ID, body)
        held_s = self._by_user[user] = self._by_user.get(user, 0.0) + self._last_answer - arrived
        self._hottest_held_s = max(self._hottest_held_s, held_s)

    def summary(self) -> Summary:
        """What there is to say at this moment."""
        return {
            "requests": len(self.arrivals),
            "distinct": len(self._seen),
            "repeats": self._repeats,
            "in_flight": self.in_flight,
            "max_in_flight": self._max_in_flight,
            "hottest_held_s": self._hottest_held_s,
            "first_arrival": self.arrivals[0] if self.arrivals else 0.0,
            "last_answer": self._last_answer,
            "now": monotonic(),
            "cpu_s": process_time(),
        }


def _text_after(name: bytes, body: bytes) -> bytes:
    begin = body.find(name)
    if begin < 0:
        return b""
    begin += len(name)
    return body[begin : body.find(b'"', begin)]
