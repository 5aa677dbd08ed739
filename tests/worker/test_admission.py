"""Admission: every shape of a value, and what becomes of each of its events."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumer.delivery.lane import Delivery
from consumer.delivery.tally import Tally
from consumer.delivery.ticket import Ticket
from consumer.kafka.dead_letter import DeadLetter, Stage
from consumer.kafka.progress import Progress
from consumer.mapping.result import Ended, Mapped
from consumer.outcomes import EventType, Outcome, Reason, WarningKind
from consumer.pendo.requests import PendoWarning, Request, Route
from consumer.segment.events import Event
from consumer.worker import admission
from consumer.worker.admission import Admission

NOW_MS = 1_700_000_000_000


@dataclass
class Raw:
    """A record."""

    value: bytes | None
    offset: int = 0
    key: bytes | None = b"k"
    topic: str = "events"
    partition: int = 0
    timestamp: int = NOW_MS - 5
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Mapper:
    """Maps by the event's name: `skip`, `reject`, `raise`; else a request, with `other` a body of its own."""

    def map(self, event: Event) -> Mapped:
        """As the router."""
        match event.fields.get("event"):
            case "skip":
                return Ended(Outcome.SKIPPED, Reason.NO_ROUTE)
            case "reject":
                return Ended(Outcome.DEAD_LETTERED, Reason.INVALID_ID, "no usable id")
            case "raise":
                raise ZeroDivisionError("with an email in its text: a@b.example")
            case "warned":
                warnings = tuple(PendoWarning(WarningKind(kind), "") for kind in event.fields["kinds"])
                return Request(Route.TRACK, "visitor:1", str(event.arrived_ms).encode(), warnings=warnings)
            case "other":
                return Request(Route.SEGMENTIO, "visitor:1", b"another body")
            case _:
                return Request(Route.SEGMENTIO, "visitor:1", event.raw or b"cut out")


class Outlet:
    """Takes deliveries."""

    def __init__(self) -> None:
        self.taken: list[Delivery] = []

    def add(self, delivery: Delivery) -> None:
        """Keep it."""
        self.taken.append(delivery)


class Letters:
    """Takes dead letters."""

    def __init__(self) -> None:
        self.parked: list[tuple[DeadLetter, Ticket]] = []

    def park(self, letter: DeadLetter, owner: Ticket) -> None:
        """Keep it."""
        self.parked.append((letter, owner))


class Bench:
    """Admission with everything around it."""

    def __init__(self, envelope_path: tuple[str, ...] = ()) -> None:
        self.tally = Tally()
        self.outlet, self.other_outlet = Outlet(), Outlet()
        self.letters = Letters()
        self.progress = Progress("events", 0, 0)
        self.admission = Admission(
            envelope_path=envelope_path,
            mapper=Mapper(),
            outlets={Route.SEGMENTIO: self.outlet, Route.TRACK: self.other_outlet},
            letters=self.letters,
            tally=self.tally,
        )

    def admit(self, *values: bytes | None) -> None:
        """Admit a record for each value."""
        self.admit_records(Raw(value, offset) for offset, value in enumerate(values))

    def admit_records(self, records: Iterable[Raw]) -> None:
        """Admit records."""
        self.admission.admit(self.progress, records, NOW_MS)

    @property
    def really_open(self) -> int:
        """Open events, counted from the tickets."""
        return sum(ticket.open for ticket in self.progress.open_records())

    def balanced(self) -> bool:
        """Whether nothing vanished and nothing was counted twice."""
        return self.tally.unaccounted(self.really_open) == 0 and self.tally.open_events == self.really_open

    def end_all(self) -> None:
        """Settle what was sent and what was parked."""
        for delivery in self.outlet.taken:
            delivery.ticket.settle(delivery.type, Outcome.DELIVERED, Reason.NONE)
        for letter, owner in self.letters.parked:
            owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason)


@pytest.fixture
def bench() -> Bench:
    """Admission without an envelope."""
    return Bench()


def event(name: str = "e", type_: str = "track", **more: Any) -> dict[str, Any]:
    """A Segment event."""
    return {"type": type_, "event": name, **more}


def dumped(value: object) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


def test_one_event_becomes_one_delivery_with_the_very_bytes(bench: Bench) -> None:
    """Its index is absent: the value is the event."""
    value = dumped(event(messageId="m"))
    bench.admit(value)
    [delivery] = bench.outlet.taken
    assert delivery.request.body is value
    assert (delivery.index, delivery.message_id, delivery.type) == (None, "m", EventType.TRACK)
    assert delivery.ticket.arrived_ms == NOW_MS - 5
    assert bench.tally.open_bytes == len(value) + 1
    assert bench.balanced()


