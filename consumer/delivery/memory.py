"""The memory: what Pendo is known to have, so that nothing old overwrites it and nothing is sent to it twice.

Requests are judged when they are taken, and noted when they were accepted. Per visitor or account and field it keeps
the stamp of the newest write; beside that the events and the pairs of visitor and account that were delivered. All of
it is bounded, and lost with the process. It knows neither queues nor time.
"""

from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from consumer.delivery.remembered import Remembered
from consumer.delivery.ticket import Ticket
from consumer.delivery.writes import MAX_SIZE, Stamp, Writes
from consumer.outcomes import Reason
from consumer.pendo.requests import Request, Route, State

__all__ = ["FACT", "Memory", "Stamp", "stamp_of"]

FACT: Final[Stamp] = (0, 0, 0)
"""The stamp of what has no fields to be compared."""
MAX_AHEAD_MS: Final = 300_000
"""How far an event's time may lie beyond its record's arrival, for comparing: a wrong clock must not freeze a field."""
SIZE_PER_ID: Final = 50
"""Fields, on average: more than most have. Where ids have more, or make up names as they go, fewer are remembered."""
MAX_SHARED: Final = 100
"""Combinations of names that are kept once for all ids; where there are more, nothing is gained by it."""


# Looking a member up in its enum takes as long as a small function.
_BULKDELETE: Final = Route.BULKDELETE


def stamp_of(request: Request, ticket: Ticket) -> Stamp:
    """How new what a request says is: its event's time, but not much beyond the record's arrival."""
    state = request.state
    latest_ms = ticket.arrived_ms
    at_ms = latest_ms if state is None or state.timestamp_ms is None else state.timestamp_ms
    latest_ms += MAX_AHEAD_MS
    if at_ms > latest_ms:  # noqa: PLR1730  # min() takes as long as all the rest here
        at_ms = latest_ms
    record = ticket.record
    return at_ms, record.partition, record.offset


