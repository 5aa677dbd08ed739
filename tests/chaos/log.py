"""What is known of a run, as columns: what was produced, what Pendo's side saw, which faults there were.

Whoever produces, serves or breaks something writes in here; the oracle reads. A record or a request is a few dozen
bytes, so that a million of them fit; nothing here judges anything.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from struct import Struct
from typing import Final

NOBODY: Final = 0xFFFF
"""The sender of a request whose path names none."""
NO_MESSAGE: Final = 0xFFFFFFFF
"""The message of a request whose body names none of ours."""
GONE: Final = 0
"""In place of a status: the client went before there was an answer."""
RESET: Final = 1
"""In place of a status: the connection was cut."""
OK: Final = 200

_REQUEST: Final = Struct("<IHHddIIHB")


SAME_VALUES: Final = 64
"""So many messages in a row carry the same values, so that some groups of an account are equal."""


class Kind(IntEnum):
    """What a record is, and so what should become of it."""

    TRACK = 0
    PAGE = 1
    IDENTIFY = 2
    GROUP = 3
    POISON = 4
    BROKEN = 5
    TOMBSTONE = 6
    ANONYMOUS = 7
    FILTERED = 8
    WRONG = 9


FACTS: Final = frozenset({Kind.TRACK, Kind.PAGE})
STATES: Final = frozenset({Kind.IDENTIFY, Kind.GROUP})
LETTER_REASONS: Final = {Kind.POISON: "refused", Kind.BROKEN: "undecodable", Kind.WRONG: "refused"}
SILENT: Final = frozenset({Kind.TOMBSTONE, Kind.ANONYMOUS, Kind.FILTERED})


class Lane(IntEnum):
    """Whose queue a record stands in, by route."""

    VISITOR = 0
    """Of the Segment endpoint; without calls of everything."""
    FACTS = 1
    """A visitor's, of the Track Events API."""
    STATE = 2
    """A visitor's, of the Metadata API."""
    ACCOUNT = 3
    """An account's there: its groups come from the partitions of many visitors, in no order of offsets."""


class Produced:
    """Every record by its number, in the order in which it was sent to Kafka.

    Attributes:
        by_calls: Whether state goes in calls: then its values tell which record they are from, and no group links.
        kind: See `Kind`.
        message: The number of the first record with this messageId: its own, or for a repeat an earlier one.
        visitor: Whose it is; the record's key.
        account: For a group the account.
        time: The event's own time, in milliseconds from the run's first.
        mask: For a state which fields it carries, a bit each.
        digest: Of what should reach Pendo, traits left out.
        partition: Where the record lies; likewise `offset`.
    """

    def __init__(self, *, by_calls: bool = False) -> None:
        self.by_calls = by_calls
        self.kind = array("B")
        self.message = array("I")
        self.visitor = array("I")
        self.account = array("H")
        self.time = array("q")
        self.mask = array("H")
        self.digest = array("I")
        self.partition = array("H")
        self.offset = array("q")

    def __len__(self) -> int:
        """Records."""
        return len(self.kind)

    def add(
        self,
        kind: Kind,
        *,
        visitor: int,
        time: int,
        message: int | None = None,
        account: int = 0,
        mask: int = 0,
        digest: int = 0,
    ) -> int:
        """Note a record that is about to be sent; returns its number."""
        number = len(self.kind)
        self.kind.append(kind)
        self.message.append(number if message is None else message)
        self.visitor.append(visitor)
        self.account.append(account)
        self.time.append(time)
        self.mask.append(mask)
        self.digest.append(digest)
        self.partition.append(0)
        self.offset.append(-1)
        return number

    def lane(self, number: int) -> tuple[Lane, int]:
        """Which queue a record stands in: which, and whose."""
        if not self.by_calls or self.kind[number] == Kind.PAGE:
            return Lane.VISITOR, self.visitor[number]
        match self.kind[number]:
            case Kind.GROUP:
                return Lane.ACCOUNT, self.account[number]
            case Kind.IDENTIFY | Kind.WRONG:
                return Lane.STATE, self.visitor[number]
            case _:
                return Lane.FACTS, self.visitor[number]

    def worth(self, message: int) -> int:
        """What the values of a message's traits are made of; without calls neighbours have the same."""
        return message if self.by_calls else message // SAME_VALUES

    def acknowledged(self, number: int, partition: int, offset: int) -> None:
        """Note where a record lies."""
        self.partition[number] = partition
        self.offset[number] = offset