def test_a_body_of_its_own_counts_beside_the_record(bench: Bench) -> None:
    """Bytes bound the memory, so both are held."""
    value = dumped(event("other"))
    bench.admit(value)
    assert bench.tally.open_bytes == len(value) + 1 + len(b"another body")
    bench.end_all()
    assert bench.tally.open_bytes == 0


@pytest.mark.parametrize("wrap", [lambda events: events, lambda events: {"batch": events}], ids=["array", "batch"])
def test_each_event_of_an_array_or_batch_has_its_index_and_the_record_waits_for_all(bench: Bench, wrap: Any) -> None:
    """From 0, in the order of the value; an offset is finished when its last event is."""
    bench.admit(dumped(wrap([event(messageId="a"), event("skip"), event(messageId="c")])))
    assert [(d.index, d.message_id) for d in bench.outlet.taken] == [(0, "a"), (2, "c")]
    assert bench.really_open == 2
    first, last = bench.outlet.taken
    last.ticket.settle(last.type, Outcome.DELIVERED, Reason.NONE)
    assert bench.progress.watermark == 0
    first.ticket.settle(first.type, Outcome.DELIVERED, Reason.NONE)
    assert bench.progress.watermark == 1
    assert bench.balanced()


def test_an_array_of_one_has_the_index_0(bench: Bench) -> None:
    """Whether the index is there says how the value looked."""
    bench.admit(dumped([event()]), dumped([event("reject")]))
    assert bench.outlet.taken[0].index == 0
    assert bench.letters.parked[0][0].index == 0


def test_an_event_in_an_envelope_is_found_and_sent_as_json_of_its_own() -> None:
    """The envelope stays behind, but a dead letter keeps the whole record."""
    bench = Bench(("httpPayload", "body"))
    bench.admit(*(dumped({"httpPayload": {"body": event(name)}}) for name in ("e", "reject")), dumped({"other": 1}))
    assert bench.outlet.taken[0].request.body == b"cut out"
    assert [letter.reason for letter, _ in bench.letters.parked] == [Reason.INVALID_ID, Reason.UNDECODABLE]
    assert bench.letters.parked[0][0].record.value == dumped({"httpPayload": {"body": event("reject")}})
    assert bench.balanced()


@pytest.mark.parametrize("value", [None, b"", b"[]", b'{"batch":[]}'])
def test_a_record_without_an_event_is_a_tombstone_and_finished_at_once(bench: Bench, value: bytes | None) -> None:
    """It counts as one event of type `none`."""
    bench.admit(value)
    assert bench.tally.settled == {(EventType.NONE, Outcome.SKIPPED, Reason.TOMBSTONE): 1}
    assert bench.tally.received == {EventType.NONE: 1}
    assert bench.progress.watermark == 1
    assert bench.tally.open_bytes == 0
    assert bench.balanced()


@pytest.mark.parametrize("value", [b"\x00\x00\x00\x00\x01avro", b"no JSON", b"\xff\xfe", b"7", b'"text"', b'{"a":1}'])
def test_a_record_that_is_no_event_is_one_dead_letter(bench: Bench, value: bytes) -> None:
    """Open until the letter is acknowledged; the letter quotes nothing of it."""
    bench.admit(value)
    [(letter, owner)] = bench.letters.parked
    assert (letter.type, letter.reason, letter.stage) == (EventType.NONE, Reason.UNDECODABLE, Stage.DECODE)
    assert (letter.index, letter.message_id, letter.status, letter.attempts) == (None, None, None, 0)
    assert letter.message
    assert bench.really_open == 1
    assert bench.progress.watermark == 0
    owner.settle(letter.type, Outcome.DEAD_LETTERED, letter.reason)
    assert bench.progress.watermark == 1
    assert bench.balanced()


def test_a_byte_order_mark_does_not_keep_an_event_from_being_one(bench: Bench) -> None:
    """Some producers put it in front."""
    bench.admit(b"\xef\xbb\xbf" + dumped(event()))
    assert len(bench.outlet.taken) == 1


def test_k_bad_events_of_a_record_are_k_letters_and_its_good_ones_are_delivered(bench: Bench) -> None:
    """Each letter carries the whole record, and says which event it is."""
    value = dumped([event("reject", messageId="m"), 7, event(), {"type": 1}, event("raise")])
    bench.admit(value)
    assert [(letter.index, letter.reason) for letter, _ in bench.letters.parked] == [
        (0, Reason.INVALID_ID),
        (1, Reason.UNDECODABLE),
        (3, Reason.UNDECODABLE),
        (4, Reason.HANDLER_ERROR),
    ]
    assert {letter.record.value for letter, _ in bench.letters.parked} == {value}
    assert bench.letters.parked[0][0].message_id == "m"
    assert [delivery.index for delivery in bench.outlet.taken] == [2]
    assert bench.balanced()
    bench.end_all()
    assert bench.progress.watermark == 1
    assert bench.balanced()


