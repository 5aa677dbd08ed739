"""What the simulator saw: requests come in as they begin and end, entries and counts go out.

It counts what order tests need: how many requests of one lane were in flight at once (seen only with some latency:
without any, a request is answered in the turn in which it arrives). It knows neither why a request
was answered as it was, nor what became of its event.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal

from consumer.sandbox.simulator_checks import Facts

# What stands in place of a status: the connection was cut · the client went before there was an answer.
Status = int | Literal["reset", "gone"]

Outcomes = Mapping[str, str]
"""Of a call that Pendo took, by id what became of it: `updated`, `deleted`, `missing`, `errors` or `untold`."""

_HASH_BYTES: Final = 8


@dataclass(slots=True)
class Entry:
    """One request.

    Attributes:
        seq: From 1, in the order of arrival.
        route: `segmentio`, `track`, `metadata`, `bulkdelete`, `aggregation`, `token`, `schema`, `visitor`, `account` or
            `unknown`.
        method: HTTP's.
        message_id: Of the event, as far as it could be read; likewise `type`, `visitor` and `account`.
        in_flight: How many requests were in flight when it arrived, itself included.
        lane_in_flight: How many of them were its visitor's on the same route, of a call the most of any that it is
            about; 0 without a visitor.
        account_conflict: Whether a group of the same account with other traits was in flight when it arrived.
        lanes: Of a call: whom it is about, `visitor:ID` or `account:ID`.
        body_bytes: The body's size.
        body_hash: Of the body's bytes.
        body: The body, when bodies are kept.
        started_s: When it arrived, by the monotonic clock; `ended_s` likewise, None while it is in flight.
        status: What was answered; None while it is in flight.
        outcomes: Of a call that Pendo took, by id what became of it, whatever was answered: an answer may get lost.
        why: Why it was refused, or `fault` when it was told to be.
    """

    seq: int
    route: str
    method: str
    message_id: str | None
    type: str | None
    visitor: str | None
    account: str | None
    in_flight: int
    lane_in_flight: int
    account_conflict: bool
    lanes: tuple[str, ...]
    body_bytes: int
    body_hash: str
    body: str | None
    started_s: float
    ended_s: float | None = None
    status: Status | None = None
    outcomes: Outcomes = field(default_factory=dict)
    why: str = ""


class RequestLog:
    """The last requests, and counts of all."""

    def __init__(self, *, max_entries: int | None, keep_bodies: bool) -> None:
        self._entries: deque[Entry] = deque(maxlen=max_entries)
        self._keep_bodies = keep_bodies
        self._lanes: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._account_states: dict[str, list[bytes | None]] = {}
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Forget all entries and counts; what is in flight stays so."""
        self._entries.clear()
        self.seq = 0
        self.max_in_flight = self.in_flight
        self.max_lane_in_flight = 0
        self.lane_overlaps = 0
        self.repeated_ids = 0
        self.account_conflicts = 0
        self.by_status: Counter[str] = Counter()
        self.by_route: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Entry]:
        """Go through the kept entries in the order of arrival."""
        return iter(self._entries)

    def since(self, seq: int) -> list[Entry]:
        """Return the kept entries that arrived after the one with this number."""
        return [entry for entry in self._entries if entry.seq > seq]

    def begin(self, route: str, method: str, facts: Facts, body: bytes) -> Entry:
        """Note a request that arrived; `end` takes the entry."""
        self.seq += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if facts.lanes:
            self.repeated_ids += len(facts.lanes) - len(set(facts.lanes))
        entry = Entry(
            seq=self.seq,
            route=route,
            method=method,
            message_id=facts.message_id,
            type=facts.type,
            visitor=facts.visitor,
            account=facts.account,
            in_flight=self.in_flight,
            lane_in_flight=self._enter_lanes(route, facts),
            account_conflict=self._enter_account(facts),
            lanes=facts.lanes,
            body_bytes=len(body),
            body_hash=blake2b(body, digest_size=_HASH_BYTES).hexdigest(),
            body=body.decode("utf-8", "replace") if self._keep_bodies else None,
            started_s=time.monotonic(),
        )
        self._entries.append(entry)
        return entry

    def end(self, entry: Entry, facts: Facts, status: Status) -> None:
        """Note how a request ended."""
        entry.ended_s = time.monotonic()
        entry.status = status
        self.in_flight -= 1
        self.by_status[str(status)] += 1
        self.by_route[entry.route] += 1
        self._leave(entry.route, facts)

    def counts(self) -> dict[str, Any]:
        """Return all counts."""
        return {
            "requests": self.seq,
            "by_status": dict(self.by_status),
            "by_route": dict(self.by_route),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "max_lane_in_flight": self.max_lane_in_flight,
            "lane_overlaps": self.lane_overlaps,
            "repeated_ids": self.repeated_ids,
            "account_conflicts": self.account_conflicts,
        }

    def about(self, lane: str) -> list[Entry]:
        """The kept calls that are about this `visitor:ID` or `account:ID`, in the order of arrival."""
        return [entry for entry in self._entries if lane in entry.lanes]

    def outcomes(self, lane: str) -> list[tuple[Status | None, str | None]]:
        """Of each kept call about this one: what was answered, and what became of its id; None where nothing did."""
        return [(entry.status, entry.outcomes.get(lane.partition(":")[2])) for entry in self.about(lane)]

    def _enter_lanes(self, route: str, facts: Facts) -> int:
        """Count one more request for each whom it is about; return the most of any."""
        most = 0
        counts = self._lanes[route]
        for whose in _lanes(facts):
            in_flight = counts[whose] = counts.get(whose, 0) + 1
            if in_flight > 1:
                self.lane_overlaps += 1
            most = max(most, in_flight)
        self.max_lane_in_flight = max(self.max_lane_in_flight, most)
        return most

    def _enter_account(self, facts: Facts) -> bool:
        if facts.type != "group" or facts.account is None:
            return False
        states = self._account_states.setdefault(facts.account, [])
        conflict = any(state != facts.state for state in states)
        states.append(facts.state)
        self.account_conflicts += conflict
        return conflict

    def _leave(self, route: str, facts: Facts) -> None:
        counts = self._lanes[route]
        for whose in _lanes(facts):
            left = counts.pop(whose) - 1
            if left:
                counts[whose] = left
        if facts.type == "group" and facts.account is not None:
            states = self._account_states[facts.account]
            states.remove(facts.state)
            if not states:
                del self._account_states[facts.account]


def _lanes(facts: Facts) -> Iterable[str]:
    """Whose a request is: of a call all whom it is about, each once."""
    if facts.lanes:
        return dict.fromkeys(facts.lanes)
    return () if facts.visitor is None else (facts.visitor,)