@dataclass(frozen=True, slots=True)
class Request:
    """One request as Pendo's side saw it.

    Attributes:
        message: The number in its messageId.
        sender: Which process sent it: every one has a base URL of its own.
        status: HTTP status, `GONE` or `RESET`.
        arrived_s: Monotonic clock, likewise `ended_s`.
        digest: Of its body, traits left out.
        fields: Sum of the digests of its traits.
        mask: Which traits it carries; the highest bit stands for any that nobody produced.
        applied: Whether Pendo kept the event, whatever it answered.
    """

    message: int
    sender: int
    status: int
    arrived_s: float
    ended_s: float
    digest: int
    fields: int
    mask: int
    applied: bool

    def pack(self) -> bytes:
        """Bytes for the log."""
        return _REQUEST.pack(
            self.message,
            self.sender,
            self.status,
            self.arrived_s,
            self.ended_s,
            self.digest,
            self.fields,
            self.mask,
            self.applied,
        )


class Requests:
    """All requests, in columns; read one by one in the order of arrival."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        count = len(packed) // _REQUEST.size
        arrivals = array("d", (self._at(index).arrived_s for index in range(count)))
        self._order = array("I", sorted(range(count), key=arrivals.__getitem__))

    def __len__(self) -> int:
        """Requests."""
        return len(self._order)

    def __iter__(self) -> Iterator[Request]:
        """Go through them in the order of arrival."""
        return map(self._at, self._order)

    def __getitem__(self, position: int) -> Request:
        """The request at a position in the order of arrival."""
        return self._at(self._order[position])

    def _at(self, index: int) -> Request:
        message, sender, status, arrived_s, ended_s, digest, fields, mask, applied = _REQUEST.unpack_from(
            self._packed, index * _REQUEST.size
        )
        return Request(message, sender, status, arrived_s, ended_s, digest, fields, mask, bool(applied))


class FaultKind(StrEnum):
    """What was done to the service and its surroundings."""

    TERM = "SIGTERM"
    KILL = "SIGKILL"
    STOP_LONG = "SIGSTOP beyond the session"
    STOP_SHORT = "SIGSTOP shortly"
    BROKER = "broker restart"
    ERRORS = "Pendo: 500s"
    RESETS = "Pendo: resets"
    THROTTLE = "Pendo: 429"
    OUTAGE = "Pendo: outage"
    SLOW = "Pendo: slow"


PROCESS_FAULTS: Final = (FaultKind.TERM, FaultKind.KILL, FaultKind.STOP_LONG, FaultKind.STOP_SHORT, FaultKind.BROKER)
PENDO_FAULTS: Final = (
    FaultKind.ERRORS,
    FaultKind.RESETS,
    FaultKind.THROTTLE,
    FaultKind.OUTAGE,
    FaultKind.SLOW,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault that happened.

    Attributes:
        kind: Which.
        began_s: Monotonic clock, likewise `ended_s`: when the process ran again, or the broker answered.
        sender: The process it hit; None for the others.
    """

    kind: FaultKind
    began_s: float
    ended_s: float
    sender: int | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: which record, and why."""

    partition: int
    offset: int
    reason: str


@dataclass(kw_only=True)
class Evidence:
    """All that the oracle is given.

    Attributes:
        produced: Every record.
        requests: Every request.
        letters: Every dead letter.
        faults: Every fault.
        committed: By partition, at the end.
        ends: End offsets by partition, at the end.
        began_s: When the first record was produced.
        settled_s: When all was committed, or waiting for it was given up.
        exits: Exit status of every process that got a SIGTERM, the final one included, by number.
        died: What ended without being told to.
        unaccounted: Scrapes in which a process had lost count.
        scrapes: All scrapes.
        released: Events that the processes said to have handed back to Kafka.
        fresh: Record numbers produced after the last fault.
        peak_rss_bytes: By process.
        wanted: Kinds of faults that the run must have had.
    """

    produced: Produced
    requests: Requests
    letters: list[Letter]
    faults: list[Fault]
    committed: dict[int, int]
    ends: dict[int, int]
    began_s: float = 0.0
    settled_s: float = 0.0
    exits: dict[int, int] = field(default_factory=dict)
    died: list[str] = field(default_factory=list)
    unaccounted: int = 0
    scrapes: int = 0
    released: float = 0
    fresh: list[int] = field(default_factory=list)
    peak_rss_bytes: dict[int, int] = field(default_factory=dict)
    wanted: tuple[FaultKind, ...] = tuple(FaultKind)