def test_a_handler_that_fails_costs_one_letter_and_not_the_worker(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The letter says what kind of error it was, and the log where, but not its text, which may quote the event."""
    bench.admit(dumped(event("raise")), dumped(event()))
    [(letter, _)] = bench.letters.parked
    assert (letter.type, letter.reason, letter.stage) == (EventType.TRACK, Reason.HANDLER_ERROR, Stage.MAP)
    assert letter.message == "the handler failed: ZeroDivisionError"
    line = capsys.readouterr().out
    assert "events-0@0" in line
    assert "a@b.example" not in line
    assert len(bench.outlet.taken) == 1


def test_a_handler_that_fails_at_every_event_is_told_of_once_in_a_while(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how many there were, so that the log does not fill up."""
    now_s = 100.0
    monkeypatch.setattr(admission, "monotonic", lambda: now_s)
    bench.admit_records(Raw(dumped(event("raise")), offset) for offset in range(20))
    now_s += admission.TOLD_EVERY_S
    bench.admit_records(Raw(dumped(event("raise")), offset) for offset in range(20, 25))
    lines = [line for line in capsys.readouterr().out.splitlines() if "a mapping handler failed" in line]
    assert len(lines) == 2
    assert "failed_so_far=21" in lines[1]
    assert len(bench.letters.parked) == 25


def test_a_second_read_of_a_record_changes_nothing(bench: Bench) -> None:
    """Whether it is open or finished: after a seek the same records come again."""
    records = [Raw(dumped(event()), 0, key=None), Raw(dumped(event("reject")), 1), Raw(None, 2)]
    bench.admit_records(records)
    before = (dict(bench.tally.received), bench.tally.open_events, bench.tally.open_bytes, bench.admission.unkeyed)
    bench.admit_records(records)
    assert (
        dict(bench.tally.received),
        bench.tally.open_events,
        bench.tally.open_bytes,
        bench.admission.unkeyed,
    ) == before
    assert len(bench.outlet.taken) == len(bench.letters.parked) == 1
    assert bench.balanced()


def test_records_without_a_key_are_counted_an_empty_key_is_one(bench: Bench) -> None:
    """Order across pods rests on the key."""
    bench.admit_records([Raw(b"[]", 0, key=None), Raw(b"[]", 1, key=b""), Raw(b"[]", 2, key=b"u")])
    assert bench.admission.unkeyed == 1


def test_what_is_received_is_counted_by_type(bench: Bench) -> None:
    """A type we do not know is `other`, what is no event is `none`."""
    types = ["identify", "group", "track", "page", "screen", "alias", "delete", "video", "Track"]
    bench.admit(*(dumped(event("skip", type_)) for type_ in types), b"no JSON", None)
    assert bench.tally.received == {
        EventType.IDENTIFY: 1,
        EventType.GROUP: 1,
        EventType.TRACK: 1,
        EventType.PAGE: 1,
        EventType.SCREEN: 1,
        EventType.ALIAS: 1,
        EventType.DELETE: 1,
        EventType.OTHER: 2,
        EventType.NONE: 2,
    }
    assert bench.balanced()


def test_an_event_that_is_not_for_pendo_is_settled_at_once_with_its_reason(bench: Bench) -> None:
    """Nothing is sent, nothing is parked."""
    bench.admit(dumped(event("skip")))
    assert bench.tally.settled == {(EventType.TRACK, Outcome.SKIPPED, Reason.NO_ROUTE): 1}
    assert bench.progress.watermark == 1


def warned(*kinds: str) -> bytes:
    return json.dumps({"type": "track", "event": "warned", "kinds": kinds}).encode()


def test_warnings_are_counted_by_kind_and_end_no_event() -> None:
    """An event may have several; what has none counts nowhere, and every kind is shown from the beginning."""
    bench = Bench()
    bench.admit(warned("old", "large"), warned("old"), warned(), b'{"type":"track"}')
    assert bench.admission.warnings == {WarningKind.OLD: 2, WarningKind.LARGE: 1}
    assert len(bench.outlet.taken) + len(bench.other_outlet.taken) == 4
    shown = {sample.labels: sample.value for sample in bench.admission.samples() if sample.labels}
    assert shown == {(kind.value,): bench.admission.warnings[kind] for kind in WarningKind}


def test_each_delivery_goes_to_its_route() -> None:
    """And to no other."""
    bench = Bench()
    bench.admit(warned(), b'{"type":"track"}')
    assert [d.request.route for d in bench.other_outlet.taken] == [Route.TRACK]
    assert [d.request.route for d in bench.outlet.taken] == [Route.SEGMENTIO]


def test_an_event_knows_when_its_record_arrived() -> None:
    """Some carry no time of their own, and Pendo wants one; in an array all arrived with it."""
    bench = Bench()
    bench.admit(b"[" + warned() + b"," + warned() + b"]")
    assert [d.request.body for d in bench.other_outlet.taken] == [str(NOW_MS - 5).encode()] * 2