class Memory:
    """What was delivered, as far as one process remembers it.

    Args:
        ids: `memory_ids`: visitors and accounts whose fields are remembered; 0 for none.
        message_ids: `memory_message_ids`: events that are remembered at most, and half as many at least; 0 for none.
        suppress_unchanged: Whether what changes nothing is not sent.
    """

    __slots__ = (
        "_delivered",
        "_ids",
        "_max_size",
        "_pairs",
        "_shared",
        "_size",
        "_suppress",
        "_writes",
    )

    def __init__(self, *, ids: int, message_ids: int, suppress_unchanged: bool) -> None:
        self._ids = ids
        self._suppress = suppress_unchanged
        self._max_size = max(ids * SIZE_PER_ID, MAX_SIZE)
        self._size = 0
        # By hashes of keys and pairs, so that a long id costs no more than a short one.
        self._writes: OrderedDict[int, Writes] = OrderedDict()
        self._pairs: OrderedDict[int, None] = OrderedDict()
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._delivered = Remembered(message_ids)

    def judge(self, request: Request, stamp: Stamp, *, unchanged: bool = True) -> Request | Reason:
        """Say what of a request is to be sent; changes nothing.

        Args:
            request: As it was mapped.
            stamp: How new it is.
            unchanged: Whether it may be left out for changing nothing, when that was asked for.

        Returns:
            The request itself; a copy without those fields that a newer event has written; or why it need not be
            sent: `REPEAT`, `STALE` or `UNCHANGED`.
        """
        if request.identity and self._delivered.has(request.identity):
            return Reason.REPEAT
        state = request.state
        if state is None or not state.fields:
            return request
        writes = self._writes.get(hash(state.key))
        if writes is None or (stamp >= writes.newest and not self._suppress):
            return request
        stale = writes.stale(state, stamp)
        fresh = _without(state, stale) if stale else state
        if not fresh.fields:
            return self._only_link(request, fresh, Reason.STALE)
        if unchanged and self._suppress and writes.has(fresh):
            return self._only_link(request, fresh, Reason.UNCHANGED)
        return _stripped(request, stale, fresh) if stale else request

    def bears_on(self, key: str, identities: Collection[int], oldest: Stamp) -> bool:
        """Whether what is remembered may keep any of these from going out as it is; else none need be judged.

        Args:
            key: The visitor or account that all of them are about.
            identities: Of the requests.
            oldest: The lowest of their stamps.
        """
        if any(map(self._delivered.has, identities)):
            return True
        writes = self._writes.get(hash(key))
        return writes is not None and (self._suppress or oldest < writes.newest)

    def _only_link(self, request: Request, fresh: State, reason: Reason) -> Request | Reason:
        """A group also links its visitor to its account, which must not be lost with its fields.

        The fields that are unchanged stay in its state though they are not sent: once it is accepted they are newer.
        """
        state = request.state
        if state is None or request.account is None or _pair(request) in self._pairs:
            return reason
        return _stripped(request, state.fields, fresh)

    def note_events(self, identities: Collection[int]) -> None:
        """Remember events that Pendo accepted; not what they say, since something newer of all of it went with them."""
        for identity in identities:
            if identity:
                self._delivered.add(identity)

    def note(self, request: Request, stamp: Stamp, *, delivered: bool = True) -> None:
        """Remember a request.

        Args:
            request: What was sent, as `judge` gave it; or what it found unchanged.
            stamp: How new it is.
            delivered: Whether Pendo accepted it; else it was unchanged, and only its fields count as newer.
        """
        if delivered and request.identity:
            self._delivered.add(request.identity)
        state = request.state
        if state is not None and self._ids:
            if state.fields:
                self._note_fields(state, stamp)
            if delivered and request.account is not None:
                self._note_pair(_pair(request))
        elif request.route is _BULKDELETE:
            self._forget(request.lane)

    def _forget(self, key: str) -> None:
        """Pendo will delete a visitor: what is written of it from now on is new to Pendo."""
        writes = self._writes.pop(hash(key), None)
        if writes is not None:
            self._size -= writes.size
        # A pair does not tell whose it is; without any, groups go out once more.
        self._pairs.clear()

    def _note_pair(self, pair: int) -> None:
        self._pairs[pair] = None
        self._pairs.move_to_end(pair)
        if len(self._pairs) > self._ids:
            self._pairs.popitem(last=False)

    def _note_fields(self, state: State, stamp: Stamp) -> None:
        key = hash(state.key)
        writes = self._writes.get(key)
        if writes is None:
            writes = self._writes[key] = Writes(stamp, state)
            if writes.size <= SIZE_PER_ID:
                writes.fields = self._same_names(writes.fields)
            self._grow(writes.size)
            return
        before = writes.size
        writes.add(stamp, state)
        self._writes.move_to_end(key)
        if writes.size != before:
            self._grow(writes.size - before)

    def _grow(self, fields: int) -> None:
        self._size += fields
        while len(self._writes) > self._ids or self._size > self._max_size:
            self._size -= self._writes.popitem(last=False)[1].size

    def _same_names(self, fields: tuple[str, ...]) -> tuple[str, ...]:
        """The same names, but where it can be the very ones that others have: most events of a source have the same."""
        names = self._shared.get(fields)
        if names is None:
            if len(self._shared) == MAX_SHARED:
                self._shared.clear()
            names = self._shared[fields] = fields
        return names

    def forget_values(self, request: Request) -> None:
        """Nobody knows whether Pendo took a request that failed: its fields may have other values now."""
        state = request.state
        if state is not None and self._suppress:
            writes = self._writes.get(hash(state.key))
            if writes is not None:
                writes.forget_values()

    def forget_all_values(self) -> None:
        """Somebody else may have written since: nothing counts as unchanged until it is written again."""
        for writes in self._writes.values():
            writes.forget_values()


def _pair(request: Request) -> int:
    return hash((request.lane, request.account))


def _without(state: State, gone: Collection[str]) -> State:
    kept = [field not in gone for field in state.fields]
    return State(
        state.key,
        state.timestamp_ms,
        tuple(field for field, keep in zip(state.fields, kept, strict=True) if keep),
        # No values at all when nobody asked for them.
        tuple(value for value, keep in zip(state.values, kept, strict=False) if keep),
        state.strip,
    )


def _stripped(request: Request, gone: Collection[str], left: State) -> Request:
    body = left.strip(request.body, gone)
    return Request(request.route, request.lane, body, request.account, request.state_hash, request.identity, left)
