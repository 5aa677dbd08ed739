"""What the oracle's verdict rests on: the schedule, the traffic, and Pendo's side with its log."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import pairwise

import aiohttp
import orjson
import pytest

from tests.chaos.endpoint import Connection, Endpoint
from tests.chaos.log import GONE, LETTER_REASONS, NO_MESSAGE, RESET, SILENT, FaultKind, Kind, Request, Requests
from tests.chaos.schedule import ROUND_S, plan
from tests.chaos.traffic import FOREIGN, POISON_EVENT, Traffic, canonical, fields_digest, traits_of

ROUNDS = 3
SEED = 4


@asynccontextmanager
async def _serving(endpoint: Endpoint) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(endpoint), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()


async def _post(url: str, body: bytes) -> tuple[int, str | None]:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/p7/data/segmentio/key", data=body) as answer:
        return answer.status, answer.headers.get("Retry-After")


async def _seen(
    faults: set[FaultKind], event: Mapping[str, object] | bytes
) -> tuple[int | str | None, str | None, Request]:
    """What a client and the log see of one request, which every fault in force hits."""
    log = BytesIO()
    endpoint = Endpoint(log, SEED)
    endpoint.faults = faults
    endpoint.chance = lambda: 0.0
    body = event if isinstance(event, bytes) else orjson.dumps(event)
    status: int | str | None
    after: str | None = None
    async with _serving(endpoint) as url:
        try:
            status, after = await _post(url, body)
        except aiohttp.ClientError:
            status = "no answer"
    (request,) = Requests(log.getvalue())
    return status, after, request


def _track(number: int, name: str = "Clicked") -> dict[str, object]:
    return {"type": "track", "messageId": f"chaos-{number}", "event": name, "userId": "v"}


def test_every_kind_of_fault_comes_once_a_round_in_its_round() -> None:
    """Those of one time line one after another; a seed always plans the same."""
    hard, soft = plan(SEED, ROUNDS, 3)
    assert (hard, soft) == plan(SEED, ROUNDS, 3) != plan(SEED + 1, ROUNDS, 3)
    for kind in FaultKind:
        rounds = [int(planned.at_s // ROUND_S) for planned in (*hard, *soft) if planned.kind is kind]
        assert rounds == [0, 1, 2]
    for line in (hard, soft):
        assert all(a.at_s + a.lasts_s < b.at_s for a, b in pairwise(line))


@pytest.mark.parametrize("by_calls", [False, True])
def test_the_traffic_holds_every_kind_and_repeats_what_it_repeats(*, by_calls: bool) -> None:
    """A record's value is what its kind says; a repeat has the very bytes of the first."""
    traffic = Traffic(3000, SEED, 1_700_000_000_000, by_calls=by_calls)
    values = [traffic.next()[2] for _ in range(3000)]
    produced = traffic.produced
    kinds = Counter(map(Kind, produced.kind))
    assert set(kinds) == set(Kind) - ({Kind.WRONG} if not by_calls else set())
    assert kinds[Kind.TRACK] > 500
    repeats = [number for number, message in enumerate(produced.message) if message != number]
    assert len(repeats) > 20
    assert all(values[number] == values[produced.message[number]] for number in repeats)
    assert not any(Kind(produced.kind[number]) in SILENT | set(LETTER_REASONS) for number in repeats)
    for number, value in enumerate(values):
        assert (value is None) == (produced.kind[number] == Kind.TOMBSTONE)


async def test_an_accepted_event_is_logged_with_its_sender_and_digests() -> None:
    """Traits apart from the rest, so that the oracle can tell which are missing."""
    traits = traits_of(0, 0b11)
    event = {"type": "identify", "messageId": "chaos-9", "userId": "v", "traits": traits | {"odd": 1}}
    status, _, request = await _seen(set(), event)
    assert (status, request.status, request.applied) == (200, 200, True)
    assert (request.message, request.sender) == (9, 7)
    assert request.digest == canonical({"type": "identify", "messageId": "chaos-9", "userId": "v"})
    assert request.mask == 0b11 | FOREIGN
    assert request.fields != fields_digest(traits)[1]
    assert request.arrived_s < request.ended_s


async def test_poison_is_refused_and_what_is_none_of_ours_is_logged_as_such() -> None:
    """Neither may look like an acceptance of a message."""
    status, _, request = await _seen(set(), _track(5, POISON_EVENT))
    assert (status, request.status, request.applied) == (400, 400, False)
    _, _, request = await _seen(set(), b"no json")
    assert request.message == NO_MESSAGE


async def _calls(elements: Sequence[Mapping[str, object]]) -> tuple[int, bytes, dict[int, Request]]:
    """The answer to a call about visitors, and what the log keeps of each message that it carries."""
    log = BytesIO()
    async with _serving(Endpoint(log, SEED)) as url, aiohttp.ClientSession() as session:
        path = f"{url}/p7/api/v1/metadata/visitor/agent/value?create=true"
        async with session.post(path, data=orjson.dumps(elements)) as answer:
            body = await answer.read()
    return answer.status, body, {request.message: request for request in Requests(log.getvalue())}


async def test_a_call_is_logged_by_the_messages_that_its_values_are_from() -> None:
    """Each with its own fields, all with the call's times; of a visitor with something wrong nothing is taken."""
    good = {"visitorId": "v", "values": traits_of(4, 0b10) | traits_of(6, 0b1)}
    bad = {"visitorId": "w", "values": {"wrong": "wrong-8", **traits_of(9, 0b1)}}
    status, body, rows = await _calls([good, bad])
    assert status == 200
    assert orjson.loads(body) == {"total": 2, "updated": 1, "failed": 1, "errors": [{"id": "w"}]}
    assert {message: (row.mask, row.applied) for message, row in rows.items()} == {
        4: (0b10, True),
        6: (0b1, True),
        8: (FOREIGN, False),
        9: (0b1, False),
    }
    assert len({(row.arrived_s, row.ended_s) for row in rows.values()}) == 1
    status, _, rows = await _calls([good, {"visitorId": "w", "values": {"wrong": "wrong-7"}}])
    assert status == 400
    assert not any(row.applied for row in rows.values())


async def test_an_event_of_the_track_events_api_is_known_by_its_property() -> None:
    """It carries no messageId."""
    log = BytesIO()
    event = {"type": "track", "event": "Clicked", "visitorId": "v", "properties": {"n": 5}}
    async with _serving(Endpoint(log, SEED)) as url, aiohttp.ClientSession() as session:
        await session.post(f"{url}/p7/data/track", data=orjson.dumps(event))
    (request,) = Requests(log.getvalue())
    assert (request.message, request.digest, request.applied) == (5, canonical(event), True)


@pytest.mark.parametrize(
    ("fault", "status", "after", "logged", "applied"),
    [
        (FaultKind.ERRORS, 500, None, 500, False),
        (FaultKind.THROTTLE, 429, "1", 429, False),
        (FaultKind.OUTAGE, 503, None, 503, False),
        (FaultKind.RESETS, "no answer", None, RESET, True),
        (FaultKind.SLOW, 200, None, 200, True),
    ],
)
async def test_each_fault_of_pendo_is_answered_and_logged_as_it_is(
    fault: FaultKind, status: int | str, after: str | None, logged: int, *, applied: bool
) -> None:
    """A reset keeps half of the events: an answer that got lost."""
    seen = await _seen({fault}, _track(5))
    assert seen[:2] == (status, after)
    assert (seen[2].status, seen[2].applied) == (logged, applied)


async def test_a_client_that_goes_before_the_answer_has_not_been_served() -> None:
    """As a killed process does."""
    log = BytesIO()
    endpoint = Endpoint(log, SEED)
    async with _serving(endpoint) as url:
        port = int(url.rsplit(":", 1)[1])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        body = orjson.dumps(_track(5))
        writer.write(b"POST /p7/x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.001)
        writer.close()
        await writer.wait_closed()
        while not log.getvalue():
            await asyncio.sleep(0.001)
    (request,) = Requests(log.getvalue())
    assert (request.status, request.applied, request.message) == (GONE, False, 5)
